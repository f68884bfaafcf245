"""How the client reads valid, newer and invalid responses, and the secrets that it never shows."""

from __future__ import annotations

import traceback
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests

from likeness_client import (
    Client,
    Consent,
    CredentialError,
    InvalidRequestError,
    LikenessApiError,
    LikenessError,
    NewAsset,
    NotFoundError,
    UnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import API_KEY, QUICK, example
from tests.client.server import CUT, Answer, Script, problem

ID = "ses_1"


def test_a_response_is_typed_and_frozen(server: Script, client: Client) -> None:
    server.then(Answer(body=example("session_verified")))
    session = client.get_session(ID)
    assert session.created_at == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert session.assets[0].uri == "asset://asset-20260102030500-abcde"
    assert session.attempt
    assert (session.attempt.h5_link, session.invite_url, session.last_error) == (None, None, None)
    assert session.is_settled
    with pytest.raises(FrozenInstanceError):
        session.status = "redacted"  # type: ignore[misc]


def test_newer_properties_and_enumeration_values_are_accepted(server: Script, client: Client) -> None:
    server.then(Answer(body=example("session_verified", status="reviewing", surprise={"a": [1]})))
    session = client.get_session(ID)
    assert session.status == "reviewing"
    assert not hasattr(session, "surprise")


def test_optional_properties_may_be_missing(server: Script, client: Client) -> None:
    needed = ("id", "status", "language", "created_at", "updated_at")
    server.then(Answer(body={name: example("session_verified")[name] for name in needed}))
    session = client.get_session(ID)
    assert (session.assets, session.attempt, session.consent, session.reference) == ((), None, None, None)


def test_a_time_without_a_zone_is_utc(server: Script, client: Client) -> None:
    server.then(Answer(body=example("session_verified", created_at="2026-01-02T03:04:05")))
    assert client.get_session(ID).created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(body=b"{broken"), "not JSON"),
        (Answer(body=b""), "not JSON"),
        (Answer(body=[]), "Session is list, not dict"),
        (Answer(body={}), "Session.id is missing"),
        (Answer(body=example("session_verified", id=5)), "Session.id is int, not str"),
        (Answer(body=example("session_verified", id=None)), "Session.id is missing"),
        (Answer(body=example("session_verified", attempts_left=True)), "attempts_left is bool, not int"),
        (Answer(body=example("session_verified", assets={})), "Session.assets is dict, not list"),
        (Answer(body=example("session_verified", assets=[{}])), "Asset.id is missing"),
        (Answer(body=example("session_verified", created_at="yesterday")), "created_at is not a datetime"),
    ],
)
def test_an_invalid_response_is_named_and_not_retried(
    server: Script, client: Client, answer: Answer, message: str
) -> None:
    server.then(answer)
    with pytest.raises(UnexpectedAnswerError, match=message):
        client.get_session(ID)
    assert len(server.seen) == 1


PAGES = [
    (Answer(body=b"<html>", content_type="text/html"), "text/html"),
    (Answer(body=b"", content_type=None), "no content type"),
    (Answer(302, None, headers={"Location": "/v1/elsewhere"}), "returned 302"),
    *((Answer(status, b"<html>", "text/html"), f"http_{status}") for status in (400, 404, 408, 409, 418, 500, 502)),
    (Answer(404, b""), "http_404"),
]


@pytest.mark.parametrize(("answer", "message"), PAGES)
def test_a_proxys_page_is_retried_only_when_that_is_safe(
    server: Script, client: Client, answer: Answer, message: str
) -> None:
    server.then(answer, Answer(body=example("session_verified")))
    assert client.get_session(ID).status == "verified"
    server.then(answer, Answer(body=example("session_verified")))
    assert client.wait_until_verified(ID, timeout=5).status == "verified", "a wait continues"
    server.then(*[answer] * QUICK.attempts)
    with pytest.raises(LikenessError, match=message):
        client.get_session(ID)
    server.seen.clear()
    server.then(answer)
    with pytest.raises(LikenessError, match=message):
        client.erase_session(ID)
    assert len(server.seen) == 1, "a request that is unsafe to repeat is sent once"


