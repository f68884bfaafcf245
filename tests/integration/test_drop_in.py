"""One unchanged program for crun.ai, against the simulator and against Likeness: the same responses, field by field.

Where they differ, Likeness promises what crun does not.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from local import emulator
from local.crun_script import (
    Callbacks,
    CrunApi,
    File,
    Onboarded,
    Refused,
    generate,
    onboard,
    pass_check,
    save,
    serving,
)
from local.media import DemoMedia
from local.receiver import Receiver
from local.stack import Stack
from ops.client_keys import ClientKeys
from tests.integration.conftest import Api, Canaries, SimulatorControl

JOB = "/api/v1/client/job/"
MODEL = "bytedance/seedance2-0-r2v"
#: A prompt that no log may contain.
PROMPT = "[Image1] hums a secret tune"
#: An input without an asset.
NOBODY = {"prompt": PROMPT, "reference_images": ["https://app.example.com/a.jpg"], "duration": 4}


@dataclass
class Side:
    """The program, connected to one of the two."""

    api: CrunApi
    callbacks: Callbacks
    served: str
    files: dict[str, File] = field(default_factory=dict)

    def onboard(self, *names: str, send: Callable[[str], None] = pass_check, **how: Any) -> Onboarded:
        """Onboards one person with some of the files."""
        return onboard(self.api, self.callbacks, send, [self.files[each] for each in names], **how)

    def ask(self, method: str, call: str, **options: Any) -> requests.Response:
        """Sends a request that the program itself does not send, and records the response."""
        headers = {"x-api-key": self.api.api_key} | options.pop("headers", {})
        answer = requests.request(method, self.api.base_url + JOB + call, headers=headers, timeout=40, **options)
        self.api.answers.append((call, answer.status_code, answer.json()))
        return answer


@pytest.fixture(scope="module")
def served(media: DemoMedia) -> Iterator[str]:
    """A server with the demo's files, and one that is not a picture."""
    folder = media.portrait_jpeg.parent
    (folder / "page.jpg").write_text("<!doctype html><title>not found</title>")
    with serving(folder) as url:
        yield url


@pytest.fixture(scope="module")
def callbacks() -> Iterator[Callbacks]:
    with Callbacks() as listening:
        yield listening


@pytest.fixture(scope="module")
def client_key(callbacks: Callbacks, keys: ClientKeys, canaries: Canaries) -> str:
    key = keys.add("drop-in", [callbacks.url.rpartition("/")[0]], sees_balance=True)
    canaries.secrets |= {key, PROMPT.partition(" ")[2]}
    return key


def _side(base_url: str, key: str, callbacks: Callbacks, served: str, media: DemoMedia) -> Side:
    kinds = {
        "front": (media.portrait_jpeg, "Image"), "clip": (media.clip_mp4, "Video"),
        "voice": (media.voice_wav, "Audio"), "other_person": (media.other_person_jpeg, "Image"),
        "page": (Path("page.jpg"), "Image"), "nowhere": (Path("nowhere.jpg"), "Image"),
    }  # fmt: skip
    files = {name: File(name, kind, partial(str, f"{served}/{path.name}")) for name, (path, kind) in kinds.items()}
    return Side(CrunApi(base_url, key), callbacks, served, files)


@pytest.fixture
def bare(stack: Stack, crun: SimulatorControl, callbacks: Callbacks, served: str, media: DemoMedia) -> Side:
    """The program against the simulator itself."""
    return _side(crun.url, stack.crun_api_key, callbacks, served, media)


@pytest.fixture
def facade(
    stack: Stack, client_key: str, callbacks: Callbacks, served: str, media: DemoMedia, canaries: Canaries
) -> Iterator[Side]:
    """The same program against Likeness; its tokens and links must not be in a log."""
    side = _side(stack.api_url, client_key, callbacks, served, media)
    yield side
    for call, _, body in side.api.answers:
        if call == "visual-validate-session" and body.get("data"):
            canaries.secrets |= {body["data"]["BytedToken"], body["data"]["H5Link"]}


def settings(crun: SimulatorControl, **changes: Any) -> dict[str, Any]:
    """Changes the simulator's settings; returns the previous ones."""
    before: dict[str, Any] = requests.get(f"{crun.url}/_sim/settings", timeout=10).json()
    requests.post(f"{crun.url}/_sim/settings", json=changes, timeout=10).raise_for_status()
    return {name: before[name] for name in changes}


