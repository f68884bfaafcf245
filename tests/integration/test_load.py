"""Three hundred people concurrently, from the first call to the Active file: nothing is lost.

Durations mean nothing on a shared machine, so they are printed as ratios to what the emulator achieves in the same run
with a function that only returns a page.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
import requests

from local import emulator
from local.media import portrait
from tests.integration.conftest import Api, SimulatorControl, come_back, face_check, send_file, settled

pytestmark = pytest.mark.nightly

PERSONS = 300
#: Concurrent callers. Links are valid for 120 s, so each person goes to the callback without a pause.
CALLERS = 4
NO_OPS = 160
TIMEOUT_SECONDS = 600
#: Concurrency of each function of the workflow and of the webhooks, as on a small account: throttled calls are retried.
#: Without a limit the emulator starts hundreds of processes at the same time and serves none of them.
RUNS_AT_ONCE = 6
BOUNDED = (
    "LookUpResultFunction",
    "ClaimAssetsFunction",
    "SubmitAssetFunction",
    "PollAssetsFunction",
    "SendWebhooksFunction",
)
FACE = portrait("alice", 400, 500, image_format="PNG")
IMAGE = {"name": "load", "asset_type": "Image", "content_type": "image/png", "size_bytes": len(FACE)}
Found = TypeVar("Found")


def run_concurrently(work: Callable[[Any], Found], items: Iterable[Any]) -> tuple[list[Found], float]:
    """Returns the results, and their number per second."""
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        found = list(pool.map(work, items))
    return found, len(found) / (time.monotonic() - began)


def retry_when_limited(ask: Callable[[], requests.Response]) -> requests.Response:
    """Retries as a caller does that respects Retry-After and sends an idempotency key, or as a person who reloads."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        # The emulator has a limited number of processes; when none is free, a request times out.
        try:
            answer = ask()
        except requests.Timeout:
            continue
        if answer.status_code not in (409, 429) and answer.status_code < 500:
            return answer
        time.sleep(int(answer.headers.get("Retry-After", 2)))
    raise AssertionError("refused for ten minutes")


@pytest.fixture
def narrow_workflow(api: Api) -> Iterator[None]:
    """Limits the concurrency of the workflow's functions, and removes the limit afterwards."""
    endpoint = api.stack.emulator_endpoint
    functions = emulator.client("lambda", endpoint)
    names = [api.stack.resource(each) for each in BOUNDED]
    for name in names:
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=RUNS_AT_ONCE)
    yield
    for name in names:
        functions.delete_function_concurrency(FunctionName=name)


@pytest.mark.timeout(1800)
def test_three_hundred_concurrent_people_lose_nothing(
    api: Api, crun: SimulatorControl, narrow_workflow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads_before = crun.calls("upload")

    def onboard(number: int) -> str:
        key = {"Idempotency-Key": f"load-{number}"}
        made = retry_when_limited(lambda: api("POST", "/sessions", json={"assets": [IMAGE]}, headers=key))
        assert made.status_code == 201, made.text
        session = made.json()
        assert send_file(session["assets"][0]["upload"], FACE).ok
        callback = face_check(session["attempt"]["h5_link"])
        assert retry_when_limited(lambda: come_back(callback)).status_code == 303
        return str(session["id"])

    def ended(session_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            session: dict[str, Any] = retry_when_limited(lambda: api("GET", f"/sessions/{session_id}")).json()
            if session["status"] == "verified" and settled(session):
                return session
            time.sleep(2)
        raise AssertionError(f"not done within {TIMEOUT_SECONDS} s: {session['status']}, {session['assets']}")

    pages, no_ops = run_concurrently(lambda _: api("GET", "/openapi.json").status_code, range(NO_OPS))
    assert Counter(pages) == {200: NO_OPS}
    began = time.monotonic()
    ids, callbacks = run_concurrently(onboard, range(PERSONS))
    sessions, _ = run_concurrently(ended, ids)
    persons = PERSONS / (time.monotonic() - began)
    with capsys.disabled():
        print(
            f"\n{PERSONS} persons: {no_ops:.1f} no-ops/s; one person to the callback costs {no_ops / callbacks:.1f}"
            f" no-ops, to the Active file {no_ops / persons:.1f}"
        )

    assert len(set(ids)) == PERSONS
    assert Counter(each["status"] for each in sessions) == {"verified": PERSONS}
    assert Counter(asset["status"] for each in sessions for asset in each["assets"]) == {"active": PERSONS}
    assert len({asset["uri"] for each in sessions for asset in each["assets"]}) == PERSONS
    # On a busy machine an upload's response can be too late: the upload is repeated once, and counted.
    assert crun.calls("upload") - uploads_before <= PERSONS + _possible_orphans(api)
    _nothing_is_left(api)


def _possible_orphans(api: Api) -> int:
    logs = emulator.client("logs", api.stack.emulator_endpoint)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/cloudformation/likeness/SubmitAssetFunctionLogs"
    )
    return sum(event["message"].count('"Name":"PossibleOrphan"') for page in pages for event in page["events"])


def _nothing_is_left(api: Api) -> None:
    sqs = emulator.client("sqs", api.stack.emulator_endpoint)
    names = ["ApproximateNumberOfMessages"]
    dead = sqs.get_queue_attributes(QueueUrl=api.stack.outputs["OnboardingDeadLetterQueueUrl"], AttributeNames=names)[
        "Attributes"
    ]
    assert dead == {"ApproximateNumberOfMessages": "0"}
    sfn = emulator.client("stepfunctions", api.stack.emulator_endpoint)
    for status in ("FAILED", "TIMED_OUT", "ABORTED"):
        found = sfn.list_executions(stateMachineArn=api.stack.outputs["StateMachineArn"], statusFilter=status)
        assert found["executions"] == []
