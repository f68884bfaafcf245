"""A video by crun's own routes, with every fault at every call of their functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from likeness.domain.generation import GenerationStatus
from likeness.domain.terms import Withdrawal
from local.simulator import FaultRule
from tests.faults import generating
from tests.faults.crun_caller import VIDEO_PROMPT, VideoCaller
from tests.faults.fault_injection import MOMENTARY, Call, Fault
from tests.faults.simulated_aws import SimulatedAws, simulated_aws

_READS = ("BatchGetItem", "GetItem", "GetSecretValue", "Query")


@pytest.fixture(scope="module")
def studio() -> Iterator[SimulatedAws]:
    """An account whose crun makes a video in twelve seconds, and calls nobody back."""
    with simulated_aws(generating.SETTINGS, GENERATION_DAILY_CREDITS=str(int(generating.BUDGET))) as made:
        yield made


def film(studio: SimulatedAws, plan: dict[int, Fault] | None = None, *rules: FaultRule) -> VideoCaller:
    studio.begin(plan or {})
    studio.simulator.add_faults(*rules)
    caller = VideoCaller(studio)
    studio.play(caller.story())
    studio.settle()
    studio.injector.plan = {}
    return caller


def check_video(caller: VideoCaller) -> None:
    """Checks what holds after any fault."""
    where, rows = caller.account, caller.generations()
    created = where.simulator.store.tasks
    assert len(created) <= 1, "a task was created twice"
    assert all(each.is_over for each in rows), [each.status for each in rows]
    # The task is known, or the only generation that may have it is uncertain.
    known = {each.task_id for each in rows} - {None}
    assert known == set(created) or GenerationStatus.UNCERTAIN in {each.status for each in rows}
    if caller.task_id:
        assert known == set(created) == {caller.task_id}
        assert caller.info["status"] == "success", caller.info
        assert caller.info["param"] == caller.body
        assert len(caller.info["result"]["media_urls"]) == 1
    elif caller.answer.status == 500 and created:
        (uncertain,) = [each for each in rows if each.status is GenerationStatus.UNCERTAIN or each.task_id]
        assert uncertain.id in caller.answer.body["message"]
    secrets = [VIDEO_PROMPT[-12:], where.client_key, "/media/", "X-Amz-"]
    assert not [line for line in (*where.logs, *where.inputs.values()) if any(each in line for each in secrets)]


def test_a_caller_of_crun_routes_gets_a_video(studio: SimulatedAws) -> None:
    caller = film(studio)
    assert caller.task_id
    check_video(caller)
    assert not caller.refusals


@pytest.fixture(scope="module")
def video_calls(studio: SimulatedAws) -> list[Call]:
    film(studio)
    behind = [each for each in studio.injector.calls if each.by in ("relay_task", "get_task")]
    polls = [each for each in behind if each.by == "get_task"]
    return [each for each in behind if each not in polls[5:]]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", MOMENTARY)
def test_no_single_fault_at_any_call_loses_or_repeats_a_video(
    studio: SimulatedAws, video_calls: list[Call], fault: Fault
) -> None:
    assert {each.by for each in video_calls} == {"relay_task", "get_task"}
    for call in video_calls:
        if fault in (Fault.LOST, Fault.REPEATED) and call.operation in _READS:
            continue  # repeating a read has no effect
        caller = film(studio, {call.number: fault})
        assert studio.injector.fired, call
        try:
            check_video(caller)
        except AssertionError as exc:
            raise AssertionError(f"{call} {fault}: {exc}") from exc


@pytest.mark.parametrize("code", [429, 455])
def test_a_burst_at_create_task_and_task_info_is_retried(studio: SimulatedAws, code: int) -> None:
    caller = film(
        studio, None, FaultRule(call="create_task", kind="both", code=code, times=3),
        FaultRule(call="task_info", kind="both", code=code, times=3),
    )  # fmt: skip
    assert (caller.info["status"], caller.refusals) == ("success", 0)
    check_video(caller)


def test_a_burst_that_outlasts_the_request_is_canceled_and_created_by_the_next_one(studio: SimulatedAws) -> None:
    caller = film(studio, None, FaultRule(call="create_task", kind="both", code=455, times=2, retry_after=20))
    assert (caller.info["status"], caller.refusals) == ("success", 2)
    statuses = {each.status for each in caller.generations()}
    assert statuses == {GenerationStatus.CANCELED, GenerationStatus.SUCCEEDED}
    check_video(caller)


def test_a_lost_response_of_create_task_names_the_generation(studio: SimulatedAws) -> None:
    caller = film(studio, None, FaultRule(call="create_task", kind="reset"))
    (row,) = caller.generations()
    assert (caller.answer.status, row.status) == (500, GenerationStatus.UNCERTAIN)
    assert row.id in caller.answer.body["message"]
    assert len(studio.simulator.create_requests()) == 1
    # crun's callback names the task: the generation is made all the same.
    (task,) = studio.simulator.store.tasks
    url, data = studio.simulator.generation.callback_of(task)
    assert studio.task_callback(str(url), data).status == 200
    studio.settle()
    found = studio.crun_route("TaskInfo", task_id=task).body["data"]
    assert found["status"] == "success"


def test_a_withdrawn_person_is_refused_without_a_call(studio: SimulatedAws) -> None:
    studio.begin({})
    caller = VideoCaller(studio)
    assert caller.person
    session = studio.store.get_session(caller.person.session_id)
    assert session
    studio.store.withdraw_consent(session, Withdrawal(studio.now, "person", "invite"))
    studio.play(caller.story())
    studio.settle()
    assert caller.answer.status == 422
    assert caller.answer.body["errors"][0].endswith("(consent_withdrawn)")
    assert caller.generations() == []
    assert not studio.simulator.create_requests()


def test_a_withdrawal_while_the_task_is_running_is_a_failure_in_words(studio: SimulatedAws) -> None:
    studio.begin({})
    caller = VideoCaller(studio)
    assert caller.person
    session = studio.store.get_session(caller.person.session_id)
    assert session
    studio.play(caller.story())
    studio.after(7, lambda: studio.store.withdraw_consent(session, Withdrawal(studio.now, "person", "invite")))
    studio.settle()
    assert caller.info["status"] == "failed"
    assert caller.info["result"]["message"].endswith("(consent_withdrawn)")
    assert caller.info["result"]["media_urls"] == []
