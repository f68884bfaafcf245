"""Generations: the calls about tasks, their outcomes, what they cost, their media, and their callbacks."""

import http.server
import io
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import pytest
import requests
from PIL import Image, ImageStat

from local import media
from local.simulator import AssetOutcome, FaultRule, SimulatorSettings, TaskOutcome
from local.simulator.models import MODELS
from local.simulator.render import FilmPlan, render, sides, small_picture
from tests.simulator.conftest import API_KEY, JOB, Crun

Serve = Callable[[str, bytes], str]
BALANCE = "/api/v1/client/account/balance"
R20, I20 = "bytedance/seedance2-0-r2v", "bytedance/seedance2-0-i2v"
R25, I25 = "bytedance/seedance2-5-r2v", "bytedance/seedance2-5-i2v"
PICTURE = "https://example.com/a.jpg"
#: A task is pending for a quarter of this, so that a busy machine does not matter.
_TASK_SECONDS = 40.0
INPUT: dict[str, Any] = {"prompt": "waves", "reference_images": [PICTURE], "duration": 4, "audio": False}


@pytest.fixture(autouse=True)
def long_tasks(crun: Crun) -> None:
    """Makes tasks longer than the tests: they end when the clock is moved."""
    crun.simulator.update_settings(task_min_seconds=_TASK_SECONDS, task_max_seconds=_TASK_SECONDS)


def created(crun: Crun, model: str = R20, callback_url: str | None = None, **changes: Any) -> requests.Response:
    """Calls CreateTask with a valid input and some changes; a change to None removes the field."""
    wanted = {name: value for name, value in {**INPUT, **changes}.items() if value is not None}
    body: dict[str, Any] = {"model": model, "input": wanted}
    if callback_url is not None:
        body["callback_url"] = callback_url
    return crun.request("POST", f"{JOB}/CreateTask", json=body)


def task_of(answer: requests.Response) -> str:
    """Returns the id of a created task."""
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["task_id"])


def looked_up(crun: Crun, task_id: str) -> requests.Response:
    return crun.request("GET", f"{JOB}/TaskInfo", params={"task_id": task_id})


def info(crun: Crun, task_id: str) -> dict[str, Any]:
    """Returns TaskInfo's data."""
    data: dict[str, Any] = looked_up(crun, task_id).json()["data"]
    return data


def ended(crun: Crun, task_id: str) -> dict[str, Any]:
    """Moves the clock past the end of a task, and returns TaskInfo's data."""
    crun.simulator.advance(_TASK_SECONDS + 1)
    return info(crun, task_id)


def fetch(crun: Crun, url: str) -> requests.Response:
    return crun.session.get(url, timeout=30, allow_redirects=False)


def active_asset(crun: Crun, serve: Serve, person: str = "alice", kind: str = "Image") -> str:
    """Uploads a file of a person and returns its `asset://` id."""
    made = {
        "Image": lambda: media.portrait(person, 400, 500),
        "Video": lambda: media.clip(person, 2, 320, 400),
        "Audio": lambda: media.voice(person, 2),
    }
    asset = crun.settled(serve(f"{person}.{kind}", made[kind]()), crun.group(person), kind)
    assert asset["Status"] == "Active"
    return f"asset://{asset['AssetId']}"


# -- CreateTask and TaskInfo ---------------------------------------------------------------------------


