"""Onboardings on the deployed stack."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local import emulator
from local.media import DemoMedia
from tests.integration.conftest import (
    Api,
    Listener,
    SimulatorControl,
    agree,
    come_back,
    face_check,
    made_long_ago,
    registration,
    send_file,
    settled,
)


def verified(api: Api) -> str:
    """Creates a verified session and returns its id."""
    session = api.session(language="en")
    assert come_back(face_check(session["attempt"]["h5_link"])).status_code == 303
    api.wait(session["id"], lambda found: found["status"] == "verified")
    return str(session["id"])


def test_files_before_and_after_the_validation_become_active_and_another_person_is_refused(
    api: Api, media: DemoMedia, listener: Listener
) -> None:
    first = registration(media.portrait_jpeg, "Image", "image/jpeg")
    session = api.session(language="en", reference="order-17-of-alice", assets=[first])
    assert session["status"] == "requires_input"
    assert send_file(session["assets"][0]["upload"], media.portrait_jpeg.read_bytes()).ok
    api.wait(session["id"], lambda found: found["assets"][0]["status"] == "uploaded")

    assert come_back(face_check(session["attempt"]["h5_link"])).status_code == 303
    after = api.wait(session["id"], lambda found: found["status"] == "verified")
    assert after["group_id"].startswith("group-")
    assert after["attempt"]["status"] == "verified"

    for file, kind, content_type in (
        (media.clip_mp4, "Video", "video/mp4"),
        (media.other_person_jpeg, "Image", "image/jpeg"),
    ):
        made = api("POST", f"/sessions/{session['id']}/assets", json=registration(file, kind, content_type))
        assert made.status_code == 201, made.text
        assert send_file(made.json()["upload"], file.read_bytes()).ok
    s3 = emulator.client("s3", api.stack.emulator_endpoint)
    s3.upload_file(
        str(media.voice_wav), api.stack.outputs["UploadBucketName"], f"inbox/{session['id']}/voice of alice+1.wav"
    )
    done = api.wait(session["id"], lambda found: len(found["assets"]) == 4 and settled(found))
    by_name = {each["name"]: each for each in done["assets"]}
    other_person = by_name.pop(media.other_person_jpeg.name)
    assert other_person["status"] == "failed"
    assert other_person["error"]["code"] == "face_mismatch"
    assert {each["status"] for each in by_name.values()} == {"active"}
    assert {each["uri"].split("-")[0] for each in by_name.values()} == {"asset://asset"}
    assert by_name["voice of alice+1.wav"]["asset_type"] == "Audio"
    one = by_name[media.clip_mp4.name]
    assert api("GET", f"/sessions/{session['id']}/assets/{one['id']}").json() == one
    _all_events_were_published(listener, done)


def _all_events_were_published(listener: Listener, session: dict[str, Any]) -> None:
    """Asserts that a customer's rule received each step of the session and its four files once, with the URIs."""
    kinds = Counter({f"session.{each}": 1 for each in ("created", "processing", "verified")})
    kinds += Counter({"asset.uploaded": 4, "asset.processing": 4, "asset.active": 3, "asset.failed": 1})
    events = listener.wait(session["id"], kinds)
    assert Counter(each["detail-type"].removeprefix("likeness.") for each in events) == kinds
    assert {each["source"] for each in events} == {"likeness"}
    published = {each["detail"]["uri"] for each in events if each["detail-type"] == "likeness.asset.active"}
    assert published == {each["uri"] for each in session["assets"] if each["status"] == "active"}


def test_a_session_without_assets_is_verified_and_starts_again_on_an_upload(api: Api, media: DemoMedia) -> None:
    session_id = verified(api)
    body = registration(media.portrait_png, "Image", "image/png")
    for _ in range(2):  # the second one needs a second execution after the first has ended
        made = api("POST", f"/sessions/{session_id}/assets", json=body).json()
        assert send_file(made["upload"], media.portrait_png.read_bytes()).ok
        done = api.wait(session_id, settled)
        assert {each["status"] for each in done["assets"]} == {"active"}