@pytest.mark.parametrize("status", [401, 403, 413])
def test_a_refused_credential_or_size_is_reported_immediately(server: Script, client: Client, status: int) -> None:
    server.then(Answer(status, b"<html>", "text/html"))
    with pytest.raises(LikenessApiError, match=f"http_{status}"):
        client.get_session(ID)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (problem(400, "invalid_request", field="language"), InvalidRequestError, "invalid_request"),
        (problem(413, "bad_request"), InvalidRequestError, "bad_request"),
        (problem(401, "unauthorized"), CredentialError, "unauthorized"),
        (problem(404, "not_found", detail="Session not found"), NotFoundError, "not_found"),
        (problem(418, "teapot"), LikenessApiError, "teapot"),
        (Answer(404, b"<html>", "text/html"), NotFoundError, "http_404"),
        (Answer(500, b"{}"), LikenessApiError, "http_500"),
        (Answer(403, {"message": "Forbidden"}), CredentialError, "http_403"),
    ],
)
def test_a_problem_raises_its_exception(
    server: Script, client: Client, answer: Answer, kind: type[LikenessApiError], code: str
) -> None:
    server.then(*[answer] * QUICK.attempts)
    with pytest.raises(LikenessApiError) as caught:
        client.get_session(ID)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (answer.status, code)
    if isinstance(answer.body, dict) and "title" in answer.body:
        assert caught.value.field == answer.body.get("field")
        assert caught.value.detail == answer.body.get("detail")


def test_the_text_of_an_error_names_the_request(server: Script, client: Client) -> None:
    server.then(Answer(500, example("internal_error"), "application/problem+json"))
    with pytest.raises(LikenessApiError) as caught:
        client.get_session(ID)
    text = "500 internal_error: Internal server error (request 8f0b4c1e-6a53-4a37-9d4c-2f1f0a7c9b55)"
    assert str(caught.value) == text


def test_pages_are_followed_as_they_are_needed(server: Script, client: Client) -> None:
    (first, second) = example("page")["sessions"]
    server.then(
        Answer(body={"sessions": [first], "next_cursor": "a+b/="}),
        Answer(body={"sessions": [second], "next_cursor": None}),
    )
    sessions = client.list_sessions(status="verified", reference="order 1&2", page_size=1)
    assert next(sessions).id == first["id"]
    assert len(server.seen) == 1
    assert [each.id for each in sessions] == [second["id"]]
    query = "status=verified&reference=order+1%262&limit=1"
    assert [each.path for each in server.seen] == [f"/v1/sessions?{query}", f"/v1/sessions?{query}&cursor=a%2Bb%2F%3D"]


def test_the_pages_of_stats_are_followed_too(server: Script, client: Client) -> None:
    days = example("stats")["days"]
    server.then(Answer(body={"days": days, "next_cursor": "c"}), Answer(body={"days": days, "next_cursor": None}))
    found = client.stats(date(2026, 11, 1), date(2026, 11, 25))
    assert [each.date for each in found] == [date(2026, 11, 25)] * 2
    assert found[0].seconds_to_active.buckets == ((4.757, 3), (32.0, 2))
    assert server.seen[1].path == "/v1/stats?from=2026-11-01&to=2026-11-25&cursor=c"


@pytest.mark.parametrize("session_id", ["", ".", "..", "a/b", "a?b", "a b", "%2e", "ses_1\n", "人"])
def test_an_id_cannot_select_another_route(server: Script, client: Client, session_id: str) -> None:
    with pytest.raises(ValueError, match="an id can contain only letters"):
        client.erase_session(session_id)
    assert not server.seen