def test_a_task_is_pending_then_running_then_a_success(crun: Crun) -> None:
    task_id = task_of(created(crun, callback_url="https://example.com/task/1"))
    assert str(uuid.UUID(task_id)) == task_id
    assert info(crun, task_id)["status"] == "pending"
    crun.simulator.advance(_TASK_SECONDS / 2)
    running = info(crun, task_id)
    assert (running["status"], running["result"], running["complete_at"]) == ("running", None, None)
    done = ended(crun, task_id)
    assert done.keys() == {
        *("task_id", "provider", "model_version", "status", "param", "create_at", "complete_at", "duration_s"),
        *("credits", "result", "source"),
    }
    assert (done["task_id"], done["status"], done["duration_s"]) == (task_id, "success", _TASK_SECONDS)
    assert done["param"] == {"model": R20, "input": INPUT, "callback_url": "https://example.com/task/1"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", done["create_at"])
    assert isinstance(done["complete_at"], int)
    assert done["result"].keys() == {"code", "message", "media_urls", "usage"}
    assert len(done["result"]["media_urls"]) == 1


@pytest.mark.parametrize(("unknown", "status", "code"), [("404", 404, 404), ("no_data", 200, 200)])
def test_an_unknown_task(crun: Crun, unknown: str, status: int, code: int) -> None:
    crun.simulator.update_settings(task_unknown=unknown, task_visible_after_seconds=10)
    new = task_of(created(crun))
    for task_id in (str(uuid.uuid4()), new):
        answer = looked_up(crun, task_id)
        assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (status, code, None)
    assert ended(crun, new)["status"] == "success"
    assert crun.request("GET", f"{JOB}/TaskInfo").json()["code"] == 422


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"{}", "model"),
        (b'{"model": "x", "input": {}}', "model: unknown model"),
        (b'{"model": "bytedance/seedance2-0-r2v"}', "input"),
        (b'{"model": "bytedance/seedance2-0-r2v", "input": [], "callback_url": null}', "input"),
        (b'{"model": "bytedance/seedance2-0-r2v", "input": {}, "callback_url": "x"}', "callback_url"),
        (b'{"model": "bytedance/seedance2-0-r2v", "input": {}}', "input.prompt"),
    ],
)
def test_a_bad_body_is_refused_by_field(crun: Crun, body: bytes, named: str) -> None:
    for call in ("CreateTask", "EstimateTask"):
        answer = crun.request("POST", f"{JOB}/{call}", data=body)
        assert answer.status_code == 422
        assert answer.json()["message"] == "Missing Params or Type Error"
        assert answer.json()["errors"][0].startswith(named)
    assert crun.simulator.state()["tasks"] == {}


MANY = [PICTURE] * 31
LIMITS = [
    (R20, {"prompt": ""}, "input.prompt"),
    (R20, {"prompt": "x" * 5001}, "input.prompt"),
    (R20, {"duration": 3}, "input.duration"),
    (R20, {"duration": 16}, "input.duration"),
    (R20, {"duration": "4"}, "input.duration"),
    (R20, {"resolution": "4k"}, "input.resolution"),
    (R20, {"aspect_ratio": "2:1"}, "input.aspect_ratio"),
    (R20, {"reference_images": MANY[:10]}, "input.reference_images"),
    (R20, {"reference_videos": MANY[:4]}, "input.reference_videos"),
    (R20, {"reference_audios": MANY[:4]}, "input.reference_audios"),
    (R20, {"reference_images": MANY[:9], "reference_videos": MANY[:3], "reference_audios": MANY[:1]}, "input"),
    (R20, {"reference_images": None, "reference_audios": MANY[:1]}, "input"),
    (R20, {"reference_images": None}, "input"),
    (R20, {"reference_images": ["s3://bucket/key"]}, "input.reference_images.0"),
    (R20, {"reference_images": ["asset://"]}, "input.reference_images.0"),
    (I20, {}, "input.img_urls"),
    (I20, {"img_urls": []}, "input.img_urls"),
    (I20, {"img_urls": MANY[:3]}, "input.img_urls"),
    (R25, {"duration": 31}, "input.duration"),
    (R25, {"reference_images": MANY[:31]}, "input.reference_images"),
    (R25, {"reference_images": None}, "input"),
    (R25, {"task_type": "other"}, "input.task_type"),
    (I25, {"img_urls": MANY[:1], "resolution": "1080p"}, "input.resolution"),
]


@pytest.mark.parametrize(("model", "change", "named"), LIMITS)
def test_an_input_beyond_the_limits_of_its_model_is_refused(
    crun: Crun, model: str, change: dict[str, Any], named: str
) -> None:
    answer = created(crun, model, **change)
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith(f"{named}:")
    assert "example.com" not in answer.text


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (R20, {"prompt": "x" * 5000, "duration": 15, "resolution": "1080p"}),
        (R20, {"reference_images": MANY[:9], "reference_videos": MANY[:3]}),
        (R20, {"reference_images": None, "reference_videos": MANY[:1], "reference_audios": MANY[:3]}),
        (R20, {"unknown": 1, "duration": None}),
        (I20, {"img_urls": MANY[:2]}),
        (R25, {"reference_images": MANY[:30], "reference_videos": MANY[:10], "reference_audios": MANY[:10]}),
        (R25, {"reference_images": None, "reference_audios": MANY[:1], "duration": 30, "task_type": "reference"}),
        (I25, {"img_urls": MANY[:1], "duration": 30}),
    ],
)
def test_an_input_at_the_limits_of_its_model_is_accepted(crun: Crun, model: str, change: dict[str, Any]) -> None:
    crun.simulator.update_settings(task_outcomes=(TaskOutcome(outcome="failed"),))  # renders no film
    assert info(crun, task_of(created(crun, model, **change)))["param"]["model"] == model


