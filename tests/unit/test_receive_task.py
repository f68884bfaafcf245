"""POST /task/{generation_id}/{signature}: nothing in a callback is proof, and each leads to at most one question."""

from __future__ import annotations

import json
from typing import Any

import pytest

from likeness.domain.generation import ASK_SECONDS, Generation, GenerationStatus
from likeness.domain.signing import sign_task
from likeness.errors import NotFound, UpstreamDeferred
from likeness.steps.generations.executions import execution_input
from likeness.steps.generations.receive_task import LONGEST_BODY
from tests.unit.generation_harness import LINK, GenerationHarness, harness_of
from tests.unit.step_harness import StepHarness


@pytest.fixture
def at(harness: StepHarness) -> GenerationHarness:
    return harness_of(harness)


def ours(at: GenerationHarness, made: Generation) -> str:
    return made.task_url(at.signature(made))


def uncertain(at: GenerationHarness, **changes: Any) -> Generation:
    made = at.queued(**changes)
    intent = at.generations.intend(made, "e", at.clock.now())
    at.workflows.start(made.execution, execution_input(made))
    at.workflows.stop(made.execution)
    at.generations.end(intent.ended(GenerationStatus.UNCERTAIN, at.clock.now()), intent)
    return at.row(made)


def test_a_finished_task_is_stored_and_its_execution_finds_it(at: GenerationHarness) -> None:
    made = at.running()
    at.workflows.start(made.execution, execution_input(made))
    at.crun.reports.append(at.report(made, "success", media_urls=(LINK,)))
    at.receive_task(made, json.dumps({"task_id": "forged", "status": "failed"}))
    assert at.crun.asked == [made.task_id]
    report = at.row(made).report
    assert report
    assert report.succeeded
    assert list(at.workflows.started) == [made.id]


