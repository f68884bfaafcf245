"""crun's own routes, with every fault at every call of their functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from likeness.domain.asset import AssetStatus
from likeness.domain.drop_in import session_of
from likeness.domain.generation import GenerationStatus
from likeness.domain.terms import Withdrawal
from local.simulator import FaultRule
from tests.faults import generating
from tests.faults.crun_caller import CALLBACK, VIDEO_PROMPT, CrunCaller, VideoCaller, served_face
from tests.faults.fault_injection import MOMENTARY, Call, Fault
from tests.faults.onboarding import take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import LINK_CHECK_SECONDS, SimulatedAws, simulated_aws

_READS = ("BatchGetItem", "GetItem", "GetSecretValue", "Query")
BEHIND = ("open_validation", "get_result", "fetch_asset")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_face() as url:
        yield url


@pytest.fixture(scope="module")
def where() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as made:
        yield made


def play(where: SimulatedAws, url: str, plan: dict[int, Fault]) -> CrunCaller:
    where.begin(plan)
    caller = CrunCaller(where, url)
    where.play(caller.story())
    where.settle()
    return caller


def check(caller: CrunCaller, fault: Fault | None = None) -> None:
    """Checks what holds after any fault."""
    where = caller.account
    assert caller.ended, "the program gave up"
    session_id = session_of(caller.issued_token)
    assert session_id
    session, assets = where.store.load(session_id)
    assert session
    assert session.group_id == caller.group_id
    at_crun = where.simulator.store.assets
    # asset-info finds the id that the program received, and an Active one exists at crun.
    if caller.info["Status"] == "Active":
        assert at_crun[caller.info["AssetId"]].status == "Active"
    else:
        assert fault in (Fault.LOST, Fault.DIES), caller.info
    # Each asset has settled. Other assets at crun come from lost responses.
    assert {each.status for each in assets} <= {AssetStatus.ACTIVE, AssetStatus.FAILED}
    strays = set(at_crun) - {each.crun_asset_id for each in assets}
    assert len(strays) <= (fault is not None)
    lookups = [each.successful_lookups for each in where.simulator.store.validations.values()]
    assert max(lookups) == 1
    assert not [each for each in where.lookups if each.before_pass and each.age < LINK_CHECK_SECONDS]


def test_a_caller_of_crun_routes_completes(where: SimulatedAws, url: str) -> None:
    caller = play(where, url, {})
    check(caller)
    assert caller.asset_ids == [caller.info["AssetId"]]


@pytest.fixture(scope="module")
def calls(where: SimulatedAws, url: str) -> list[Call]:
    play(where, url, {})
    behind = [each for each in where.injector.calls if each.by in BEHIND]
    # All polls make the same calls, so five of these are enough.
    questions = [each for each in behind if each.by == "get_result"]
    return [each for each in behind if each not in questions[5:]]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", MOMENTARY)
def test_no_single_fault_at_any_call_breaks_a_promise(
    where: SimulatedAws, url: str, calls: list[Call], fault: Fault
) -> None:
    assert {each.by for each in calls} == set(BEHIND)
    for call in calls:
        if fault in (Fault.LOST, Fault.REPEATED) and call.operation in _READS:
            continue  # repeating a read has no effect
        caller = play(where, url, {call.number: fault})
        assert where.injector.fired, call
        try:
            check(caller, fault)
        except AssertionError as exc:
            raise AssertionError(f"{call} {fault}: {exc}") from exc


def test_an_upload_that_crun_defers_for_hours_becomes_active(where: SimulatedAws, url: str) -> None:
    where.begin({})
    where.simulator.add_faults(FaultRule(call="upload", kind="both", code=455, times=12, retry_after=600))
    caller = CrunCaller(where, url)
    where.play(caller.story())
    where.settle()
    check(caller)
    (first,) = caller.asset_ids
    assert first.startswith("ast_"), "crun's id was not known in time"
    assert caller.info["AssetId"] != first


def test_the_link_check_finds_a_lost_callback_and_polls_consume_no_token(where: SimulatedAws) -> None:
    where.begin({})
    made = where.crun_route("visual-validate-session", body={"callback_url": CALLBACK}).body["data"]
    for _ in range(3):
        assert where.crun_route("visual-validate-result", byted_token=made["BytedToken"]).status == 404
    take_check(made["H5Link"], "pass")
    where.settle()
    answer = where.crun_route("visual-validate-result", byted_token=made["BytedToken"])
    assert answer.status == 200
    assert [each.lookups for each in where.simulator.store.validations.values()] == [1]


# -- a video --------------------------------------------------------------------------------------------------------


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
