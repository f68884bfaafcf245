"""Invalid input gets a clear error, calls no upstream and leaves no rows."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from local.media import DemoMedia, portrait
from ops.client_keys import ClientKeys
from tests.integration.conftest import Api, SimulatorControl, come_back, face_check, send_file, settled

IMAGE = {"name": "front of alice", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 1000}


def test_credentials(api: Api, other_client: Api, keys: ClientKeys) -> None:
    session = api.session(start="on_open")
    path = f"/sessions/{session['id']}"
    assert api.with_credential(None)("GET", path).status_code == 401
    revoked = keys.add("gone")
    (key_id,) = [each.key_id for each in keys.known() if each.client_id == "gone"]
    keys.revoke(key_id)
    for credential in ("lk_unknown", "nonsense", revoked, "st_a.b.c.d"):
        assert api.with_credential(credential)("GET", path).status_code in (401, 403)
    for method, where in (
        ("GET", path),
        ("POST", f"{path}/attempts"),
        ("POST", f"{path}/assets"),
        ("GET", f"{path}/assets/ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("GET", "/sessions/ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("GET", "/sessions/%2e%2e"),
    ):
        answer = other_client(method, where, json=IMAGE if where.endswith("assets") else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    person = api.with_credential(urlsplit(session["invite_url"]).fragment)
    assert person("GET", path).status_code == 200
    assert person("GET", "/sessions").status_code == 403
    assert person("GET", f"/sessions/{api.session(start='on_open')['id']}").status_code == 404


BAD_BODIES: list[tuple[Any, str]] = [
    ("{", "body"),
    ("[]", "body"),
    ({"colour": "red"}, "colour"),
    ({"language": "fr"}, "language"),
    ({"reference": 7}, "reference"),
    ({"reference": "x" * 129}, "reference"),
    ({"return_url": "https://evil.example/"}, "return_url"),
    ({"return_url": "http://app.example.com/"}, "return_url"),
    ({"start": "later"}, "start"),
    ({"assets": [IMAGE] * 21}, "assets"),
    ({"assets": [IMAGE | {"name": "x" * 65}]}, "assets.0.name"),
    ({"assets": [IMAGE | {"size_bytes": 60_000_000}]}, "assets.0"),
    ({"consent": {"text_version": "1"}}, "consent.given_at"),
]


@pytest.mark.parametrize(("body", "field"), BAD_BODIES, ids=lambda value: str(value)[:40])
def test_an_invalid_body_names_the_field_and_does_not_call_crun(
    other_client: Api, crun: SimulatorControl, body: Any, field: str
) -> None:
    before = crun.calls("session")
    text = {"data": body} if isinstance(body, str) else {"json": body}
    answer = other_client("POST", "/sessions", **text)
    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["field"] == field
    assert crun.calls("session") == before
    assert other_client("GET", "/sessions").json()["sessions"] == []


def test_the_same_idempotency_key_gets_the_same_response(api: Api, crun: SimulatorControl) -> None:
    before = crun.calls("session")
    headers = {"Idempotency-Key": "one-key-for-two-requests"}
    first = api("POST", "/sessions", json={"language": "en"}, headers=headers)
    again = api("POST", "/sessions", json={"language": "en"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert crun.calls("session") == before + 1
    other = api("POST", "/sessions", json={"language": "zh"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("where", ["http", "both", "body"])
@pytest.mark.parametrize("code", [401, 402, 403, 404, 422, 429, 455, 500, 501, 505])
def test_each_of_cruns_codes_is_mapped_and_leaves_no_session(
    other_client: Api, crun: SimulatorControl, code: int, where: str
) -> None:
    crun.fault(call="session", kind=where, code=code, times=None)
    answer = other_client("POST", "/sessions", json={})
    assert answer.status_code in (429, 502, 503), answer.text
    assert answer.json()["code"].startswith(("upstream_", "rate_limited"))
    if answer.status_code in (429, 503):
        assert int(answer.headers["Retry-After"]) > 0
    assert other_client("GET", "/sessions").json()["sessions"] == []


@pytest.mark.parametrize("kind", ["html", "empty", "no_data", "truncated", "reset"])
def test_an_invalid_response_from_crun_is_a_503(other_client: Api, crun: SimulatorControl, kind: str) -> None:
    crun.fault(call="session", kind=kind, times=None)
    answer = other_client("POST", "/sessions", json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_ambiguous")
    assert other_client("GET", "/sessions").json()["sessions"] == []


def test_forged_callbacks_change_nothing(api: Api) -> None:
    session, foreign = api.session(), api.session()
    good = face_check(session["attempt"]["h5_link"]).split("?")[0]
    other = face_check(foreign["attempt"]["h5_link"]).split("?")[0]
    signature, stolen = good.rsplit("/", 1)[1], other.rsplit("/", 1)[1]
    for forged in (
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good.replace("/1/", "/2/"),
        good.replace(signature, stolen),
        good.replace(session["id"], "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ):
        answer = come_back(f"{forged}?resultCode=10000")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "ses_" not in answer.text
    for silent in ("", "?resultCode=", "?resultCode=10000&resultCode=10001"[:12]):
        assert come_back(good + silent).status_code == 303
    assert api.get(session["id"])["status"] == "requires_input"


def test_invalid_files_fail_with_a_code_and_the_others_continue(api: Api, media: DemoMedia) -> None:
    good = media.portrait_jpeg.read_bytes()
    files = {
        "html": (b"<html><body>not a picture</body></html>", "format_unsupported"),
        "truncated": (good[: len(good) // 2], "file_truncated"),
        "small": (portrait("alice", 299, 400, image_format="JPEG"), "dimensions_out_of_range"),
        "wide": (portrait("alice", 1200, 400, image_format="JPEG"), "aspect_ratio_out_of_range"),
        "sound": (media.voice_wav.read_bytes(), "type_mismatch"),
        "good": (good, None),
    }
    bodies = [IMAGE | {"name": f"{name} of alice", "size_bytes": len(content)} for name, (content, _) in files.items()]
    session = api.session(assets=bodies)
    for asset in session["assets"]:
        assert send_file(asset["upload"], files[asset["name"].split()[0]][0]).ok
    too_large = send_file(session["assets"][0]["upload"], b"x" * 5000)
    assert too_large.status_code in (400, 403)
    come_back(face_check(session["attempt"]["h5_link"]))
    done = api.wait(session["id"], lambda found: settled(found) and found["status"] == "verified")
    for asset in done["assets"]:
        assert (asset["error"] or {}).get("code") == files[asset["name"].split()[0]][1], asset


def test_attempts_are_limited(api: Api) -> None:
    session = api.session(start="on_open")
    answers = [api("POST", f"/sessions/{session['id']}/attempts").status_code for _ in range(11)]
    assert answers == [201] * 10 + [429]