def test_a_finished_task_without_an_execution_gets_one(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(at.report(made, "success", media_urls=(LINK,)))
    at.receive_task(made)
    assert at.workflows.started == {made.id: execution_input(made)}


def test_a_finished_task_whose_execution_has_ended_gets_the_next_one(at: GenerationHarness) -> None:
    made = at.running()
    at.workflows.start(made.id, execution_input(made))
    at.workflows.stop(made.id)
    at.crun.reports.append(at.report(made, "failed"))
    at.receive_task(made)
    assert list(at.workflows.started) == [made.id, f"{made.id}-r1"]
    assert at.row(made).execution == f"{made.id}-r1"


def test_a_task_that_is_not_over_changes_nothing(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(at.report(made, "running"))
    at.receive_task(made)
    assert at.row(made).report is None
    assert at.workflows.started == {}


def test_however_many_callbacks_arrive_crun_is_asked_once_in_five_seconds(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.extend([at.report(made, "running")] * 2)
    for _ in range(5):
        at.receive_task(made)
    at.clock.at += ASK_SECONDS
    for _ in range(5):
        at.receive_task(made)
    assert len(at.crun.asked) == 2


@pytest.mark.parametrize("signature", ["", "A" * 43, "ü", "x" * 5000])
def test_a_forged_url_is_not_found_and_asks_nothing(at: GenerationHarness, signature: str) -> None:
    made = at.running()
    with pytest.raises(NotFound) as forged:
        at.receive_task(made, signature=signature)
    unknown = Generation(
        id="gen_01ARZ3NDEKTSV4RRFFQ69G5FAX", client_id="acme", status=GenerationStatus.QUEUED, model="m",
        created_at=0, updated_at=0, body_sha256="",
    )  # fmt: skip
    with pytest.raises(NotFound) as missing:
        at.receive_task(unknown)
    assert str(forged.value) == str(missing.value)
    assert at.crun.asked == []


def test_a_signature_is_good_for_its_generation_alone(at: GenerationHarness) -> None:
    made, other = at.running(), at.running()
    with pytest.raises(NotFound):
        at.receive_task(made, signature=at.signature(other))


def test_a_url_of_before_a_rotation_still_works(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(at.report(made, "running"))
    old = at.signature(made)
    at.keys.keys = (b"new" * 16, *at.keys.keys)
    assert sign_task(at.keys.current(), made.id) != old
    at.receive_task(made, signature=old)
    assert at.crun.asked == [made.task_id]


@pytest.mark.parametrize("ended", sorted(set(GenerationStatus) - {"queued", "running", "uncertain"}))
def test_an_ended_one_asks_nothing(at: GenerationHarness, ended: str) -> None:
    made = at.running()
    at.generations.end(made.ended(GenerationStatus(ended), at.clock.now()), made)
    at.receive_task(made)
    assert at.crun.asked == []


def test_a_stored_report_is_not_asked_for_again(at: GenerationHarness) -> None:
    at.receive_task(at.succeeded())
    assert at.crun.asked == []


# -- a task that is not known ----------------------------------------------------------------------------------


@pytest.mark.parametrize("envelope", [False, True])
@pytest.mark.parametrize("status", ["running", "success"])
def test_an_uncertain_one_takes_over_the_task_that_was_created_for_it(
    at: GenerationHarness, status: str, envelope: bool
) -> None:
    made = uncertain(at)
    at.crun.reports.append(at.report(made, status, callback_url=ours(at, made), media_urls=(LINK,)))
    body = {"task_id": "task-9", "status": status}
    at.receive_task(made, json.dumps({"data": body} if envelope else body))
    row = at.row(made)
    assert (row.status, row.task_id, row.error) == (GenerationStatus.RUNNING, "task-9", None)
    assert (row.report is not None) == (status == "success")
    assert f"{made.id}-r1" in at.workflows.started


@pytest.mark.parametrize("url", [None, "https://other.test/task", "prefix"])
def test_a_task_with_another_callback_is_not_ours(at: GenerationHarness, url: str | None) -> None:
    made = uncertain(at)
    theirs = f"{ours(at, made)}x" if url == "prefix" else url
    at.crun.reports.append(at.report(made, "success", callback_url=theirs))
    at.receive_task(made, json.dumps({"task_id": "task-9"}))
    assert at.row(made).status is GenerationStatus.UNCERTAIN


@pytest.mark.parametrize(
    "body",
    [None, "", "{", "[]", "7", "null", '{"task_id": {}}', '{"task_id": "a b"}', '{"data": 3}', "[" * 100_000,
     '{"task_id": "t"}'.ljust(LONGEST_BODY + 1)],
)  # fmt: skip
def test_a_body_without_a_task_is_accepted_and_asks_nothing(at: GenerationHarness, body: str | None) -> None:
    made = uncertain(at)
    at.receive_task(made, body)
    assert at.crun.asked == []


def test_one_that_was_never_sent_takes_over_nothing(at: GenerationHarness) -> None:
    at.receive_task(at.queued(), json.dumps({"task_id": "task-9"}))
    assert at.crun.asked == []


def test_a_task_that_crun_does_not_know_is_not_taken_over(at: GenerationHarness) -> None:
    made = uncertain(at)
    at.crun.reports.append(None)
    at.receive_task(made, json.dumps({"task_id": "task-9"}))
    assert at.row(made).task_id is None


def test_a_callback_that_names_the_task_in_vain_is_repeated_by_crun(at: GenerationHarness) -> None:
    made, body = uncertain(at), json.dumps({"task_id": "task-9"})
    at.crun.reports.append(UpstreamDeferred())
    for _ in range(2):
        with pytest.raises(UpstreamDeferred):
            at.receive_task(made, body)
    assert len(at.crun.asked) == 1
    at.clock.at += ASK_SECONDS
    at.crun.reports.append(at.report(made, "running", callback_url=ours(at, made)))
    for _ in range(2):
        at.receive_task(made, body)
    assert at.row(made).task_id == "task-9"


def test_an_outcome_that_comes_after_the_deadline_is_taken_over(at: GenerationHarness) -> None:
    made = at.running()
    at.generations.end(made.ended(GenerationStatus.UNCERTAIN, at.clock.now()), made)
    at.crun.reports.extend([at.report(made, "running"), at.report(made, "success", media_urls=(LINK,))])
    at.receive_task(made)
    assert at.row(made).status is GenerationStatus.UNCERTAIN
    at.clock.at += ASK_SECONDS
    at.receive_task(made)
    assert at.row(made).status is GenerationStatus.RUNNING
    assert at.poll_task(made)["next"] == "save"


def test_a_generation_that_a_callback_named_while_it_is_created_is_running(at: GenerationHarness) -> None:
    made = at.queued()
    at.generations.intend(made, "e", at.clock.now())
    at.crun.reports.append(at.report(made, "running", callback_url=ours(at, made)))
    at.receive_task(made, json.dumps({"task_id": "task-9"}))
    assert at.row(made).task_id == "task-9"


def test_an_error_of_crun_is_the_caller_s_to_repeat(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(UpstreamDeferred())
    with pytest.raises(UpstreamDeferred):
        at.receive_task(made)
