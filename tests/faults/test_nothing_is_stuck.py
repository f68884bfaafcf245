"""After any outage of any length, and any end of an execution, everything ends or waits for a person.

Unless a test says so, nobody reloads, redrives or polls: only time passes, and ``reconcile`` runs.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from likeness.adapters.table.items import session_key
from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.session import AttemptStatus, Session, SessionStatus
from likeness.runtime import bootstrap
from local.simulator import FaultRule
from tests.aws import Tables
from tests.faults.fault_injection import Fault, Killed
from tests.faults.onboarding import FACES, registration, take_check
from tests.faults.simulated_aws import LINK_CHECK_SECONDS, SimulatedAws, simulated_aws

pytestmark = pytest.mark.slow

HOUR, DAY = 3600.0, 86_400.0
TOKEN_SECONDS = 1800.0
SESSION = "/sessions/{session_id}"
SETTINGS: dict[str, Any] = {
    "asset_outcomes": [{"name": "*", "outcome": "active", "after_seconds": 5}],
    "token_seconds": TOKEN_SECONDS,
    "token_mode": "single_use",
}


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as where:
        yield where


@pytest.fixture
def where(account: SimulatedAws) -> Iterator[SimulatedAws]:
    account.settle()
    account.begin({})
    yield account
    account.begin({})  # a row that a test damaged would stay due
    account.reconciles = True
    account.injector.asking = account.asking
    account.simulator.clear_faults()
    account.simulator.update_settings(**SETTINGS)


@dataclass
class Person:
    """A session with stored files, whose person has passed."""

    where: SimulatedAws
    id: str
    callback: str

    @property
    def session(self) -> Session:
        found = self.where.store.get_session(self.id)
        assert found
        return found

    @property
    def assets(self) -> list[Asset]:
        return self.where.store.list_assets(self.id)

    @property
    def execution(self) -> str:
        """The name of the execution that is running."""
        (running,) = [name for name, status in self.where.executions.items() if status == "RUNNING"]
        return running

    def pass_new_attempt(self) -> None:
        """Starts a new attempt, which the person passes."""
        made = self.where.api("POST", f"{SESSION}/attempts", session_id=self.id)
        assert made.status == 201, made
        assert self.where.browser(take_check(made.body["attempt"]["h5_link"], "pass")).status == 303


def _arrives(where: SimulatedAws, *, files: int = 2) -> Person:
    """Creates a session with stored files, whose person has passed; the callback is not opened yet."""
    made = where.api("POST", "/sessions", body={"assets": [registration(each) for each in range(files)]}).body
    for index, each in enumerate(made["assets"]):
        where.put_object(each["upload"]["fields"]["key"], FACES[index])
    where.settle(2)
    return Person(where, made["id"], take_check(made["attempt"]["h5_link"], "pass"))


def _passes(where: SimulatedAws, *, files: int = 2) -> Person:
    person = _arrives(where, files=files)
    assert where.browser(person.callback).status == 303
    return person


def _for(where: SimulatedAws, seconds: float, broken: Callable[[str, str], Fault | None]) -> None:
    """Starts an outage that lasts ``seconds``."""
    where.injector.outage = broken
    where.after(seconds, lambda: setattr(where.injector, "outage", lambda *_: None))


def _when(where: SimulatedAws, call: str, act: Callable[[], None]) -> None:
    """Runs ``act`` once, right before the next such call to crun."""

    def asking(operation: str, url: str) -> None:
        where.asking(operation, url)
        if operation == call:
            where.injector.asking = where.asking
            act()

    where.injector.asking = asking


def _causes(where: SimulatedAws) -> Counter[str]:
    """Returns how often reconcile continued something, by cause."""
    lines = [line for line in map(json.loads, where.logs) if "_aws" in line and "Reconciled" in line]
    return Counter(line["cause"] for line in lines if "cause" in line)


def _unknown(person: Person) -> int:
    """Returns the number of assets at crun that no row names."""
    return len(set(person.where.simulator.store.assets) - {each.crun_asset_id for each in person.assets})


def _settled(person: Person, *, orphans: bool = True) -> None:
    """Asserts that everything has ended or waits for a person, and that each token was used at most once."""
    where, session = person.where, person.session
    assert session.status in (SessionStatus.VERIFIED, SessionStatus.REQUIRES_INPUT), "the session is stuck"
    assert session.group_id or session.last_error, "no error explains what to do"
    statuses = {each.status for each in session.attempts.values()}
    assert AttemptStatus.OPEN not in statuses
    left = [each for each in person.assets if each.status in IN_PROGRESS]
    assert not left or (not session.group_id and all(each.status is AssetStatus.UPLOADED for each in left))
    assert all(each.error for each in person.assets if each.status is AssetStatus.FAILED)
    assert "RUNNING" not in where.executions.values()
    validations = where.simulator.store.validations.values()
    assert all(each.successful_lookups <= 1 for each in validations), "a token can be used once"
    assert session.group_id is None or session.group_id in {each.group_id for each in validations}
    if orphans:
        assert _unknown(person) <= where.metrics.count("PossibleOrphan")


def _verified_in_the_end(person: Person) -> None:
    """Asserts the same, and that a person who has to repeat the check is verified then."""
    _settled(person)
    if person.session.group_id is None:
        person.pass_new_attempt()
        person.where.settle()
        _settled(person)
    assert person.session.status is SessionStatus.VERIFIED
    unsent = [each for each in person.assets if each.status is not AssetStatus.ACTIVE]
    assert all(each.error and each.error.retryable for each in unsent), unsent


# -- outages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token_seconds", [DAY, TOKEN_SECONDS])
def test_an_outage_of_four_hours_and_a_callback_that_is_opened_again(where: SimulatedAws, token_seconds: float) -> None:
    where.simulator.update_settings(token_seconds=token_seconds)
    person = _arrives(where)
    where.simulator.add_faults(FaultRule(call="result", kind="both", code=455, times=None))
    assert where.browser(person.callback).status == 303
    where.settle(4 * HOUR)
    where.simulator.clear_faults()
    assert where.browser(person.callback).status == 303
    where.settle()
    _settled(person)
    if token_seconds == DAY:
        assert person.session.status is SessionStatus.VERIFIED
        assert len(person.session.attempts) == 1, "the person has nothing to do"
    else:
        assert person.session.attempts[1].status is AttemptStatus.FAILED
        assert person.session.last_error
        assert person.session.last_error.code == "attempt_failed"
    _verified_in_the_end(person)


def test_an_outage_of_four_hours_and_a_browser_that_does_not_return(where: SimulatedAws) -> None:
    where.simulator.update_settings(token_seconds=DAY)
    person = _passes(where)
    _for(where, 4 * HOUR, lambda service, _: Fault.FAILS if service == "crun" else None)
    where.settle()
    _verified_in_the_end(person)


MOMENTS = {
    "right after the callback": None,
    "right after the look-up": "visual-validate-result",
    "while submitting": "asset-upload",
    "while polling": "asset-info",
}


@pytest.mark.parametrize("hours", [1.5, 3, 48])
@pytest.mark.parametrize("service", ["dynamodb", "crun", "sqs", "stepfunctions"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_outage_of_any_length_loses_no_person(where: SimulatedAws, service: str, hours: float, moment: str) -> None:
    begins = MOMENTS[moment]

    def outage() -> None:
        _for(where, hours * HOUR, lambda of, _: Fault.FAILS if of == service else None)

    person = _arrives(where)
    if begins:
        _when(where, begins, outage)
    assert where.browser(person.callback).status == 303
    if not begins:
        outage()
    where.settle()
    _settled(person)
    if begins:
        assert person.session.status is SessionStatus.VERIFIED, "what crun returned once is not lost"
        assert len(where.lookups) == 1
    _verified_in_the_end(person)


def test_two_days_without_dynamodb_right_after_the_lookup_of_a_single_use_token(where: SimulatedAws) -> None:
    person = _arrives(where)
    down = lambda of, _: Fault.FAILS if of == "dynamodb" else None  # noqa: E731
    _when(where, "visual-validate-result", lambda: _for(where, 2 * DAY, down))
    assert where.browser(person.callback).status == 303
    where.settle()
    assert person.session.status is SessionStatus.VERIFIED
    assert len(where.lookups) == 1
    assert len(person.session.attempts) == 1
    assert {each.status for each in person.assets} == {AssetStatus.ACTIVE}
    assert _causes(where)


def test_dead_letters_that_are_not_redriven(where: SimulatedAws) -> None:
    where.simulator.update_settings(token_seconds=DAY)
    person = _arrives(where)
    where.broken_until["start_onboarding"] = where.now + 12 * HOUR
    assert where.browser(person.callback).status == 303
    where.settle()
    assert person.session.status is SessionStatus.VERIFIED
    assert {each.status for each in person.assets} == {AssetStatus.ACTIVE}
    assert _causes(where)["missing"] >= 1


@pytest.mark.parametrize("after", [30.0, 1000.0, 3500.0])
def test_a_file_whose_event_was_lost_is_found_by_reconcile(where: SimulatedAws, after: float) -> None:
    made = where.api("POST", "/sessions", body={"assets": [registration(0)]}).body
    where.browser(take_check(made["attempt"]["h5_link"], "pass"))
    where.settle(after)
    key = made["assets"][0]["upload"]["fields"]["key"]
    where.aws("s3").put_object(Bucket=where.bucket, Key=key, Body=FACES[0])
    where.settle(4500 - after)
    (asset,) = where.store.list_assets(made["id"])
    assert asset.status is AssetStatus.ACTIVE
    assert _causes(where) == {"upload_event_lost": 1}


# -- executions that end unexpectedly --------------------------------------------------------------------------------


def _stands(where: SimulatedAws, at: str) -> Person:
    """Returns a person whose execution is stuck in a state."""
    person = _arrives(where)
    if at == "SaveGroup":
        where.injector.outage = lambda *_: Fault.FAILS if where.injector.caller == "onboard_person" else None
    elif at == "PollAssets":
        where.simulator.update_settings(asset_outcomes=[{"name": "*", "outcome": "active", "after_seconds": 600}])
    else:
        call = {"LookUpResult": "result", "SubmitAsset": "upload"}[at]
        where.simulator.add_faults(FaultRule.model_validate({"call": call, "kind": "both", "code": 455, "times": None}))
    assert where.browser(person.callback).status == 303
    where.settle(LINK_CHECK_SECONDS + 60)  # every message about it has been processed
    return person


@pytest.mark.parametrize("ended", ["ABORTED", "TIMED_OUT", "deleted"])
@pytest.mark.parametrize("at", ["LookUpResult", "SaveGroup", "SubmitAsset", "PollAssets"])
def test_an_execution_that_ends_in_the_middle(where: SimulatedAws, at: str, ended: str) -> None:
    person = _stands(where, at)
    name = person.execution
    if ended == "deleted":
        del where.executions[name]
        where.state_machine.outputs.pop(name, None)
    else:
        where.executions[name] = ended
    where.injector.outage = lambda *_: None
    where.simulator.clear_faults()
    where.settle()
    causes = _causes(where)
    assert causes[{"ABORTED": "aborted", "TIMED_OUT": "timed_out", "deleted": "missing"}[ended]] >= 1, causes
    if at == "SaveGroup" and ended == "deleted":
        assert person.session.attempts[1].status is AttemptStatus.LOST, "the group cannot be known any more"
    else:
        assert person.session.status is SessionStatus.VERIFIED
        assert {each.status for each in person.assets} == {AssetStatus.ACTIVE}
        assert sum(each.successful_lookups for each in where.simulator.store.validations.values()) == 1
    _verified_in_the_end(person)


def test_a_late_pass_of_an_older_attempt_that_crun_refuses(where: SimulatedAws) -> None:
    person = _arrives(where)
    second = where.api("POST", f"{SESSION}/attempts", session_id=person.id).body["attempt"]["h5_link"]
    where.browser(take_check(second, "fail"))
    assert person.session.last_error
    where.simulator.add_faults(FaultRule(call="result", kind="both", code=404, times=None))
    assert where.browser(person.callback).status == 303
    where.settle(60)
    assert person.session.last_error is None, "a look-up is in progress"
    where.settle()
    assert not person.session.passed
    assert person.session.last_error
    assert person.session.last_error.code == "attempt_failed"
    where.simulator.clear_faults()
    _verified_in_the_end(person)


def test_an_erasure_ends_executions_that_reconcile_started(where: SimulatedAws) -> None:
    person = _stands(where, "LookUpResult")
    where.executions[person.execution] = "ABORTED"
    where.settle(1200)
    assert person.execution == f"{person.id}-a1-r1"
    before = len(where.lookups)
    assert where.api("DELETE", SESSION, session_id=person.id).status == 200
    where.settle()
    assert "RUNNING" not in where.executions.values()
    assert len(where.lookups) == before, "crun is not called for a person who is erased"
    assert person.session.status is SessionStatus.REDACTED


# -- a restored table ------------------------------------------------------------------------------------------------


def _writes(where: SimulatedAws, act: Callable[[int], None]) -> Callable[[], None]:
    """Calls ``act(n)`` after the n-th write to the tables; returns a function that stops this."""
    numbers, happened, update_item = itertools.count(1), where.injector.happened, where.state_machine.update_item

    def seen(service: str, operation: str, body: dict[str, Any]) -> None:
        happened(service, operation, body)
        if service == "dynamodb" and operation in ("PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem"):
            act(next(numbers))

    def by_the_machine(parameters: dict[str, Any]) -> Any:
        answer = update_item(parameters)
        act(next(numbers))
        return answer

    def end() -> None:
        where.injector.happened, where.state_machine.update_item = happened, update_item

    where.injector.happened, where.state_machine.update_item = seen, by_the_machine
    return end


def _restored(where: SimulatedAws, number: int) -> tuple[Person, str | None] | None:
    """Plays an onboarding, then restores the tables as they were after a write; None if there was no such write."""
    kept: list[Tables] = []
    where.settle()
    where.begin({})
    end = _writes(where, lambda each: kept.append(Tables()) if each == number else None)
    person = _passes(where)
    where.settle()
    end()
    if not kept:
        return None
    group = person.session.group_id
    kept[0].restore()
    return person, group


def test_a_table_that_is_restored_to_any_earlier_moment(where: SimulatedAws) -> None:
    number = 0
    for number in itertools.count(1):
        found = _restored(where, number)
        if found is None:
            break
        person, group = found
        if where.store.get_session(person.id) is None:
            continue  # restored to before its creation
        at_crun = set(where.simulator.store.assets)
        where.settle(10 * DAY)
        where.settle()
        assert (person.session.group_id, len(where.lookups)) == (group, 1), number
        assert {each.status for each in person.assets} == {AssetStatus.ACTIVE}, number
        assert {each.crun_asset_id for each in person.assets} == at_crun, number
        assert set(where.simulator.store.assets) == at_crun, f"{number}: uploaded twice"
        assert "RUNNING" not in where.executions.values()
    assert number > 15


def test_a_new_file_after_a_restore_submits_no_other_file_again(where: SimulatedAws) -> None:
    kept: list[Tables] = []
    _when(where, "asset-upload", lambda: kept.append(Tables()))
    person = _passes(where)
    where.settle(HOUR)
    at_crun = set(where.simulator.store.assets)
    kept[0].restore()
    where.reconciles = False  # the message of the new file comes first
    where.put_object(f"inbox/{person.id}/third.jpg", FACES[2])
    where.settle(HOUR)
    where.reconciles = True
    where.settle()
    assert {each.status for each in person.assets} == {AssetStatus.ACTIVE}
    assert {each.crun_asset_id for each in person.assets} == set(where.simulator.store.assets)
    assert at_crun < set(where.simulator.store.assets)
    assert len(where.simulator.store.assets) == 3


# -- not yet ---------------------------------------------------------------------------------------------------------

NOT_YET = {
    "404": {"code": 404, "message": "not found", "data": None},
    "422": {"code": 422, "message": "Missing Params or Type Error", "errors": ["byted_token"]},
    "empty": {"code": 200, "message": "ok", "data": {}},
    "null": {"code": 200, "message": "ok", "data": None},
    "no data": {"code": 200, "message": "ok"},
    "null GroupId": {"code": 200, "message": "ok", "data": {"GroupId": None}},
}


def _crun_has_no_result(where: SimulatedAws, answer: str, until: float = float("inf")) -> None:
    """Makes crun return no result before ``until``."""
    body = json.dumps(NOT_YET[answer]).encode()
    status = NOT_YET[answer]["code"]
    assert isinstance(status, int)
    where.injector.instead = lambda call: (
        (status, body) if call == "visual-validate-result" and where.now < until else None
    )


@pytest.mark.parametrize("answer", NOT_YET)
def test_an_attempt_lapses_after_three_link_check_lookups_without_a_result(where: SimulatedAws, answer: str) -> None:
    made = where.api("POST", "/sessions", body={}).body
    _crun_has_no_result(where, answer)
    where.settle()
    row = where.store.get_session(made["id"])
    assert row
    assert row.attempts[1].status is AttemptStatus.LAPSED
    assert row.last_error
    assert row.last_error.code == "link_expired"
    ages = [each.age for each in where.lookups]
    assert 3 <= len(ages) <= 4
    assert all(later - earlier >= 120 for earlier, later in itertools.pairwise(ages))
    assert ages[0] >= LINK_CHECK_SECONDS
    assert set(where.executions.values()) == {"SUCCEEDED"}, "no failed execution, no alarm"


@pytest.mark.parametrize("answer", NOT_YET)
def test_a_missing_result_after_an_authentic_pass_is_requested_for_ten_minutes(
    where: SimulatedAws, answer: str
) -> None:
    person = _arrives(where)
    _crun_has_no_result(where, answer)
    assert where.browser(person.callback).status == 303
    where.settle()
    assert person.session.attempts[1].status is AttemptStatus.FAILED
    assert person.session.last_error
    assert person.session.last_error.code == "attempt_failed"
    ages = [each.age for each in where.lookups]
    assert 600 <= ages[-1] - ages[0] < 700
    assert len(ages) < 25
    assert set(where.executions.values()) == {"SUCCEEDED"}


@pytest.mark.parametrize("answer", NOT_YET)
def test_a_group_after_a_missing_result_verifies(where: SimulatedAws, answer: str) -> None:
    person = _arrives(where)
    _crun_has_no_result(where, answer, until=where.now + 400)
    assert where.browser(person.callback).status == 303
    where.settle()
    assert person.session.status is SessionStatus.VERIFIED
    assert {each.status for each in person.assets} == {AssetStatus.ACTIVE}


def test_a_late_pass_of_a_lapsed_link_is_looked_up_for_ten_minutes(where: SimulatedAws) -> None:
    person = _arrives(where)
    _crun_has_no_result(where, "404", until=where.now + 1300)
    where.settle(1000)
    assert person.session.attempts[1].status is AttemptStatus.LAPSED
    assert where.browser(person.callback).status == 303
    where.settle()
    assert person.session.status is SessionStatus.VERIFIED


def test_a_missing_result_is_not_requested_after_the_token_expires(where: SimulatedAws) -> None:
    person = _arrives(where)
    _crun_has_no_result(where, "404")
    where.settle(1500)
    before = len(where.lookups)
    assert where.browser(person.callback).status == 303
    where.settle()
    assert person.session.attempts[1].status is AttemptStatus.FAILED
    ages = [each.age for each in where.lookups[before:]]
    assert ages[-1] - ages[0] > 250
    assert ages[-1] <= TOKEN_SECONDS + 60


# -- reconcile itself ------------------------------------------------------------------------------------------------


def _poisoned(where: SimulatedAws, session_id: str) -> None:
    """Makes a row unreadable for this version."""
    where.aws("dynamodb").update_item(
        TableName="Table",
        Key=session_key(session_id),
        UpdateExpression="SET #status = :later",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":later": {"S": "of a later version"}},
    )


def test_unreadable_rows_delay_no_other_session(where: SimulatedAws) -> None:
    where.broken_until["start_onboarding"] = where.now + HOUR
    poisoned = [_passes(where, files=0) for _ in range(8)]
    person = _passes(where)
    for each in poisoned:
        _poisoned(where, each.id)
    where.settle(2 * HOUR)
    assert person.session.status is SessionStatus.VERIFIED
    assert any('"ERROR"' in line and poisoned[0].id in line for line in where.logs), "an error is logged"


def test_sessions_that_always_fail_delay_no_other_session(where: SimulatedAws) -> None:
    """Their files are in the bucket, and S3 does not return them."""
    made = [where.api("POST", "/sessions", body={"assets": [registration(0)]}).body for _ in range(8)]
    for each in made:
        key = each["assets"][0]["upload"]["fields"]["key"]
        where.aws("s3").put_object(Bucket=where.bucket, Key=key, Body=FACES[0])
    where.settle(800)
    person = _arrives(where)
    where.injector.outage = lambda service, call: Fault.FAILS if (service, call) == ("s3", "GetObject") else None
    where.broken_until["start_onboarding"] = where.now + DAY
    assert where.browser(person.callback).status == 303
    where.settle(2 * HOUR)
    assert person.session.status is SessionStatus.VERIFIED


def test_more_is_due_than_one_run_reads(where: SimulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness.steps.upkeep.reconcile.MAX_ITEMS_PER_RUN", 3)
    where.broken_until["start_onboarding"] = where.now + HOUR
    people = [_passes(where, files=1) for _ in range(8)]
    where.settle(2 * HOUR)
    assert {each.session.status for each in people} == {SessionStatus.VERIFIED}
    where.settle()
    assert {file.status for each in people for file in each.assets} == {AssetStatus.ACTIVE}


def _stopped(where: SimulatedAws, at: str) -> Person:
    person = _stands(where, at)
    where.executions[person.execution] = "ABORTED"
    where.injector.outage = lambda *_: None
    where.simulator.clear_faults()
    return person


@contextmanager
def _during(number: int, where: SimulatedAws, act: Callable[[], object]) -> Iterator[list[bool]]:
    """Runs ``act`` right before the n-th AWS call of reconcile; the yielded list is not empty if that happened."""
    done: list[bool] = []
    numbers = itertools.count(1)

    def before(**_: Any) -> None:
        if where.injector.caller == "reconcile" and not done and next(numbers) == number:
            done.append(True)
            act()

    events = {service: bootstrap.client(service).meta.events for service in ("dynamodb", "s3", "sqs", "stepfunctions")}
    for service, each in events.items():
        each.register_first(f"before-call.{service}", before)
    yield done
    for service, each in events.items():
        each.unregister(f"before-call.{service}", before)


def _dies() -> None:
    raise Killed


@pytest.mark.parametrize("at", ["SaveGroup", "SubmitAsset"])
@pytest.mark.parametrize("what", ["dies", "a second run", "an erasure"])
def test_a_run_of_reconcile_can_be_interrupted_at_any_call(where: SimulatedAws, at: str, what: str) -> None:
    for number in itertools.count(1, 2):
        where.settle()
        where.begin({})
        person = _stopped(where, at)
        happens: dict[str, Callable[[], object]] = {
            "dies": _dies,
            "a second run": functools.partial(where.invoke, "reconcile", {"id": "second"}),
            "an erasure": functools.partial(where.api, "DELETE", SESSION, session_id=person.id),
        }
        with _during(number, where, happens[what]) as came:
            where.settle()
        assert "RUNNING" not in where.executions.values()
        if what == "an erasure" and came:
            assert person.session.status is SessionStatus.REDACTED
            assert {each.status for each in person.assets} == {AssetStatus.REDACTED}
            at_crun = set(where.simulator.store.assets)
            assert at_crun <= {each.crun_asset_id for each in person.assets}, "the tombstone names what crun has"
        else:
            _settled(person)
            assert person.session.status is SessionStatus.VERIFIED, (number, what)
            assert {each.status for each in person.assets} == {AssetStatus.ACTIVE}
            assert len(set(where.simulator.store.assets)) == 2, (number, what)
        if not came:
            break
    assert number > 5


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_clock_skew_of_five_minutes_stops_nothing(where: SimulatedAws, skew: float) -> None:
    where.simulator.set_clock(skew)
    where.simulator.update_settings(fetch_skew_seconds=skew)
    person = _stopped(where, "SubmitAsset")
    where.settle()
    where.simulator.set_clock(0)
    where.simulator.update_settings(fetch_skew_seconds=0)
    _verified_in_the_end(person)


def test_a_link_whose_lookups_never_succeed_lapses(where: SimulatedAws) -> None:
    made = where.api("POST", "/sessions", body={}).body
    begun, where.broken_until["look_up_result"] = where.now, float("inf")
    where.settle()
    row = where.store.get_session(made["id"])
    assert row
    assert row.attempts[1].status is AttemptStatus.LAPSED
    assert row.last_error
    assert row.last_error.code == "link_expired"
    assert row.updated_at - begun > 2 * DAY, "an outage may last that long"