def test_on_open_creates_the_link_when_the_person_requests_it(api: Api, crun: SimulatorControl) -> None:
    before = crun.calls("session")
    session = api.session(start="on_open", language="zh-Hant")
    assert session["attempt"] is None
    assert crun.calls("session") == before
    token = urlsplit(session["invite_url"]).fragment
    person = api.with_credential(token)
    refused = person("POST", f"/sessions/{session['id']}/attempts")
    assert (refused.status_code, refused.json()["code"]) == (409, "consent_required")
    agree(person, session["id"])
    made = person("POST", f"/sessions/{session['id']}/attempts")
    assert made.status_code == 201, made.text
    link = made.json()["attempt"]["h5_link"]
    assert parse_qs(urlsplit(link).query)["lng"] == ["zh-Hant"]
    assert come_back(face_check(link)).status_code == 303
    assert person.wait(session["id"], lambda found: found["status"] == "verified")


def test_twenty_concurrent_callbacks_cause_one_execution_and_one_lookup(api: Api, crun: SimulatorControl) -> None:
    session = api.session()
    callback = face_check(session["attempt"]["h5_link"])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(come_back, [callback] * 20))
    assert {each.status_code for each in answers} == {303}
    api.wait(session["id"], lambda found: found["status"] == "verified")
    assert crun.lookups(session["attempt"]["h5_link"]) == 1
    sfn = emulator.client("stepfunctions", api.stack.emulator_endpoint)
    found = sfn.list_executions(stateMachineArn=api.stack.outputs["StateMachineArn"])["executions"]
    assert sum(each["name"].startswith(session["id"]) for each in found) == 1


def test_a_failed_check_offers_a_new_attempt_and_a_late_failure_changes_nothing(api: Api) -> None:
    session = api.session()
    failed = face_check(session["attempt"]["h5_link"], outcome="fail")
    assert come_back(failed).headers["Location"].endswith("status=requires_input")
    after = api.get(session["id"])
    assert (after["status"], after["last_error"]["code"]) == ("requires_input", "attempt_failed")
    again = api("POST", f"/sessions/{session['id']}/attempts").json()
    assert again["attempt"]["number"] == 2
    come_back(face_check(again["attempt"]["h5_link"]))
    api.wait(session["id"], lambda found: found["status"] == "verified")
    assert come_back(failed).headers["Location"].endswith("status=verified")
    assert api.get(session["id"])["status"] == "verified"


def test_a_lost_callback_is_found_by_the_link_check(api: Api) -> None:
    session = api.session()
    face_check(session["attempt"]["h5_link"])  # passed, but the tab is closed before the redirect
    assert api.wait(session["id"], lambda found: found["status"] == "verified")["group_id"]


def test_an_abandoned_link_ends_as_link_expired(api: Api) -> None:
    session = api.session()
    made_long_ago(api, session["id"])
    after = api.wait(session["id"], lambda found: found["last_error"] is not None)
    assert (after["status"], after["last_error"]["code"]) == ("requires_input", "link_expired")
    assert after["attempt"]["status"] == "lapsed"


def test_a_throttled_submission_succeeds_later(api: Api, media: DemoMedia, crun: SimulatorControl) -> None:
    session_id = verified(api)
    crun.fault(call="upload", kind="both", code=429, times=2, retry_after=1)
    made = api("POST", f"/sessions/{session_id}/assets", json=registration(media.portrait_png, "Image", "image/png"))
    send_file(made.json()["upload"], media.portrait_png.read_bytes())
    done = api.wait(session_id, lambda found: settled(found))
    assert done["assets"][0]["status"] == "active"


@pytest.mark.parametrize("kind", ["hang", "html"])
def test_a_lost_result_is_requested_again(api: Api, crun: SimulatorControl, kind: str) -> None:
    crun.fault(call="result", kind=kind, times=1, work_done=False, **({"seconds": 14} if kind == "hang" else {}))
    session = api.session()
    come_back(face_check(session["attempt"]["h5_link"]))
    assert api.wait(session["id"], lambda found: found["status"] == "verified" or found["last_error"])
