"""State CreateTask: one call of CreateTask for each generation, whatever happens around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from likeness.domain.asset import AssetStatus
from likeness.domain.generation import INTENT_LEASE_SECONDS, GenerationStatus
from likeness.errors import (
    RateLimited,
    StorageUnavailable,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamIncomplete,
    UpstreamRefused,
    WorkInProgress,
)
from tests.unit.generation_harness import DEADLINE, MODEL, FailingStore, GenerationHarness, harness_of
from tests.unit.step_harness import StepHarness


@pytest.fixture
def at(harness: StepHarness) -> GenerationHarness:
    return harness_of(harness)


def test_a_task_is_created_and_waited_for(at: GenerationHarness) -> None:
    _, _, shown = at.person()
    made = at.queued(shown)
    at.crun.created.append("task-1")
    action = at.create_task(made)
    assert (action["next"], action["task_id"], action["round"]) == ("wait", "task-1", 0)
    assert action["wait_seconds"] >= 1
    assert action["asked_at"] == at.clock.now()
    url = f"https://api.test/v1/task/{made.id}/{at.signature(made)}"
    assert at.crun.requests == [(MODEL, {"prompt": "a walk"}, url, "corr", "acme")]
    row = at.row(made)
    assert (row.status, row.task_id, row.submitted_at) == (GenerationStatus.RUNNING, "task-1", at.clock.now())


def test_a_generation_without_people_needs_no_consent(at: GenerationHarness) -> None:
    at.crun.created.append("task-1")
    assert at.create_task(at.queued())["next"] == "wait"


def test_an_unknown_generation_needs_no_task(at: GenerationHarness) -> None:
    made = at.queued()
    assert at.create_task(replace(made, id="gen_01ARZ3NDEKTSV4RRFFQ69G5FAX"))["next"] == "done"
    assert at.crun.requests == []


def test_a_second_invocation_finds_the_task(at: GenerationHarness) -> None:
    made = at.queued()
    at.crun.created.append("task-1")
    first = at.create_task(made)
    again = at.create_task(made, "another")
    assert (again["next"], again["task_id"]) == ("wait", first["task_id"])
    assert len(at.crun.requests) == 1


def test_a_concurrent_invocation_waits_and_creates_nothing(at: GenerationHarness) -> None:
    made = at.queued()
    at.crun.created.append("task-1")

    def another() -> None:
        with pytest.raises(WorkInProgress):
            at.create_task(made, "another")

    at.crun.during = another
    assert at.create_task(made)["task_id"] == "task-1"
    assert len(at.crun.requests) == 1


def test_an_invocation_that_died_after_its_intent_leaves_an_uncertain_generation(at: GenerationHarness) -> None:
    session, _, shown = at.person()
    made = at.queued(shown)
    at.generations.intend(made, "dead", at.clock.now())
    at.clock.at += INTENT_LEASE_SECONDS - 1
    with pytest.raises(WorkInProgress):
        at.create_task(made)
    at.clock.at += 1
    assert at.create_task(made)["next"] == "done"
    row = at.row(made)
    assert (row.status, row.error and row.error.code) == (GenerationStatus.UNCERTAIN, "task_unknown")
    assert [each.outcome for each in at.uses(session)] == ["uncertain"]
    assert at.crun.requests == []


@pytest.mark.parametrize("problem", [UpstreamAmbiguous(), UpstreamIncomplete()])
def test_an_ambiguous_call_is_never_repeated(at: GenerationHarness, problem: UpstreamAmbiguous) -> None:
    made = at.queued()
    at.crun.created.append(problem)
    assert at.create_task(made)["next"] == "done"
    assert at.row(made).status is GenerationStatus.UNCERTAIN
    at.clock.at += DEADLINE
    assert at.create_task(made)["next"] == "done"
    assert len(at.crun.requests) == 1


@pytest.mark.parametrize(
    "problem",
    [
        RateLimited(),
        UpstreamDeferred(),
        StorageUnavailable(),
        *(UpstreamRefused(code) for code in (401, 402, 403, 505)),
    ],
)
def test_a_call_that_did_not_happen_is_repeated_behind_a_fresh_intent(at: GenerationHarness, problem: Any) -> None:
    made = at.queued()
    at.crun.created.extend([problem, "task-1"])
    with pytest.raises(type(problem)):
        at.create_task(made)
    row = at.row(made)
    assert (row.status, row.intended_at) == (GenerationStatus.QUEUED, None)
    assert at.create_task(made)["task_id"] == "task-1"


@pytest.mark.parametrize("code", [404, 422, 501, 418])
def test_a_refusal_ends_it_with_the_words_of_crun(at: GenerationHarness, code: int) -> None:
    session, _, shown = at.person()
    made = at.queued(shown)
    at.crun.created.append(UpstreamRefused(code, "Missing Params", ["duration must be 4 to 15"]))
    assert at.create_task(made)["next"] == "done"
    row = at.row(made)
    assert row.status is GenerationStatus.REFUSED
    assert row.error
    assert row.error.upstream_code == str(code)
    assert "duration must be 4 to 15" in row.error.message
    assert [each.outcome for each in at.uses(session)] == ["refused"]


def test_a_refusal_without_lines_keeps_the_message_but_no_url(at: GenerationHarness) -> None:
    for detail, shown in (("no such model", True), ("see https://secret.test", False)):
        made = at.queued()
        at.crun.created.append(UpstreamRefused(404, detail))
        at.create_task(made)
        error = at.row(made).error
        assert error
        assert (detail in error.message) is shown


def test_after_the_deadline_it_is_refused_without_a_call(at: GenerationHarness) -> None:
    made = at.queued()
    at.clock.at += DEADLINE
    assert at.create_task(made)["next"] == "done"
    row = at.row(made)
    assert (row.status, row.error and row.error.code) == (GenerationStatus.REFUSED, "upstream_unavailable")
    assert at.crun.requests == []


def test_a_consent_that_was_withdrawn_in_the_meantime_refuses_it(at: GenerationHarness) -> None:
    (session, _, shown), (_, _, other) = at.person(), at.person()
    made = at.queued(other, shown)
    at.withdraw(session)
    assert at.create_task(made)["next"] == "done"
    row = at.row(made)
    assert (row.status, row.error and row.error.code) == (GenerationStatus.REFUSED, "consent_withdrawn")
    assert at.crun.requests == []


def test_an_asset_that_is_no_longer_active_refuses_it(at: GenerationHarness) -> None:
    _, files, shown = at.person(2)
    made = at.queued(shown)
    lost = replace(files[1], status=AssetStatus.FAILED)
    at.people.store.change_asset(lost, [AssetStatus.ACTIVE])
    at.create_task(made)
    error = at.row(made).error
    assert error
    assert error.code == "asset_not_active"


def test_a_withdrawal_between_check_and_intent_is_no_call(at: GenerationHarness) -> None:
    session, _, shown = at.person()
    made = at.queued(shown)
    store = at.generations

    class Late:
        def __getattr__(self, name: str) -> Any:
            if name == "intend":
                at.withdraw(session)
                at.broken = None
            return getattr(store, name)

    at.broken = Late()
    with pytest.raises(WorkInProgress):
        at.create_task(made)
    at.create_task(made)
    assert at.row(made).status is GenerationStatus.REFUSED
    assert at.crun.requests == []


def test_an_erased_one_is_canceled(at: GenerationHarness) -> None:
    made = at.queued()
    at.generations.erase(made, at.clock.now())
    assert at.create_task(made)["next"] == "done"
    assert at.row(made).status is GenerationStatus.CANCELED
    assert at.crun.requests == []


@pytest.mark.parametrize("after", [False, True])
def test_an_intent_whose_write_is_not_answered_is_tried_again(at: GenerationHarness, after: bool) -> None:
    made = at.queued()
    at.broken = FailingStore(at.generations, "intend", times=2, after=after)
    at.crun.created.append("task-1")
    assert at.create_task(made)["task_id"] == "task-1"
    assert at.slept == [0.2, 1.0]


@pytest.mark.parametrize("after", [False, True])
def test_an_intent_that_is_never_answered_is_removed(at: GenerationHarness, after: bool) -> None:
    made = at.queued()
    at.broken = FailingStore(at.generations, "intend", times=3, after=after)
    with pytest.raises(StorageUnavailable):
        at.create_task(made)
    assert at.row(made).intended_at is None
    at.broken = None
    at.crun.created.append("task-1")
    assert at.create_task(made)["next"] == "wait"
    assert len(at.crun.requests) == 1


def test_a_task_that_cannot_be_stored_is_in_the_executions_state(at: GenerationHarness) -> None:
    made = at.queued()
    at.broken = FailingStore(at.generations, "record_task")
    at.crun.created.append("task-1")
    action = at.create_task(made)
    assert (action["next"], action["task_id"]) == ("wait", "task-1")
    at.broken = None
    assert at.row(made).was_intended
    at.crun.reports.append(at.report(made, "running"))
    polled = at.poll_task(made, task_id="task-1")
    assert (polled["next"], at.row(made).task_id) == ("wait", "task-1")


def test_a_callback_during_the_call_may_store_the_task_first(at: GenerationHarness) -> None:
    made = at.queued()
    at.crun.created.append("task-1")
    at.crun.during = lambda: (at.generations.record_task(at.row(made), "task-1", at.clock.now()), None)[1]
    assert at.create_task(made)["task_id"] == "task-1"


def test_a_task_that_a_callback_named_before_the_answer_was_lost_is_kept(at: GenerationHarness) -> None:
    made = at.queued()
    at.crun.created.append(UpstreamAmbiguous())
    at.crun.during = lambda: (at.generations.record_task(at.row(made), "task-1", at.clock.now()), None)[1]
    action = at.create_task(made)
    assert (action["next"], action["task_id"]) == ("wait", "task-1")
    assert at.row(made).status is GenerationStatus.RUNNING


def test_a_known_report_is_acted_on(at: GenerationHarness) -> None:
    assert at.create_task(at.succeeded())["next"] == "save"
    made = at.running()
    at.generations.record_report(made, at.report(made, "failed", message="moderated"), at.clock.now())
    assert at.create_task(made)["next"] == "done"
    assert at.row(made).status is GenerationStatus.FAILED
