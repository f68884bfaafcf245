"""State PollTask: each answer of crun leads to another poll, to the media, or to an honest end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from likeness.adapters.table.poll_history import DynamoPollHistory
from likeness.domain.generation import GenerationStatus
from likeness.errors import RateLimited, StorageUnavailable, UpstreamAmbiguous, UpstreamError, UpstreamRefused
from likeness.steps.files.next_action import HAND_OVER_SECONDS, MAX_POLLS
from tests.unit.generation_harness import DEADLINE, LINK, FailingStore, GenerationHarness, harness_of
from tests.unit.step_harness import TABLE, StepHarness


@pytest.fixture
def at(harness: StepHarness) -> GenerationHarness:
    return harness_of(harness)


@pytest.mark.parametrize("status", ["pending", "running", "queued", ""])
def test_a_task_that_is_not_over_is_waited_for(at: GenerationHarness, status: str) -> None:
    made = at.running()
    at.clock.at += 10
    at.crun.reports.append(at.report(made, status))
    action = at.poll_task(made, 3)
    assert (action["next"], action["round"], action["task_id"]) == ("wait", 4, made.task_id)
    assert action["asked_at"] == at.clock.now()
    assert at.crun.asked == [made.task_id]


def test_an_unknown_task_is_waited_for(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(None)
    action = at.poll_task(made, asked_at=5.0)
    assert (action["next"], action["asked_at"]) == ("wait", 5.0)


def test_a_success_is_stored_and_its_media_are_saved_next(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(at.report(made, "success", media_urls=(LINK,), credits=7.5))
    assert at.poll_task(made)["next"] == "save"
    row = at.row(made)
    assert row.report
    assert (row.status, row.report.media_urls, row.report.credits) == (GenerationStatus.RUNNING, (LINK,), 7.5)


@pytest.mark.parametrize("credits_", [0.0, 2.5, None])
def test_a_failure_ends_it_with_crun_s_words_and_the_real_credits(
    at: GenerationHarness, credits_: float | None
) -> None:
    session, _, shown = at.person()
    made = at.running(shown)
    at.crun.reports.append(at.report(made, "failed", code="risk", message="The output was moderated", credits=credits_))
    assert at.poll_task(made)["next"] == "done"
    row = at.row(made)
    assert (row.status, row.credits) == (GenerationStatus.FAILED, credits_)
    assert row.error
    assert (row.error.code, row.error.upstream_code) == ("generation_failed", "risk")
    assert row.error.message == "The output was moderated"
    (use,) = at.uses(session)
    assert (use.outcome, use.reason) == ("failed", "generation_failed")


def test_a_failure_without_words_says_so(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(at.report(made, "failed"))
    at.poll_task(made)
    error = at.row(made).error
    assert error
    assert "without a reason" in error.message


@pytest.mark.parametrize(
    ("problem", "least"),
    [(RateLimited(asked_to_wait=120), 120), (UpstreamAmbiguous(retry_after=10), 10), (UpstreamRefused(422), 1)],
)
def test_an_error_of_crun_leads_to_another_poll(at: GenerationHarness, problem: UpstreamError, least: int) -> None:
    made = at.running()
    at.crun.reports.append(problem)
    action = at.poll_task(made, asked_at=7.0)
    assert (action["next"], action["asked_at"]) == ("wait", 7.0)
    assert action["wait_seconds"] >= least
    assert at.refusals == []


@pytest.mark.parametrize("code", [401, 402, 403, 505])
def test_a_refused_account_is_waited_for_and_counted(at: GenerationHarness, code: int) -> None:
    made = at.running()
    at.crun.reports.append(UpstreamRefused(code))
    action = at.poll_task(made)
    assert (action["next"], action["wait_seconds"]) == ("wait", 300)
    assert at.refusals == [1]
    assert at.row(made).status is GenerationStatus.RUNNING


@pytest.mark.parametrize("answer", ["running", None, "ambiguous"])
def test_without_an_outcome_it_is_uncertain_after_the_deadline(at: GenerationHarness, answer: str | None) -> None:
    made = at.running()
    at.clock.at += DEADLINE
    reports = {"running": at.report(made, "running"), None: None, "ambiguous": UpstreamAmbiguous()}
    at.crun.reports.append(reports[answer])
    assert at.poll_task(made)["next"] == "done"
    row = at.row(made)
    assert (row.status, row.error and row.error.code) == (GenerationStatus.UNCERTAIN, "outcome_unknown")


def test_an_outcome_after_the_deadline_still_counts(at: GenerationHarness) -> None:
    made = at.running()
    at.clock.at += 2 * DEADLINE
    at.crun.reports.append(at.report(made, "success", media_urls=(LINK,)))
    assert at.poll_task(made)["next"] == "save"


def test_a_task_that_was_created_late_has_an_hour(at: GenerationHarness) -> None:
    made = at.queued()
    at.clock.at += DEADLINE - 1
    made = at.generations.record_task(at.generations.intend(made, "e", at.clock.now()), "late", at.clock.now())
    at.clock.at += 3599
    at.crun.reports.extend([at.report(made, "running"), at.report(made, "running")])
    assert at.poll_task(made)["next"] == "wait"
    at.clock.at += 1
    assert at.poll_task(made)["next"] == "done"


def test_a_report_that_a_callback_stored_is_not_asked_for_again(at: GenerationHarness) -> None:
    assert at.poll_task(at.succeeded())["next"] == "save"
    assert at.crun.asked == []


@pytest.mark.parametrize("ended", [GenerationStatus.SUCCEEDED, GenerationStatus.UNCERTAIN, GenerationStatus.FAILED])
def test_an_ended_one_is_not_asked_for(at: GenerationHarness, ended: GenerationStatus) -> None:
    made = at.running()
    at.generations.end(made.ended(ended, at.clock.now()), made)
    assert at.poll_task(made, task_id=made.task_id)["next"] == "done"
    assert at.crun.asked == []


def test_one_without_a_task_is_left_to_reconcile(at: GenerationHarness) -> None:
    assert at.poll_task(at.queued())["next"] == "done"


def test_a_task_of_the_state_is_adopted_by_an_uncertain_one(at: GenerationHarness) -> None:
    made = at.queued()
    intent = at.generations.intend(made, "e", at.clock.now())
    at.generations.end(intent.ended(GenerationStatus.UNCERTAIN, at.clock.now()), intent)
    at.crun.reports.append(at.report(made, "running"))
    assert at.poll_task(made, task_id="task-1")["next"] == "wait"
    assert (at.row(made).status, at.row(made).task_id) == (GenerationStatus.RUNNING, "task-1")


def test_a_task_of_the_state_does_not_replace_another_one(at: GenerationHarness) -> None:
    made = at.running()
    at.crun.reports.append(at.report(made, "running"))
    assert at.poll_task(made, task_id="other")["task_id"] == made.task_id
    refused = at.queued()
    at.generations.end(refused.ended(GenerationStatus.CANCELED, at.clock.now()), refused)
    assert at.poll_task(refused, task_id="other")["next"] == "done"
    assert at.row(refused).status is GenerationStatus.CANCELED


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["record_report", "end"])
def test_a_write_without_an_answer_is_repeated_by_the_next_try(at: GenerationHarness, method: str, after: bool) -> None:
    made = at.running()
    at.broken = FailingStore(at.generations, method, after=after)
    at.crun.reports.extend([at.report(made, "failed"), at.report(made, "failed")])
    with pytest.raises(StorageUnavailable):
        at.poll_task(made)
    at.poll_task(made)
    assert at.row(made).status is GenerationStatus.FAILED


def test_an_old_or_long_execution_ends_and_leaves_it_due(at: GenerationHarness) -> None:
    made = at.running()
    now = at.clock.now()
    for polls, started in ((0, now - HAND_OVER_SECONDS), (MAX_POLLS, now)):
        at.crun.reports.append(at.report(made, "running"))
        assert at.poll_task(made, polls, started_at=started)["next"] == "done"
    assert at.row(made).status is GenerationStatus.RUNNING


def test_an_erased_one_is_watched_to_its_end(at: GenerationHarness) -> None:
    made = at.running()
    at.generations.erase(made, at.clock.now())
    at.crun.reports.append(at.report(made, "success", media_urls=(LINK,)))
    assert at.poll_task(made)["next"] == "save"
    report = at.row(made).report
    assert report
    assert report.media_urls == ()


def test_the_time_to_the_end_is_learned_by_model(at: GenerationHarness) -> None:
    model = "bytedance/learned"
    made = at.running(model=model)
    asked = at.clock.now()
    at.clock.at += 60
    at.crun.reports.append(at.report(made, "success", media_urls=(LINK,)))
    at.poll_task(made, asked_at=asked)
    history = DynamoPollHistory(at.people.dynamodb, TABLE, lambda: None)
    assert history.of(model, at.clock.now()).total == pytest.approx(1, abs=0.01)
    assert history.of("bytedance/other", at.clock.now()).total == 0
    repeated = replace(made)
    at.poll_task(repeated, asked_at=asked)
    assert history.of(model, at.clock.now()).total == pytest.approx(1, abs=0.01)