# -- the same responses ---------------------------------------------------------------------------------------------


class Names:
    """Replaces values that differ each time (tokens, ids, links, times) with names."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def named(self, call: str, body: Any) -> Any:
        data = body.get("data") or {}
        for name in ("BytedToken", "GroupId", "AssetId", "task_id"):
            if name in data:
                count = sum(each.startswith(name) for each in self._names.values())
                self._names.setdefault(data[name], f"{name} {count + 1}")
        return {name: self._value(name, value) for name, value in body.items()}

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {each: self._value(each, inner) for each, inner in value.items()}
        if name == "media_urls":
            return [urlsplit(each).path.rpartition(".")[2] for each in value]
        if isinstance(value, list):
            return [self._value("", each) for each in value]
        if name in ("create_at", "complete_at", "duration_s"):
            return re.sub("[0-9]", "0", value) if isinstance(value, str) else type(value).__name__
        if name == "H5Link":
            parts = urlsplit(value)
            return parts.path, [(key, each if key == "lng" else "") for key, each in parse_qsl(parts.query, True)]
        if name in ("CreateTime", "UpdateTime"):
            return re.sub("[0-9]", "0", value) if isinstance(value, str) else type(value).__name__
        scheme, separator, known = value.rpartition("://") if isinstance(value, str) else ("", "", value)
        return f"{scheme}{separator}{self._names.get(known, known)}" if isinstance(value, str) else value


def answers_of(side: Side) -> list[Any]:
    """Returns the program's responses, without polls of what was not over."""
    names = Names()
    found: list[Any] = [(call, status, names.named(call, body)) for call, status, body in side.api.answers]
    for _, _, body in found:
        error = (body.get("data") or {}).get("Error")
        if error and error["Code"] in ("DownloadFailed", "FormatUnsupported"):
            del error["Message"]  # Likeness finds these errors itself, with its own messages
    waiting = {("Status", "Processing"), ("status", "pending"), ("status", "running")}
    return [
        each for each in found if not any((each[2].get("data") or {}).get(name) == value for name, value in waiting)
    ]


def wanted(done: Onboarded, prompt: str = PROMPT) -> dict[str, Any]:
    """Returns the input of a video of an onboarded person."""
    return {"prompt": prompt, "reference_images": done.uris[:1], "duration": 4, "resolution": "480p"}


def video(side: Side, prompt: str = PROMPT) -> dict[str, Any]:
    """Onboards a person with a picture and makes a video."""
    return generate(side.api, MODEL, wanted(side.onboard("front"), prompt), pause=0.5, timeout=120)


def happy(side: Side) -> None:
    """Everything that a program does, with valid and invalid files."""
    done = side.onboard("front", "clip", "voice", "other_person", "page", "nowhere")
    assert len(done.uris) == 3


def not_passed(side: Side) -> None:
    for outcome in ("fail", "cancel"):
        with pytest.raises(Refused, match="callback"):
            side.onboard("front", send=partial(pass_check, outcome=outcome))
        token = side.api.answers[-1][2]["data"]["BytedToken"]
        with pytest.raises(Refused, match="404"):
            side.api.group_id(token)


def too_early(side: Side) -> None:
    token = side.api.session(side.callbacks.url)["BytedToken"]
    side.ask("GET", "visual-validate-result", params={"byted_token": token})


def bad_sessions(side: Side) -> None:
    bad: list[Any] = [{}, {"callback_url": 5}, {"callback_url": "nowhere"}, {"callback_url": "ftp://a.test/"}, [], None]
    for body in bad:
        assert side.ask("POST", "visual-validate-session", json=body).status_code == 422
    side.ask("POST", "visual-validate-session", data="{not json")
    side.ask("POST", "visual-validate-session", json={"callback_url": side.callbacks.url, "unknown": [1]})


def bad_questions(side: Side) -> None:
    for call, name in (("visual-validate-result", "byted_token"), ("asset-info", "asset_id")):
        for parameters in ({}, {name: ""}, {name: "nobody's"}, {name: "../x?y=%00"}):
            side.ask("GET", call, params=parameters)