def test_an_asset_must_be_known_and_of_the_type_of_its_field(crun: Crun, serve: Serve) -> None:
    picture = active_asset(crun, serve)
    answer = created(crun, reference_images=[picture, "asset://unknown"], reference_videos=[picture])
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        "input.reference_images.1: asset not found",
        "input.reference_videos.0: the asset is not of the type Video",
    ]
    assert created(crun, reference_images=[picture]).status_code == 200


@pytest.mark.parametrize("outcome", ["failed", "never"])
def test_a_task_with_an_asset_that_is_not_active_fails_at_once(crun: Crun, outcome: Any) -> None:
    crun.simulator.update_settings(asset_outcomes=(AssetOutcome(name="*", outcome=outcome, after_seconds=0),))
    asset = crun.upload("http://127.0.0.1:9/a", crun.group()).json()["data"]["AssetId"]
    failed = info(crun, task_of(created(crun, reference_images=[f"asset://{asset}"])))
    assert (failed["status"], failed["credits"]) == ("failed", 0)
    assert failed["result"] == {"code": 501, "message": "An asset is not active.", "media_urls": [], "usage": {}}


def test_assets_do_not_exist_at_the_other_upstream(crun: Crun, serve: Serve) -> None:
    task_id = task_of(created(crun, R25, reference_images=[active_asset(crun, serve)], byteplus_fallback=True))
    assert info(crun, task_id)["status"] == "failed"


# -- outcomes and shapes -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [422, 501])
def test_moderation_refuses_a_prompt_at_once(crun: Crun, code: int) -> None:
    refusal = TaskOutcome(prompt="*blood*", outcome="refused", code=code, message="blocked", times=1)
    crun.simulator.update_settings(task_outcomes=(refusal,))
    answer = created(crun, prompt="a drop of blood")
    assert (answer.status_code, answer.json()["code"]) == (code, code)
    assert "blocked" in answer.text
    assert [created(crun, prompt=each).status_code for each in ("a lake", "a drop of blood")] == [200, 200]
    assert len(crun.simulator.state()["tasks"]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("where", "message", "reason"),
    [("message", "too wild", None), ("reason", "failed", "too wild"), ("both", "too wild", "too wild")],
)
def test_moderation_refuses_a_film_after_it_was_rendered(
    crun: Crun, where: str, message: str, reason: str | None
) -> None:
    outcome = TaskOutcome(outcome="failed", message="too wild", after_seconds=_TASK_SECONDS)
    crun.simulator.update_settings(task_outcomes=(outcome,), failed_reason_in=where)
    task_id = task_of(created(crun))
    assert info(crun, task_id)["status"] == "pending"
    failed = ended(crun, task_id)
    assert (failed["status"], failed["duration_s"], failed["result"]["message"]) == ("failed", _TASK_SECONDS, message)
    assert failed.get("reason") == reason


def test_a_slow_task_and_one_that_never_ends_and_one_that_vanishes(crun: Crun) -> None:
    crun.simulator.update_settings(
        task_outcomes=(
            TaskOutcome(prompt="slow", outcome="success", after_seconds=600),
            TaskOutcome(prompt="never", outcome="never"),
            TaskOutcome(prompt="gone", outcome="vanishes"),
        )
    )
    slow, never, gone = (task_of(created(crun, prompt=each)) for each in ("slow", "never", "gone"))
    crun.simulator.advance(599)
    assert [info(crun, each)["status"] for each in (slow, never)] == ["running", "running"]
    assert looked_up(crun, gone).status_code == 404
    crun.simulator.advance(100_000)
    assert [info(crun, each)["status"] for each in (slow, never)] == ["success", "running"]
    assert looked_up(crun, gone).status_code == 404


def test_statuses_in_upper_case(crun: Crun) -> None:
    crun.simulator.update_settings(task_status_case="upper")
    task_id = task_of(created(crun))
    assert info(crun, task_id)["status"] == "PENDING"
    assert ended(crun, task_id)["status"] == "SUCCESS"


@pytest.mark.parametrize(("where", "in_result", "in_data"), [("result", 1, 0), ("data", 0, 1), ("both", 1, 1)])
def test_the_place_of_media_urls(crun: Crun, where: str, in_result: int, in_data: int) -> None:
    crun.simulator.update_settings(media_urls_in=where)
    done = ended(crun, task_of(created(crun)))
    found = done["result"].get("media_urls", []), done.get("media_urls", [])
    assert tuple(map(len, found)) == (in_result, in_data)


