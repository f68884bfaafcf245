"""The deployed stack on the emulator: seconds between two steps of a person, and callbacks per second.

On one machine the emulator itself needs most of the time. So each figure is compared with the emulator's time for the
same path with functions that do nothing (bench/studies/idle.py).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from bench.studies.idle import Idle, idle
from bench.table import Row
from local import emulator
from local.media import portrait
from local.processes import free_port
from local.stack import Options, Stack, running_stack
from tests.integration.conftest import Api, Canaries, come_back, face_check, send_file, settled

PERSONS = 9
CALLBACKS = 300
_BATCH = 50
CALLERS = 4
#: Callbacks before the timed ones, so that each caller's function has a process: another part measures cold starts.
_WARM_UP_CALLBACKS = 24
_TIMEOUT_SECONDS = 60
_TWO_CALLS_NOTE = (
    "The emulator handles a callback's two calls on the same processors as the callback itself. So the next row's floor"
    " is a function that makes the same calls and does nothing else."
)
#: Two files of different bytes.
_FILES = [portrait("alice", width, 500, image_format="PNG") for width in (400, 410)]
_PARAMETERS = (
    "LinkCheckDelaySeconds=900",  # no check runs in between
    "PollFirstDelaySeconds=1",
    "PollMaxDelaySeconds=1",
    "CrunRequestsPer10s=10000",
)


class Onboarder:
    """Onboards people on one stack, one after another."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.api = Api(stack, stack.api_key, Canaries())
        # The simulator checks files immediately: the timed part ends before that.
        quick = {"fetch_delay_seconds": 0, "settle_min_seconds": 0, "settle_max_seconds": 0}
        requests.post(f"{stack.simulator_url}/_sim/settings", json=quick, timeout=10).raise_for_status()

    def onboard(self) -> tuple[float, float]:
        """Returns seconds from the callback to a file's submission, and from a later upload to its submission."""
        session = self.api.session(assets=[_registration(_FILES[0])])
        _require(send_file(session["assets"][0]["upload"], _FILES[0]).ok)
        self.api.wait(session["id"], lambda found: found["assets"][0]["status"] == "uploaded")
        callback = face_check(session["attempt"]["h5_link"])
        after_callback = self._until_submitted(lambda: come_back(callback).status_code == 303)
        self._wait_for_rest(session["id"])
        asset = self.api("POST", f"/sessions/{session['id']}/assets", json=_registration(_FILES[1])).json()
        after_upload = self._until_submitted(lambda: send_file(asset["upload"], _FILES[1]).ok)
        self._wait_for_rest(session["id"])
        return after_callback, after_upload

    def _until_submitted(self, act: Callable[[], bool]) -> float:
        seen = len(self._uploads())
        began = time.monotonic()
        _require(act())
        while time.monotonic() < began + _TIMEOUT_SECONDS:
            arrived = self._uploads()[seen:]
            if arrived:
                return arrived[0] - began
            time.sleep(0.1)
        raise TimeoutError(f"no file was submitted within {_TIMEOUT_SECONDS} s")

    def _uploads(self) -> list[float]:
        """Returns when upload calls arrived at the simulator, on the machine's monotonic clock."""
        entries = requests.get(f"{self._stack.simulator_url}/_sim/log", timeout=10).json()["entries"]
        return sorted(each["at"] for each in entries if each["call"] == "upload")

    def _wait_for_rest(self, session_id: str) -> None:
        """Waits until all files are Active and no execution runs."""
        self.api.wait(session_id, settled)
        sfn = emulator.client("stepfunctions", self._stack.emulator_endpoint)
        machine = self._stack.outputs["StateMachineArn"]
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"an execution still runs after {_TIMEOUT_SECONDS} s")
            time.sleep(0.1)


def _require(answered: bool) -> None:
    if not answered:
        raise RuntimeError("the stack refused a request")


def _registration(content: bytes) -> dict[str, Any]:
    return {"name": "bench", "asset_type": "Image", "content_type": "image/png", "size_bytes": len(content)}