def bad_uploads(side: Side) -> None:
    good = {"name": "x", "asset_type": "Image", "asset_url": side.files["front"].url(), "group_id": "group-nobody's"}
    bad: list[dict[str, Any]] = [
        {"name": ""}, {"name": "x" * 65}, {"name": None}, {"asset_type": "image"}, {"asset_type": 1},
        {"asset_url": "x"}, {"asset_url": "file:///etc/passwd"}, {"group_id": ""}, {"group_id": "g" * 129},
    ]  # fmt: skip
    for changes in [{}, *bad]:
        side.ask("POST", "asset-upload", json=good | changes)
    side.ask("POST", "asset-upload", json={"name": "x"})
    side.ask("POST", "asset-upload", data="")


def a_video(side: Side) -> None:
    made = video(side)
    assert made["status"] == "success"
    assert made["param"]["input"]["prompt"] == PROMPT


def a_video_that_is_blocked(side: Side) -> None:
    with pytest.raises(Refused, match="TaskInfo: 501 blocked afterwards"):
        video(side, "[Image1] is blocked afterwards")
    for prompt in ("[Image1] is blocked by 422", "[Image1] is blocked by 501"):
        with pytest.raises(Refused, match=r"CreateTask: (422|501) blocked before"):
            video(side, prompt)


def bad_tasks(side: Side) -> None:
    good = {"model": MODEL, "input": {"prompt": "a hill", "reference_images": ["https://app.example.com/a.jpg"]}}
    bad: list[Any] = [
        {}, [], {"model": "", "input": {}}, good | {"input": []}, good | {"model": 5},
        good | {"model": "no/such-model"}, good | {"callback_url": "nowhere"}, good | {"callback_url": "ftp://a.test/"},
    ]  # fmt: skip
    for call in ("CreateTask", "EstimateTask"):
        for body in bad:
            assert side.ask("POST", call, json=body).status_code == 422
    for parameters in ({}, {"task_id": ""}, {"task_id": "nobody's"}, {"task_id": "../x?y=%00"}):
        side.ask("GET", "TaskInfo", params=parameters)


def estimates(side: Side) -> None:
    done = side.onboard("front")
    for call in ("EstimateTask", "../account/balance"):
        body = {"model": MODEL, "input": wanted(done)}
        answer = side.ask(*("POST", call), json=body) if call == "EstimateTask" else side.ask("GET", call)
        assert answer.status_code == 200


def bad_keys(side: Side) -> None:
    for key in ("", "lk_nobody", "st_ses_x.y.1.z"):
        side.ask("POST", "visual-validate-session", headers={"x-api-key": key}, json={"callback_url": "x"})
        side.ask("GET", "asset-info", headers={"x-api-key": key})


def no_such_route(side: Side) -> None:
    side.ask("GET", "asset-upload")
    side.ask("POST", "asset-info", json={})
    side.ask("DELETE", "visual-validate-session")
    side.ask("GET", "asset-delete")
    side.ask("GET", "../account/nothing")


@pytest.fixture
def moderation(crun: SimulatorControl) -> Iterator[None]:
    """crun blocks some prompts: before it makes a video, and afterwards."""
    after = {"prompt": "*blocked afterwards", "outcome": "failed", "message": "blocked afterwards"}
    before_it = [
        {"prompt": f"*blocked by {code}", "outcome": "refused", "code": code, "message": "blocked before"}
        for code in (422, 501)
    ]
    previous = settings(crun, task_outcomes=[after, *before_it])
    yield
    settings(crun, **previous)


@pytest.mark.usefixtures("moderation")
@pytest.mark.parametrize(
    "play",
    [
        happy, not_passed, too_early, bad_sessions, bad_questions, bad_uploads, bad_keys, no_such_route, a_video,
        a_video_that_is_blocked, bad_tasks, estimates,
    ],
)  # fmt: skip
def test_the_same_program_gets_the_same_responses(bare: Side, facade: Side, play: Callable[[Side], None]) -> None:
    for side in (bare, facade):
        play(side)
    assert answers_of(facade) == answers_of(bare)
    assert answers_of(bare)


def test_the_browser_returns_with_the_same_parameters(bare: Side, facade: Side) -> None:
    callbacks = bare.callbacks
    brought = []
    for side in (bare, facade):
        for outcome in ("pass", "fail", "cancel"):
            with suppress(Refused):
                side.onboard(send=partial(pass_check, outcome=outcome))
            token = next(body for call, _, body in reversed(side.api.answers) if call == "visual-validate-session")
            came = callbacks.of(token["data"]["BytedToken"], 5)
            assert came
            brought.append(list((came | {"bytedToken": "T"}).items()))
    assert brought[:3] == brought[3:]