def test_an_answer_without_a_code(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="create_task", kind="no_code"))
    answer = created(crun).json()
    assert answer.keys() == {"message", "data"}
    assert info(crun, answer["data"]["task_id"])["status"] == "pending"


def test_a_lost_response_leaves_a_task_and_its_request(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="create_task", kind="reset"))
    with pytest.raises(requests.exceptions.ConnectionError):
        created(crun)
    (lost,) = crun.simulator.create_requests()
    assert (lost.body, lost.code, lost.fault) == ({"model": R20, "input": INPUT}, 200, "reset")
    assert lost.task_id in crun.simulator.state()["tasks"]  # type: ignore[operator]
    crun.simulator.add_faults(FaultRule(call="task_info", kind="reset"))
    with pytest.raises(requests.exceptions.ConnectionError):
        looked_up(crun, str(lost.task_id))
    assert info(crun, str(lost.task_id))["task_id"] == lost.task_id


@pytest.mark.parametrize("call", ["CreateTask", "TaskInfo", "EstimateTask", "Models"])
@pytest.mark.parametrize("code", [429, 455])
def test_bursts_hit_the_new_calls_too(crun: Crun, call: str, code: int) -> None:
    crun.simulator.add_faults(FaultRule(call="any", kind="both", code=code, retry_after=1))
    method = "POST" if call in ("CreateTask", "EstimateTask") else "GET"
    answer = crun.request(method, f"{JOB}/{call}", json={})
    assert (answer.status_code, answer.headers["Retry-After"]) == (code, "1")
    assert crun.simulator.state()["tasks"] == {}


# -- what it costs -------------------------------------------------------------------------------------


def balance(crun: Crun) -> float:
    return float(crun.request("GET", BALANCE).json()["data"]["balance"])


def test_the_balance_falls_by_the_estimate_and_then_by_the_real_cost(crun: Crun) -> None:
    crun.simulator.update_settings(balance=100, success_credits_part=0.75)
    task_id = task_of(created(crun, resolution="720p"))
    assert (balance(crun), info(crun, task_id)["credits"]) == (68, 32)
    assert ended(crun, task_id)["credits"] == 24
    assert balance(crun) == 76


@pytest.mark.parametrize(
    ("part", "shown", "credits"), [(0, True, 0), (0.3, True, 4.8), (1, True, 16), (1, False, None)]
)
def test_what_a_failed_task_costs(crun: Crun, part: float, shown: bool, credits: float | None) -> None:  # noqa: A002
    crun.simulator.update_settings(
        balance=100,
        failed_credits_part=part,
        failed_credits_shown=shown,
        task_outcomes=(TaskOutcome(outcome="failed"),),
    )
    assert ended(crun, task_of(created(crun, resolution="480p"))).get("credits") == credits
    assert balance(crun) == 100 - 16 * part


@pytest.mark.parametrize(("style", "status"), [("body", 200), ("both", 402)])
def test_an_exhausted_balance_refuses_tasks_and_everything_else(crun: Crun, style: str, status: int) -> None:
    crun.simulator.update_settings(balance=60, refusal_style=style, success_credits_part=2)
    task_id = task_of(created(crun))
    for _ in range(2):
        answer = created(crun)
        assert (answer.status_code, answer.json()["code"]) == (status, 402), "32 of 28 credits"
        ended(crun, task_id)
    assert balance(crun) == -4
    assert crun.request("POST", f"{JOB}/visual-validate-session", json={"callback_url": PICTURE}).json()["code"] == 402


@pytest.mark.parametrize("code", [404, 505])
def test_one_of_the_two_estimates_answers(crun: Crun, code: int) -> None:
    crun.simulator.update_settings(balance=31, estimate_refusal_code=code)
    body = {"model": R20, "input": INPUT}

    def estimates() -> list[dict[str, Any]]:
        return [
            crun.request("POST", f"{JOB}/{each}", json=body).json() for each in ("EstimateTask", "estimate-credits")
        ]

    first, second = estimates()
    assert first["data"] == {"estimated_credits": 32, "balance": 31, "affordable": False}
    assert second["code"] == code
    crun.simulator.update_settings(estimate_call="estimate-credits")
    first, second = estimates()
    assert (first["code"], second["data"]) == (code, {"credits": 32, "estimated": True})
    crun.simulator.update_settings(estimate_call="both", balance=32)
    first, second = estimates()
    assert (first["data"]["affordable"], second["code"]) == (True, 200)
    assert (crun.simulator.state()["tasks"], balance(crun)) == ({}, 32)


# -- models --------------------------------------------------------------------------------------------


