"""The state machine make_generation with its functions: what a caller, crun and the bucket see of each outcome."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.generation import Generation
from likeness.runtime import bootstrap
from local.simulator import FaultRule
from tests.functions import event_of_request
from tests.template_file import GENERATION_ASL
from tests.workflow.conftest import WorkflowHarness
from tests.workflow.test_onboard_person import create, run, upload

MODEL = "bytedance/seedance2-0-r2v"
QUICK = {"callback_times": 0, "task_min_seconds": 1.0, "task_max_seconds": 1.0}


def settings(harness: WorkflowHarness, **changes: Any) -> None:
    """Changes the simulator's settings."""
    harness.simulator.update_settings(**(QUICK | changes))


@pytest.fixture
def person(harness: WorkflowHarness) -> tuple[str, str]:
    """A verified person with an active picture: the session's id, and the asset's."""
    settings(harness)
    session = create(harness, "good")
    upload(harness, session)
    assert run(harness, session).status == "verified"
    (asset,) = bootstrap.store().list_assets(session["id"])
    return session["id"], asset.id


def request(harness: WorkflowHarness, asset_id: str, key: str = "key", prompt: str = "A walk") -> dict[str, Any]:
    """POST /generations with the person's picture; returns the response's body."""
    body = {"prompt": prompt, "reference_images": [asset_id], "duration": 4, "resolution": "480p"}
    event = event_of_request(
        "POST", "/generations", "/generations", body=json.dumps({"model": MODEL, "input": body}),
        headers={"Idempotency-Key": key}, authorizer={"client_id": "acme"},
    )  # fmt: skip
    answer = harness.call("create_generation", event)
    assert answer["statusCode"] == 202, answer
    found: dict[str, Any] = json.loads(answer["body"])
    return found


def generations() -> DynamoGenerations:
    return bootstrap._generations()


def row(generation: dict[str, Any]) -> Generation:
    found = generations().get(generation["id"])
    assert found
    return found


def created(harness: WorkflowHarness) -> int:
    """How often crun was asked to create a task."""
    return sum(each.call == "create_task" for each in harness.simulator.log())


def transitions(harness: WorkflowHarness) -> tuple[int, int]:
    """The state transitions of the only execution, and its rounds of polls."""
    (execution,) = harness.generation_executions()
    client, query = boto3.client("stepfunctions"), {"executionArn": execution["executionArn"]}
    events = client.get_paginator("get_execution_history").paginate(**query).build_full_result()["events"]
    entered = [each["stateEnteredEventDetails"]["name"] for each in events if each["type"].endswith("StateEntered")]
    assert set(entered) <= set(GENERATION_ASL["States"])
    return len(entered), entered.count("PollTask")


def test_a_generation_ends_with_its_film_in_the_bucket(harness: WorkflowHarness, person: tuple[str, str]) -> None:
    session_id, asset_id = person
    made = request(harness, asset_id)
    assert made["status"] == "queued"
    assert request(harness, asset_id)["id"] == made["id"]
    assert [each["status"] for each in harness.wait_for_generations()] == ["SUCCEEDED"]
    found = row(made)
    assert (found.status, found.media_problem) == ("succeeded", None)
    (media,) = found.media
    assert media.key == f"generations/{made['id']}/1.mp4"
    stored = boto3.client("s3").get_object(Bucket=harness.bucket, Key=media.key)
    content = stored["Body"].read()
    assert (stored["ContentType"], hashlib.sha256(content).hexdigest()) == ("video/mp4", media.sha256)
    (use,) = generations().list_uses(session_id, limit=10).uses
    assert (use.outcome, use.media_sha256) == ("succeeded", (media.sha256,))
    assert created(harness) == 1
    steps, rounds = transitions(harness)
    assert steps <= 5 + 3 * rounds


def test_a_refused_generation_takes_three_transitions(harness: WorkflowHarness, person: tuple[str, str]) -> None:
    outcome = {"prompt": "*", "outcome": "refused", "code": 422, "message": "duration is not valid"}
    settings(harness, task_outcomes=[outcome])
    made = request(harness, person[1])
    harness.wait_for_generations()
    found = row(made)
    assert found.status == "refused"
    assert found.error
    assert "duration is not valid" in found.error.message
    assert transitions(harness) == (3, 0)


def test_a_moderated_one_fails_with_crun_s_words(harness: WorkflowHarness, person: tuple[str, str]) -> None:
    settings(harness, task_outcomes=[{"prompt": "*", "outcome": "failed"}], task_status_case="upper")
    made = request(harness, person[1])
    assert [each["status"] for each in harness.wait_for_generations()] == ["SUCCEEDED"]
    found = row(made)
    assert found.status == "failed"
    assert found.error
    assert "moderation" in found.error.message