@pytest.mark.parametrize("callback", ["?order=1&x=%2F", "?order=1#top", "#top", "?", "/deep/er?a=b&"])
def test_a_callback_url_can_have_a_query_and_a_fragment(facade: Side, callback: str) -> None:
    url = facade.callbacks.url + callback
    made = facade.api.session(url)
    assert made["CallbackURL"] == url
    back = requests.post(made["H5Link"], data={"outcome": "pass", "person": "alice"}, timeout=40, allow_redirects=False)
    location = requests.get(back.headers["Location"], timeout=40, allow_redirects=False).headers["Location"]
    own, mine = urlsplit(url), urlsplit(location)
    assert (mine.scheme, mine.netloc, mine.path, mine.fragment) == (own.scheme, own.netloc, own.path, own.fragment)
    query = parse_qsl(mine.query, keep_blank_values=True)
    before = parse_qsl(own.query)
    assert query[: len(before)] == before
    assert [name for name, _ in query[len(before) :]] == [
        "bytedToken", "resultCode", "algorithmBaseRespCode", "reqMeasureInfoValue", "verify_type",
    ]  # fmt: skip
    assert dict(query)["bytedToken"] == made["BytedToken"]


@pytest.mark.parametrize(("code", "setting"), [(402, {"balance": 0})])
def test_a_refusal_of_the_account_is_the_same(
    bare: Side, facade: Side, crun: SimulatorControl, code: int, setting: dict[str, Any]
) -> None:
    groups = [side.onboard().group_id for side in (bare, facade)]
    before = settings(crun, **setting)
    try:
        for side, group_id in zip((bare, facade), groups, strict=True):
            with pytest.raises(Refused, match=str(code)):
                side.onboard()
            with pytest.raises(Refused, match=str(code)):
                side.api.upload("front", "Image", side.files["front"].url(), group_id)
            with pytest.raises(Refused, match=str(code)):
                side.api.create_task(MODEL, NOBODY)
    finally:
        settings(crun, **before)
    answers = [[(call, status, body["code"]) for call, status, body in side.api.answers] for side in (bare, facade)]
    assert answers[0] == answers[1]


# -- what crun does not promise -------------------------------------------------------------------------------------


def test_a_token_can_be_looked_up_twice(bare: Side, facade: Side) -> None:
    with pytest.raises(Refused, match="404"):
        bare.onboard("front", lookups=2)
    assert len(facade.onboard("front", lookups=2).uris) == 1


def _passes_late_and_closes_the_tab(side: Side) -> Callable[[str], None]:
    """Returns a person who passes after the first look-up, and whose browser never returns."""

    def come(h5_link: str) -> None:
        while not any(call == "visual-validate-result" for call, _, _ in side.api.answers):
            time.sleep(0.1)
        requests.post(h5_link, data={"outcome": "pass"}, timeout=40, allow_redirects=False)

    return lambda h5_link: threading.Thread(target=come, args=[h5_link], daemon=True).start()


def test_a_lost_callback_does_not_matter(bare: Side, facade: Side) -> None:
    with pytest.raises(TimeoutError):
        bare.onboard("front", send=_passes_late_and_closes_the_tab(bare), ask_after=1, timeout=10)
    done = facade.onboard("front", send=_passes_late_and_closes_the_tab(facade), ask_after=1)
    assert len(done.uris) == 1


@pytest.mark.parametrize("code", [429, 455])
def test_a_busy_or_unavailable_crun_is_retried(bare: Side, facade: Side, crun: SimulatorControl, code: int) -> None:
    calls = ("session", "result", "upload", "info")
    for call in calls:
        crun.fault(call=call, kind="both", code=code, times=3, retry_after=1)
        with pytest.raises(Refused, match=str(code)):
            bare.onboard("front")
        crun.calm()
    for call in calls:
        crun.fault(call=call, kind="both", code=code, times=3, retry_after=1)
    assert len(facade.onboard("front").uris) == 1