def test_the_models_and_the_schemas_of_their_input(crun: Crun) -> None:
    listed = crun.request("GET", f"{JOB}/Models").json()["data"]
    assert [each["model"] for each in listed["models"]] == list(MODELS)
    for name, field_name, limit in ((R20, "reference_images", 9), (I20, "img_urls", 2), (R25, "reference_audios", 10)):
        for path in (name, name.replace("/", "%2F")):
            found = crun.request("GET", f"{JOB}/Models/{path}").json()["data"]
            assert found["model"] == name
            assert found["input_schema"]["properties"][field_name]["maxItems"] == limit
            assert found["input_schema"]["properties"]["prompt"]["maxLength"] == 5000
    assert crun.request("GET", f"{JOB}/Models/none").status_code == 404
    assert crun.request("GET", f"{JOB}/Models", headers={}).status_code == 401


# -- films ---------------------------------------------------------------------------------------------


@dataclass
class Decoded:
    """A film: its frames, its facts, and how many seconds of sound it has."""

    frames: list[Image.Image]
    seconds: float
    comment: str
    sound_seconds: float = 0.0
    loudness: float = 0.0


def decoded(content: bytes) -> Decoded:
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 24
        seconds = float((container.duration or 0) / 1_000_000)
        frames = [each.to_image() for each in container.decode(stream)]  # type: ignore[no-untyped-call]
        found = Decoded(frames, seconds, container.metadata.get("comment", ""))
    with av.open(io.BytesIO(content), "r") as container:
        for sound in container.streams.audio:
            samples = list(container.decode(sound))
            found.sound_seconds = sum(each.samples for each in samples) / (sound.rate or 1)
            values = [abs(value) for each in samples for value in memoryview(each.planes[0]).cast("f")]
            found.loudness = max(values)
    return found


def difference(one: Image.Image, other: Image.Image) -> float:
    """Returns how far two pictures' pixels are apart on average, from 0 to 255."""
    first, second = (each.convert("RGB").resize((24, 24)).tobytes() for each in (one, other))
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) / len(first)


def mean(picture: Image.Image) -> tuple[float, ...]:
    return tuple(ImageStat.Stat(picture.convert("RGB")).mean)


def test_a_film_shows_the_persons_picture_and_moves(crun: Crun, serve: Serve) -> None:
    asset = active_asset(crun, serve)
    done = ended(crun, task_of(created(crun, reference_images=[asset], aspect_ratio="3:4", audio=True)))
    (url,) = done["result"]["media_urls"]
    assert re.fullmatch(re.escape(crun.simulator.url) + r"/media/[\w-]{43}\.mp4", url)
    answer = fetch(crun, url)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "video/mp4")
    film = decoded(answer.content)
    assert (len(film.frames), film.seconds, film.comment) == (96, 4.0, "likeness-person:alice;")
    assert film.frames[0].size == (360, 480)
    assert film.sound_seconds == pytest.approx(4, abs=0.1)
    assert 0.01 < film.loudness < 0.1
    with Image.open(io.BytesIO(media.portrait("alice", 400, 500))) as picture:
        assert difference(film.frames[0], picture) < 12
        assert difference(film.frames[0], film.frames[-1]) > 5
    with Image.open(io.BytesIO(media.portrait("bob", 400, 500))) as other:
        assert difference(film.frames[0], other) > 30


def test_a_film_shows_each_of_its_pictures_and_clips(crun: Crun, serve: Serve) -> None:
    pictures = [active_asset(crun, serve), active_asset(crun, serve, "bob")]
    clip, voice = active_asset(crun, serve, "alice", "Video"), active_asset(crun, serve, "alice", "Audio")
    references: dict[str, Any] = {"reference_images": pictures, "reference_videos": [clip], "reference_audios": [voice]}
    done = ended(crun, task_of(created(crun, **references, aspect_ratio="3:4")))
    film = decoded(fetch(crun, done["result"]["media_urls"][0]).content)
    assert film.comment == "likeness-person:alice;likeness-person:bob;"
    for number, person in ((0, "alice"), (32, "bob"), (64, "alice")):
        with Image.open(io.BytesIO(media.portrait(person, 400, 500))) as picture:
            assert difference(film.frames[number], picture) < 25
    assert film.sound_seconds == 0