def rows() -> list[Row]:
    """Returns the delays of the two paths, and callbacks per second."""
    options = Options(
        # In the other stacks' folder, so that an unchanged template is built once.
        state_file=Path(".local/bench.json"),
        port=free_port(),
        emulator_port=free_port(),
        parameters=_PARAMETERS,
    )
    with running_stack(options, lambda _: None) as stack, idle(stack) as floor:
        persons = Onboarder(stack)
        return [*_delays(persons, floor), *_throughput(persons.api, floor)]


def _delays(persons: Onboarder, floor: Idle) -> list[Row]:
    samples: list[tuple[float, ...]] = []
    for _ in range(PERSONS + 1):
        way = (floor.request(), floor.queue(), floor.object(), floor.validation(), floor.assets())
        samples.append((*persons.onboard(), *way))
    del samples[0]  # the functions' processes start
    callback, upload, request, queue, stored, validation, assets = map(statistics.median, zip(*samples, strict=True))
    return [
        Row("deployed", "callback to the first submission", callback, "s", request + queue + validation, 1.5),
        Row("deployed", "upload to the submission", upload, "s", stored + queue + assets, 1.5),
    ]


def _throughput(api: Api, floor: Idle) -> list[Row]:
    with ThreadPoolExecutor(CALLERS) as pool:
        links = list(
            pool.map(lambda _: face_check(api.session()["attempt"]["h5_link"]), range(_WARM_UP_CALLBACKS + CALLBACKS))
        )
    # The queue's readers would use the processor that a callback has for itself on AWS.
    _stop_readers(api.stack)
    for _ in range(2):
        _seconds(lambda _: floor.answer(), range(_WARM_UP_CALLBACKS), 200)
        _seconds(lambda _: floor.two_calls(), range(_WARM_UP_CALLBACKS), 200)
        _seconds(_come_back, links[:_WARM_UP_CALLBACKS], 303)  # the second time like a browser that reloads
    already = _waiting(api.stack)
    nothing = bare = timed = 0.0
    for start in range(_WARM_UP_CALLBACKS, len(links), _BATCH):  # in turn, so that other load slows both
        nothing += _seconds(lambda _: floor.answer(), range(_BATCH), 200)
        bare += _seconds(lambda _: floor.two_calls(), range(_BATCH), 200)
        timed += _seconds(_come_back, links[start : start + _BATCH], 303)
    kept, rate = _waiting(api.stack) - already, CALLBACKS / timed
    figure = f"{CALLBACKS} callbacks by {CALLERS} callers"
    return [
        Row("deployed", figure, rate, "per s", CALLBACKS / nothing, 0.7, at_least=True, note=_TWO_CALLS_NOTE),
        Row("deployed", f"{figure}, compared with their two calls alone", rate, "per s", CALLBACKS / bare),
        Row("deployed", "callbacks with a message in the queue, share", kept / CALLBACKS, "", None, 1.0, at_least=True),
    ]


def _come_back(link: str) -> int:
    return come_back(link).status_code


def _seconds(ask: Callable[[Any], int], items: Iterable[Any], status: int) -> float:
    """Returns the seconds that the callers need for all items; each response must have ``status``."""
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        found = set(pool.map(ask, items))
    needed = time.monotonic() - began
    _require(found == {status})
    return needed


def _stop_readers(stack: Stack) -> None:
    client = emulator.client("lambda", stack.emulator_endpoint)
    for each in client.list_event_source_mappings()["EventSourceMappings"]:
        client.update_event_source_mapping(UUID=each["UUID"], Enabled=False)


def _waiting(stack: Stack) -> int:
    """Returns the number of messages that can be read now: delayed link checks are not counted."""
    sqs = emulator.client("sqs", stack.emulator_endpoint)
    name = "ApproximateNumberOfMessages"
    found = sqs.get_queue_attributes(QueueUrl=stack.outputs["OnboardingQueueUrl"], AttributeNames=[name])
    return int(found["Attributes"][name])