def test_a_files_url_can_expire_right_after_the_upload(
    bare: Side, facade: Side, crun: SimulatorControl, stack: Stack, media: DemoMedia
) -> None:
    s3 = emulator.client("s3", stack.emulator_endpoint)
    s3.create_bucket(Bucket="files-of-a-customer")
    s3.put_object(Bucket="files-of-a-customer", Key="front.jpg", Body=media.portrait_jpeg.read_bytes())
    where = {"Bucket": "files-of-a-customer", "Key": "front.jpg"}
    for side in (bare, facade):
        side.files["front"] = File(
            "front", "Image", partial(s3.generate_presigned_url, "get_object", where, ExpiresIn=2)
        )
    before = settings(crun, fetch_delay_seconds=4.0, settle_min_seconds=4.0, settle_max_seconds=5.0)
    try:
        (lost,) = bare.onboard("front").assets
        (kept,) = facade.onboard("front").assets
    finally:
        settings(crun, **before)
    assert (lost["Status"], lost["Error"]["Code"]) == ("Failed", "DownloadFailed")
    assert kept["Status"] == "Active"


def test_every_returned_id_works_in_a_generation_request(facade: Side, crun: SimulatorControl) -> None:
    done = facade.onboard("front", "clip")
    uploaded = [body["data"]["AssetId"] for call, _, body in facade.api.answers if call == "asset-upload"]
    assert [each["AssetId"] for each in done.assets] == uploaded
    known = requests.get(f"{crun.url}/_sim/state", timeout=10).json()["assets"]
    assert {known[each]["status"] for each in uploaded} == {"Active"}