def test_a_film_without_a_picture_is_drawn_and_has_its_last_frame(crun: Crun) -> None:
    done = ended(crun, task_of(created(crun, I20, img_urls=[PICTURE], return_last_frame=True)))
    film_url, frame_url = done["result"]["media_urls"]
    film, frame = decoded(fetch(crun, film_url).content), fetch(crun, frame_url)
    assert (len(film.frames), film.frames[0].size, film.comment) == (96, (480, 270), "")
    assert difference(film.frames[0], film.frames[-1]) > 5
    assert frame.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(frame.content)) as picture:
        assert picture.format == "JPEG"
        assert mean(picture) == pytest.approx(mean(film.frames[-1]), abs=4)
    assert fetch(crun, frame_url.replace(".jpg", ".mp4")).status_code == 404


def test_a_plan_gives_the_same_bytes_each_time() -> None:
    plan = FilmPlan(96, 54, 1, sound=True)
    assert render.__wrapped__(plan) == render.__wrapped__(plan)
    assert sides("21:9", ()) == (480, 206)
    assert small_picture(b"no picture", "Image") is small_picture(b"no clip", "Video") is None


# -- media links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchKey")])
def test_a_media_link_expires_a_minute_after_the_end_of_the_task(crun: Crun, status: int, code: str) -> None:
    crun.simulator.update_settings(media_gone_status=status)
    task_id = task_of(created(crun))
    (url,) = ended(crun, task_id)["result"]["media_urls"]
    assert [fetch(crun, url).status_code, crun.session.head(url, timeout=30).status_code] == [200, 200]
    crun.simulator.advance(60)
    gone = fetch(crun, url)
    assert (gone.status_code, gone.headers["Content-Type"]) == (status, "application/xml")
    assert f"<Code>{code}</Code>" in gone.text
    assert info(crun, task_id)["result"]["media_urls"] == [url], "no new link"
    assert [each.status for each in crun.simulator.log() if each.call == "media"] == [200, 200, status]
    tasks: Any = crun.simulator.state()["tasks"]
    assert tasks[task_id]["downloads"] == 1


def test_media_links_can_be_renewed(crun: Crun) -> None:
    crun.simulator.update_settings(renew_media_links=True, media_link_seconds=30)
    task_id = task_of(created(crun))
    (first,) = ended(crun, task_id)["result"]["media_urls"]
    crun.simulator.advance(31)
    (second,) = info(crun, task_id)["result"]["media_urls"]
    assert [fetch(crun, each).status_code for each in (first, second)] == [403, 200]


def test_an_unknown_media_link(crun: Crun) -> None:
    for path in (f"/media/{'x' * 43}.mp4", "/media/", "/media/a/b.mp4"):
        assert fetch(crun, crun.simulator.url + path).status_code == 404


