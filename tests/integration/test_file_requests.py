"""Named files that a client asks for, from the request to the settled session, over HTTP on the deployed stack."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlsplit

from likeness_client import Client, FileRequest, NewAsset
from local.media import DemoMedia
from tests.integration.conftest import Api, Listener, agree, come_back, face_check, registration, send_file


def upload(person: Api, session_id: str, request: str, file: Path, kind: str, content_type: str) -> str:
    """Registers a file for a request and uploads it. Returns the asset's id."""
    body = registration(file, kind, content_type) | {"request": request}
    made = person("POST", f"/sessions/{session_id}/assets", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["name"], made.json()["request"]) == (request, request)
    assert send_file(made.json()["upload"], file.read_bytes()).ok
    return str(made.json()["id"])


def test_two_named_files_are_asked_for_one_is_replaced_and_the_session_is_settled(
    api: Api, media: DemoMedia, listener: Listener
) -> None:
    front = {"name": "front of alice", "asset_type": "Image", "hint": "Your face from the front, in daylight"}
    voice = {"name": "say: 你好, hello", "asset_type": "Audio"}
    any_letters = "side of alice? 100%"
    side = {"name": any_letters, "asset_type": "Image", "required": False}
    session = api.session(start="on_open", language="en", requests=[front, voice])
    session_id, path = session["id"], f"/sessions/{session['id']}"
    person = api.with_credential(urlsplit(session["invite_url"]).fragment)
    assert [each["status"] for each in session["requests"]] == ["open", "open"]
    assert person("POST", f"{path}/finish").json()["code"] == "not_verified"

    # Names with any letters are part of a path.
    assert api("POST", f"{path}/requests", json={"requests": [side]}).status_code == 201
    assert api("POST", f"{path}/requests", json={"requests": [side]}).status_code == 200
    assert person("DELETE", f"{path}/requests/{quote(any_letters, safe='')}").status_code == 403
    withdrawn = api("DELETE", f"{path}/requests/{quote(any_letters, safe='')}")
    assert [each["name"] for each in withdrawn.json()["requests"]] == [front["name"], voice["name"]]

    agree(person, session_id)
    link = person("POST", f"{path}/attempts").json()["attempt"]["h5_link"]
    assert come_back(face_check(link)).status_code == 303
    api.wait(session_id, lambda found: found["status"] == "verified")
    assert not api.get(session_id)["settled"]

    # A sound where a picture was asked for: the file fails, and the request is open again.
    sound = media.voice_wav
    body = registration(sound, "Image", "image/jpeg") | {"request": front["name"]}
    refused = person("POST", f"{path}/assets", json=body | {"asset_type": "Audio", "content_type": "audio/wav"})
    assert (refused.status_code, refused.json()["field"]) == (400, "asset_type")
    wrong = person("POST", f"{path}/assets", json=body).json()
    assert send_file(wrong["upload"], sound.read_bytes()).ok
    failed = api.wait(session_id, lambda found: found["assets"][0]["status"] == "failed")
    assert failed["assets"][0]["error"]["code"] == "unexpected_type"
    assert (failed["requests"][0]["status"], failed["requests"][0]["asset_id"]) == ("open", wrong["id"])

    right = upload(person, session_id, front["name"], media.portrait_jpeg, "Image", "image/jpeg")
    upload(person, session_id, voice["name"], sound, "Audio", "audio/wav")
    done = api.wait(session_id, lambda found: found["settled"])
    assert {each["name"]: each["status"] for each in done["requests"]} == {
        front["name"]: "active", voice["name"]: "active",
    }  # fmt: skip
    assert done["requests"][0]["asset_id"] == right
    late = person("POST", f"{path}/assets", json=registration(media.portrait_jpeg, "Image", "image/jpeg") | body)
    assert (late.status_code, late.json()["code"]) == (409, "request_filled")

    first = person("POST", f"{path}/finish").json()
    assert first["finished_at"]
    assert person("POST", f"{path}/finish").json() == first
    events = listener.wait(session_id, Counter({"session.finished": 1}))
    (finished,) = [each["detail"] for each in events if each["detail-type"] == "likeness.session.finished"]
    assert finished["finished_at"] == first["finished_at"]
    assert not any(name in str(events) for name in (front["name"], voice["name"], front["hint"]))


def test_the_client_asks_for_a_file_sends_it_itself_and_waits(api: Api, media: DemoMedia) -> None:
    assert api.credential
    with Client(api.stack.api_url, api.credential) as client:
        session = client.create_session(requests=[FileRequest(name="front of alice", asset_type="Image")])
        assert session.attempt
        assert session.attempt.h5_link
        assert come_back(face_check(session.attempt.h5_link)).status_code == 303
        client.add_requests(session.id, [FileRequest(name="..%2f+b of alice", asset_type="Video")])
        assert len(client.withdraw_request(session.id, "..%2f+b of alice").requests) == 1
        new = NewAsset.of_file(media.portrait_png, request="front of alice")
        client.upload(client.register_asset(session.id, new), media.portrait_png)
        done = client.wait_until_settled(session.id, timeout=60)
        assert [(each.name, each.status) for each in done.requests] == [("front of alice", "active")]
        assert client.finish_session(session.id).finished_at