def called_back(receiver: Receiver, task_id: str, seconds: float) -> dict[str, Any] | None:
    """Returns the body of a task's callback, or None when there is none within ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for body in (json.loads(each.body) for each in receiver.received):
            if body["task_id"] == task_id:
                return dict(body)
        time.sleep(0.1)
    return None


@pytest.mark.parametrize("code", [429, 455])
def test_a_burst_does_not_stop_a_video(bare: Side, facade: Side, crun: SimulatorControl, code: int) -> None:
    for call in ("create_task", "task_info"):
        crun.fault(call=call, kind="both", code=code, times=3, retry_after=1)
        with pytest.raises(Refused, match=str(code)):
            generate(bare.api, MODEL, NOBODY, pause=0.5)
        crun.calm()
    for call in ("create_task", "task_info"):
        crun.fault(call=call, kind="both", code=code, times=3, retry_after=1)
    assert generate(facade.api, MODEL, NOBODY, pause=0.5)["status"] == "success"


def test_a_lost_answer_at_task_info_does_not_stop_a_video(bare: Side, facade: Side, crun: SimulatorControl) -> None:
    crun.fault(call="task_info", kind="reset", times=1)
    with pytest.raises((Refused, requests.RequestException)):
        generate(bare.api, MODEL, NOBODY, pause=0.5)
    crun.calm()
    crun.fault(call="task_info", kind="reset", times=2)
    assert generate(facade.api, MODEL, NOBODY, pause=0.5)["status"] == "success"


def test_a_callback_that_never_comes_from_crun_comes_from_likeness(
    bare: Side, facade: Side, crun: SimulatorControl
) -> None:
    before = settings(crun, callback_times=0)
    try:
        with Receiver() as receiver:
            url = f"{receiver.url}/tasks?order=1"
            lost = bare.api.create_task(MODEL, NOBODY, url)
            kept = facade.api.create_task(MODEL, NOBODY, url)
            came = called_back(receiver, kept, 90)
            assert came
            assert called_back(receiver, lost, 0.5) is None
    finally:
        settings(crun, **before)
    assert came["param"] == {"model": MODEL, "callback_url": url, "input": NOBODY}
    now = facade.api.task_info(kept)
    for each in (came, now):
        assert requests.get(each["result"].pop("media_urls")[0], timeout=40).status_code == 200
    assert came == now


def test_a_media_link_still_works_when_cruns_is_dead(
    bare: Side, facade: Side, crun: SimulatorControl, tmp_path: Path
) -> None:
    tasks = [side.api.create_task(MODEL, NOBODY) for side in (bare, facade)]
    found = []
    for side, task in zip((bare, facade), tasks, strict=True):
        deadline = time.monotonic() + 90
        while (info := side.api.task_info(task))["status"] != "success" and time.monotonic() < deadline:
            time.sleep(0.5)
        found.append(info["result"]["media_urls"][0])
    requests.post(f"{crun.url}/_sim/clock", json={"offset_seconds": 61}, timeout=10).raise_for_status()
    try:
        with pytest.raises(requests.HTTPError):
            save(found[0], tmp_path / "lost.mp4")
        save(found[1], tmp_path / "kept.mp4")
    finally:
        requests.post(f"{crun.url}/_sim/clock", json={"offset_seconds": 0}, timeout=10).raise_for_status()
    assert (tmp_path / "kept.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_withdrawn_person_is_refused(bare: Side, facade: Side, api: Api, client_key: str) -> None:
    at_crun, here = bare.onboard("front"), facade.onboard("front")
    client = api.with_credential(client_key)
    newest = client("GET", "/sessions?limit=1").json()["sessions"][0]["id"]
    assert client("POST", f"/sessions/{newest}/consent/withdraw").status_code == 200
    assert bare.api.create_task(MODEL, wanted(at_crun)), "crun does not ask the person"
    with pytest.raises(Refused, match=r"422 input\.reference_images\[0\]: .*\(consent_withdrawn\)"):
        facade.api.create_task(MODEL, wanted(here))


def test_a_task_of_another_client_or_with_its_asset_is_not_found(
    stack: Stack, facade: Side, callbacks: Callbacks, keys: ClientKeys, canaries: Canaries
) -> None:
    key = keys.add("drop-in-three", [callbacks.url.rpartition("/")[0]], daily_credits=5.0)
    canaries.secrets.add(key)
    other = Side(CrunApi(stack.api_url, key), callbacks, facade.served, facade.files)
    done = facade.onboard("front")
    task = facade.api.create_task(MODEL, wanted(done))
    answer = other.ask("GET", "TaskInfo", params={"task_id": task})
    assert (answer.status_code, answer.json()) == (404, {"code": 404, "message": "task not found", "data": None})
    with pytest.raises(Refused, match=r"422 input\.reference_images\[0\]: asset not found"):
        other.api.create_task(MODEL, wanted(done))
    assert other.ask("GET", "../account/balance").json()["data"] == {"balance": 5.0}
    with pytest.raises(Refused, match="402"):
        other.api.create_task(MODEL, NOBODY)


def test_polls_for_results_and_assets_do_not_call_crun(facade: Side, crun: SimulatorControl) -> None:
    made = facade.api.session(facade.callbacks.url)
    for _ in range(3):
        with pytest.raises(Refused):
            facade.api.group_id(made["BytedToken"])
    assert crun.lookups(made["H5Link"]) == 0
    done = facade.onboard("front")
    infos = crun.calls("info")
    for _ in range(3):
        facade.api.info(done.assets[0]["AssetId"])
    assert crun.calls("info") == infos


def test_clients_do_not_see_each_other(
    stack: Stack, facade: Side, callbacks: Callbacks, keys: ClientKeys, canaries: Canaries
) -> None:
    key = keys.add("drop-in-too", [callbacks.url.rpartition("/")[0]])
    canaries.secrets.add(key)
    done = facade.onboard("front")
    token = facade.api.answers[0][2]["data"]["BytedToken"]
    other = Side(CrunApi(stack.api_url, key), callbacks, facade.served, facade.files)
    for answer in (
        other.ask("GET", "visual-validate-result", params={"byted_token": token}),
        other.ask("GET", "asset-info", params={"asset_id": done.assets[0]["AssetId"]}),
        other.ask("POST", "asset-upload", json={
            "name": "x", "asset_type": "Image", "asset_url": facade.files["front"].url(), "group_id": done.group_id,
        }),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (404, 404, None)


@pytest.mark.parametrize("url", ["https://evil.example/", "http://127.0.0.1:1/", "https://user@127.0.0.1/"])
def test_a_callback_url_that_is_not_the_clients_is_refused(facade: Side, url: str) -> None:
    with pytest.raises(Refused, match="422 callback_url"):
        facade.api.session(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/x.jpg", "http://[fd00::1]/x.jpg",
        "http://0.0.0.0:1/x.jpg", "https://metadata.invalid/x.jpg",
    ],
)  # fmt: skip
def test_urls_of_internal_networks_are_not_fetched(facade: Side, url: str) -> None:
    group_id = facade.onboard().group_id
    found = facade.api.info(facade.api.upload("x", "Image", url, group_id))
    assert (found["Status"], found["Error"]["Code"]) == ("Failed", "DownloadFailed")
    assert urlsplit(url).netloc not in str(found)