def test_faults_of_media_links(crun: Crun) -> None:
    (url,) = ended(crun, task_of(created(crun)))["result"]["media_urls"]
    whole = fetch(crun, url).content
    crun.simulator.add_faults(
        FaultRule(call="any", kind="html", times=None),  # is for calls of the API
        FaultRule(call="media", kind="redirect", location="http://10.0.0.1/a.mp4"),
        FaultRule(call="media", kind="html", code=200, after=1),
        FaultRule(call="media", kind="oversize", size_bytes=3_000_000, after=2),
        FaultRule(call="media", kind="corrupt", after=3),
        FaultRule(call="media", kind="http", code=503, after=4),
        FaultRule(call="media", kind="no_data", after=5),
        FaultRule(call="media", kind="truncated", after=6),
    )
    redirect, page, large, half, busy, same = (fetch(crun, url) for _ in range(6))
    assert (redirect.status_code, redirect.headers["Location"]) == (302, "http://10.0.0.1/a.mp4")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert (len(large.content), large.headers["Content-Type"]) == (3_000_000, "video/mp4")
    assert (half.content, busy.status_code, same.content) == (whole[: len(whole) // 2], 503, whole)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        fetch(crun, url)
    assert fetch(crun, url).content == whole


# -- callbacks -----------------------------------------------------------------------------------------


@dataclass
class Target:
    """A server that callbacks are sent to. ``answers`` are the statuses of its first responses; then it is 200."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int) -> list[dict[str, Any]]:
        """Returns the bodies when there are ``count`` of them."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.bodies) >= count, timeout=10), f"{len(self.bodies)} came"
            return list(self.bodies)


@pytest.fixture
def target() -> Iterator[Target]:
    """A target on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with made.arrived:
                made.bodies.append(body)
                made.headers.append({name.lower(): value for name, value in self.headers.items()})
                status = made.answers.pop(0) if made.answers else 200
                made.arrived.notify_all()
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Target(f"http://127.0.0.1:{server.server_address[1]}/task/1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        server.shutdown()
        thread.join(timeout=5)


def statuses(crun: Crun, task_id: str, count: int) -> list[int | None]:
    """Returns the statuses of a task's callbacks when there are ``count`` of them."""
    deadline = time.monotonic() + 10
    while True:
        tasks: Any = crun.simulator.state()["tasks"]
        found: list[int | None] = tasks[task_id]["callbacks"]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} callbacks"
        time.sleep(0.01)


def test_a_callback_has_the_data_of_task_info_and_no_signature(crun: Crun, target: Target) -> None:
    task_id = task_of(created(crun, callback_url=target.url))
    assert (info(crun, task_id)["status"], target.bodies) == ("pending", [])
    data = ended(crun, task_id)
    assert target.wait(1) == [data]
    assert not {"x-api-key", "authorization"} & target.headers[0].keys()
    assert API_KEY not in str(target.headers)
    assert statuses(crun, task_id, 1) == [200]


def test_a_late_callback_and_one_that_is_repeated(crun: Crun, target: Target) -> None:
    crun.simulator.update_settings(callback_delay_seconds=600, callback_times=2)
    task_id = task_of(created(crun, callback_url=target.url))
    assert ended(crun, task_id)["status"] == "success"
    assert target.bodies == []
    crun.simulator.advance(600)
    first, second = target.wait(2)
    assert first == second
    assert first["status"] == "success"


def test_a_callback_that_never_comes(crun: Crun, target: Target) -> None:
    crun.simulator.update_settings(callback_times=0)
    silent = task_of(created(crun, callback_url=target.url))
    crun.simulator.update_settings(callback_times=1)
    other = task_of(created(crun, callback_url=target.url))
    ended(crun, other)
    assert [each["task_id"] for each in target.wait(1)] == [other]
    assert (info(crun, silent)["status"], statuses(crun, silent, 0)) == ("success", [])
    assert crun.simulator.generation.callback_of(silent) == (target.url, info(crun, silent))


def test_forged_callbacks(crun: Crun, target: Target) -> None:
    crun.simulator.update_settings(callback_body="wrong_status")
    task_id = task_of(created(crun, callback_url=target.url))
    assert ended(crun, task_id)["status"] == "success"
    assert target.wait(1)[0]["status"] == "failed"
    crun.simulator.update_settings(callback_body="wrong_task")
    ended(crun, task_of(created(crun, callback_url=target.url)))
    forged = target.wait(2)[1]
    assert forged["task_id"] not in crun.simulator.state()["tasks"]  # type: ignore[operator]
    assert looked_up(crun, forged["task_id"]).status_code == 404


def test_a_callback_before_task_info_knows_the_task(crun: Crun, target: Target) -> None:
    crun.simulator.update_settings(callback_when="created", callback_body="wrong_status", task_visible_after_seconds=30)
    crun.simulator.add_faults(FaultRule(call="create_task", kind="reset"))
    with pytest.raises(requests.exceptions.ConnectionError):
        created(crun, callback_url=target.url)
    (early,) = target.wait(1)
    assert (early["status"], early["param"]["callback_url"]) == ("success", target.url)
    assert looked_up(crun, early["task_id"]).status_code == 404
    assert ended(crun, early["task_id"])["status"] == "success"


def test_a_callback_is_tried_a_few_times(crun: Crun, target: Target) -> None:
    target.answers = [500, 302, 503, 500]
    task_id = task_of(created(crun, callback_url=target.url))
    for count in (1, 2, 3):
        crun.simulator.advance(_TASK_SECONDS + 1)
        target.wait(count)
        statuses(crun, task_id, count)
    assert statuses(crun, task_id, 3) == [500, 302, 503]
    nobody = task_of(created(crun, callback_url="http://127.0.0.1:9/x"))
    crun.simulator.advance(_TASK_SECONDS + 1)
    assert statuses(crun, nobody, 1)[0] is None
    assert len(target.bodies) == 3


def test_a_target_that_does_not_respond_delays_nothing_else(crun: Crun, target: Target) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as deaf:
        # it accepts connections, and nobody reads them
        task_of(created(crun, callback_url=f"http://127.0.0.1:{deaf.server_address[1]}/"))
        other = task_of(created(crun, callback_url=target.url))
        assert ended(crun, other)["status"] == "success"
        assert target.wait(1)[0]["task_id"] == other
        assert crun.request("GET", BALANCE).status_code == 200
        started = time.monotonic()
        crun.simulator.stop()
        assert time.monotonic() - started < 5


# -- control -------------------------------------------------------------------------------------------


def control(crun: Crun, method: str, call: str, body: Any = None) -> requests.Response:
    return crun.request(method, f"/_sim/{call}", json=body, headers={})


def test_a_task_is_ended_on_request(crun: Crun, target: Target) -> None:
    good, bad, stuck, gone = (task_of(created(crun, callback_url=target.url)) for _ in range(4))
    for task_id, action in ((good, "success"), (bad, "failed"), (stuck, "never"), (gone, "vanishes")):
        body = {"task_id": task_id, "action": action, "message": "no faces"}
        assert control(crun, "POST", "tasks", body).json() == {"ok": True}
    assert (info(crun, good)["status"], info(crun, bad)["status"]) == ("success", "failed")
    assert info(crun, bad)["result"]["message"] == "no faces"
    assert sorted(each["task_id"] for each in target.wait(2)) == sorted([good, bad])
    crun.simulator.advance(1000)
    assert (info(crun, stuck)["status"], looked_up(crun, gone).status_code) == ("running", 404)
    assert target.wait(3)[2]["task_id"] == gone
    again = control(crun, "POST", "tasks", {"task_id": good, "action": "failed"})
    assert (again.status_code, again.json()) == (422, {"error": "the task has ended"})
    body = {"task_id": stuck, "action": "callback", "callback_body": "wrong_status"}
    assert control(crun, "POST", "tasks", body).status_code == 200
    assert (target.wait(4)[3]["status"], info(crun, stuck)["status"]) == ("success", "running")
    assert control(crun, "POST", "tasks", {"task_id": "none", "action": "never"}).status_code == 422
    silent = task_of(created(crun))
    assert control(crun, "POST", "tasks", {"task_id": silent, "action": "callback"}).status_code == 422


def test_calls_are_counted_and_requests_recorded(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="create_task", kind="both", code=429))
    assert created(crun).status_code == 429
    task_id = task_of(created(crun))
    created(crun, duration=99)
    crun.request("POST", f"{JOB}/CreateTask", data=b"{")
    info(crun, task_id)
    requested = control(crun, "GET", "create-requests").json()["requests"]
    assert [(each["code"], each["fault"], each["task_id"]) for each in requested] == [
        (429, "both", None),
        (200, None, task_id),
        (422, None, None),
        (422, None, None),
    ]
    assert requested[1]["body"] == {"model": R20, "input": INPUT}
    assert requested[3]["body"] is None
    state = control(crun, "GET", "state")
    assert state.json()["calls"] == {"create_task": 4, "task_info": 1}
    assert state.json()["tasks"][task_id] == {
        "model": R20,
        "status": "pending",
        "fate": "success",
        "credits": 32.0,
        "looks": 1,
        "downloads": 0,
        "callbacks": [],
    }
    log = control(crun, "GET", "log")
    assert [each["task_id"] for each in log.json()["entries"]] == [None, task_id, None, None, task_id]
    assert "waves" not in state.text + log.text