@pytest.mark.slow
def test_what_is_deferred_is_repeated_and_one_task_is_created(
    harness: WorkflowHarness, person: tuple[str, str]
) -> None:
    harness.simulator.add_faults(FaultRule(call="create_task", kind="both", code=429, times=1))
    harness.simulator.add_faults(FaultRule(call="media", kind="http", code=503, times=1))
    made = request(harness, person[1])
    harness.wait_for_generations()
    assert row(made).status == "succeeded"
    assert [each.code for each in harness.simulator.log() if each.call == "create_task"] == [429, 200]


@pytest.mark.parametrize("work_done", [False, True])
def test_a_lost_answer_of_create_task_is_uncertain_and_never_repeated(
    harness: WorkflowHarness, person: tuple[str, str], work_done: bool
) -> None:
    harness.simulator.add_faults(FaultRule(call="create_task", kind="reset", times=1, work_done=work_done))
    made = request(harness, person[1])
    assert [each["status"] for each in harness.wait_for_generations()] == ["SUCCEEDED"]
    found = row(made)
    assert (found.status, found.error and found.error.code) == ("uncertain", "task_unknown")
    assert created(harness) == 1


def test_a_callback_takes_over_the_task_whose_answer_was_lost(
    harness: WorkflowHarness, person: tuple[str, str]
) -> None:
    harness.simulator.add_faults(FaultRule(call="create_task", kind="reset", times=1, work_done=True))
    made = request(harness, person[1])
    harness.wait_for_generations()
    (task,) = harness.simulator.store.tasks.values()
    assert task.callback_url
    path = urlsplit(task.callback_url).path.removeprefix("/v1")
    event = event_of_request("POST", "/task/{generation_id}/{signature}", path, body=json.dumps({"task_id": task.id}))
    answer = harness.call("receive_task", event)
    assert (answer["statusCode"], answer["body"]) == (200, "{}")
    harness.wait_for_generations()
    assert row(made).status == "succeeded"
    assert created(harness) == 1


def test_a_withdrawal_while_it_runs_keeps_no_film(harness: WorkflowHarness, person: tuple[str, str]) -> None:
    session_id, asset_id = person
    settings(harness, task_min_seconds=4.0, task_max_seconds=4.0)
    made = request(harness, asset_id)
    until(lambda: row(made).status == "running")
    event = event_of_request(
        "POST", "/sessions/{session_id}/consent/withdraw", f"/sessions/{session_id}/consent/withdraw",
        body="{}", authorizer={"client_id": "acme"},
    )  # fmt: skip
    assert harness.call("withdraw_consent", event)["statusCode"] == 200
    harness.wait_for_generations()
    found = row(made)
    assert found.status == "succeeded"
    assert found.media_problem
    assert found.media_problem.code == "consent_withdrawn"
    kept = boto3.client("s3").list_objects_v2(Bucket=harness.bucket, Prefix="generations/")
    assert kept["KeyCount"] == 0
    (use,) = generations().list_uses(session_id, limit=10).uses
    assert use.outcome == "withheld"


@pytest.mark.slow
def test_links_that_die_leave_the_report(harness: WorkflowHarness, person: tuple[str, str]) -> None:
    harness.simulator.add_faults(FaultRule(call="media", kind="http", code=403))
    made = request(harness, person[1])
    harness.wait_for_generations()
    found = row(made)
    assert found.status == "succeeded"
    assert found.media_problem
    assert found.media_problem.code == "media_unavailable"
    assert found.report
    assert found.report.media_urls


def test_a_task_that_cannot_be_stored_at_once_is_stored_by_the_next_state(
    harness: WorkflowHarness, person: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CreateTask's write fails as a table that does not answer; the id is in the execution's state."""
    failed = _failing_once(monkeypatch)
    made = request(harness, person[1])
    harness.wait_for_generations()
    assert failed == [True]
    assert row(made).status == "succeeded"
    assert created(harness) == 1


def _failing_once(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Breaks the connection to the table for the first write of a task's id."""
    from botocore.exceptions import EndpointConnectionError

    client = bootstrap.client("dynamodb")
    real = client.update_item
    failed: list[bool] = []

    def update_item(**parameters: Any) -> Any:
        if not failed and ":task" in parameters.get("ExpressionAttributeValues", {}):
            failed.append(True)
            raise EndpointConnectionError(endpoint_url="https://dynamodb.test")
        return real(**parameters)

    monkeypatch.setattr(client, "update_item", update_item)
    return failed


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