@pytest.mark.parametrize("key", ["", " a", "a\nb", "é", "k" * 256])
def test_an_invalid_idempotency_key_is_refused_before_it_is_sent(server: Script, client: Client, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency_key"):
        client.create_session(idempotency_key=key)
    assert not server.seen


def test_a_consent_needs_a_time_zone(client: Client) -> None:
    with pytest.raises(ValueError, match="time zone"):
        client.create_session(consent=Consent(text_version="1", given_at=datetime(2026, 1, 1)))  # noqa: DTZ001


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://x", "https://", "https://u:p@x/v1", "https://x/?a=b"])
def test_a_base_url_is_checked_immediately(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Client(url, API_KEY)


@pytest.mark.parametrize("key", ["", "lk_a b", "lk_secret\n", "lk_é"])
def test_an_invalid_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        Client("https://api.example.com", key)
    assert not key or key not in str(caught.value)


def test_a_given_http_session_is_used_and_not_closed(server: Script) -> None:
    server.then(Answer(body=example("session_verified")), Answer(body=example("session_verified")))
    with requests.Session() as http:
        with Client(server.url, API_KEY, session=http) as client:
            client.get_session(ID)
        assert "x-api-key" not in http.headers
        assert http.get(server.url, timeout=5).ok
    assert [each.headers.get("x-api-key") for each in server.seen] == [API_KEY, None]


def _secrets() -> list[str]:
    made, asset = example("session_made"), example("asset_made")
    return [
        API_KEY,
        made["invite_url"],
        made["attempt"]["h5_link"],
        *[asset["upload"]["url"], *asset["upload"]["fields"].values()],
    ]


def test_no_secret_is_in_a_repr(server: Script, client: Client) -> None:
    asset = example("asset_made")
    server.then(Answer(201, example("session_made", assets=[asset])))
    session = client.create_session()
    assert session.invite_url == example("session_made")["invite_url"]
    assert session.assets[0].upload
    assert session.assets[0].upload.fields["policy"]
    shown = repr(session) + str(session) + repr(client) + repr(vars(client)) + repr(session.assets[0].upload)
    # An example shortens a policy to one character, which is in every text.
    assert not [each for each in _secrets() if len(each) > 8 and each in shown and each != asset["content_type"]]


@pytest.mark.parametrize(
    "answer",
    [
        CUT,
        Answer(201, example("session_made"), missing=3),
        Answer(201, str(example("session_made")).encode()),
        Answer(201, example("session_made", created_at=example("session_made")["invite_url"])),
        Answer(503, example("session_made")),
        Answer(201, example("session_made"), "text/plain"),
    ],
)
def test_no_secret_is_in_the_text_of_an_error(server: Script, client: Client, answer: Answer) -> None:
    server.then(*[answer] * QUICK.attempts)
    with pytest.raises(LikenessError) as caught:
        client.create_session()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not [each for each in _secrets()[:3] if each in shown]


def test_a_new_asset_is_created_from_its_file(tmp_path: Any) -> None:
    file = tmp_path / "Front.JPG"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    made = {"name": "Front.JPG", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 3}
    assert NewAsset.of_file(file).to_json() == made | {"sha256": digest}
    assert NewAsset.of_file(str(file), name="x", with_sha256=False).to_json() == made | {"name": "x"}
    assert NewAsset.of_file(file, content_type="video/mp4").asset_type == "Video"
    for wrong in ("notes.txt", "noend"):
        (tmp_path / wrong).write_bytes(b"abc")
        with pytest.raises(ValueError, match="not an image, a video"):
            NewAsset.of_file(tmp_path / wrong)


def test_the_request_id_of_the_gateway_is_kept(server: Script, client: Client) -> None:
    server.then(*[Answer(503, {"title": "No", "code": "throttled"}, headers={"x-amzn-RequestId": "r-1"})] * 4)
    with pytest.raises(UnavailableError) as caught:
        client.get_session(ID)
    assert caught.value.request_id == "r-1"