def test_the_page_shows_tasks_and_ends_them(crun: Crun, target: Target) -> None:
    task_id = task_of(created(crun, callback_url=target.url))
    shown = crun.request("GET", "/_sim", headers={}).text
    assert all(text in shown for text in (task_id, R20, 'value="never"', "968 credits are left"))
    assert "waves" not in shown
    form = {"do": "task", "task": task_id, "action": "failed"}
    headers = {"Origin": crun.simulator.url}
    assert crun.request("POST", "/_sim", data=form, headers=headers).status_code == 303
    assert info(crun, task_id)["status"] == "failed"
    target.wait(1)
    shown = crun.request("GET", "/_sim", headers={}).text
    assert "failed: The content was blocked by moderation." in shown
    assert 'value="never"' not in shown
    bad = crun.request("POST", "/_sim", data=form | {"action": "explode"}, headers=headers)
    assert (bad.status_code, "choose an action" in bad.text) == (422, True)


def test_a_reset_deletes_tasks_films_and_planned_callbacks(crun: Crun, target: Target) -> None:
    task_id = task_of(created(crun, callback_url=target.url))
    (url,) = ended(crun, task_of(created(crun)))["result"]["media_urls"]
    target.wait(1)
    crun.simulator.reset()
    assert looked_up(crun, task_id).status_code == 404
    assert fetch(crun, url).status_code == 404
    assert (crun.simulator.create_requests(), balance(crun)) == ([], 1000)


def test_settings_refuse_reversed_times_of_tasks() -> None:
    with pytest.raises(ValueError, match="task_min_seconds"):
        SimulatorSettings(task_min_seconds=5, task_max_seconds=1)
