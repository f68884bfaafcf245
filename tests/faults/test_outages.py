"""An hour without crun or an AWS service; credits, keys and responses that become invalid during an onboarding.

Recovery is automatic where possible. Otherwise the session has an error, and a new attempt works.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator

import pytest

from likeness.domain.asset import AssetStatus
from likeness.domain.session import AttemptStatus, SessionStatus
from local.simulator import FaultRule
from tests.faults.fault_injection import Fault
from tests.faults.onboarding import Onboarding, take_check
from tests.faults.scenarios import INVARIANTS, Invariants, Scenario
from tests.faults.simulated_aws import LINK_CHECK_SECONDS, SimulatedAws, simulated_aws
from tests.functions import CRUN_KEY

pytestmark = pytest.mark.slow

HOUR = 3600.0
#: As in scenarios.SETTINGS, with tokens that are valid for longer than an outage.
SETTINGS = {
    "asset_outcomes": [{"name": "*", "outcome": "active", "after_seconds": 5}],
    "token_seconds": 86_400,
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
    account.simulator.clear_faults()
    account.simulator.update_settings(**SETTINGS, token_mode="single_use", balance=1000.0, key_disabled=False)


def _created(where: SimulatedAws) -> Onboarding:
    """Returns a story whose session is created: every later call may fail."""
    story = Onboarding(where)
    where.play(story.story())
    where.settle(2)
    return story


def _check(story: Onboarding, *, but: tuple[str, ...] = ()) -> None:
    """Checks all invariants at the end, except ``prompt``, which holds for single faults only."""
    story.account.settle()
    found = Invariants(story, Scenario())
    for name in set(INVARIANTS) - {"prompt", *but}:
        assert getattr(found, name)() is None, name


def _for(where: SimulatedAws, seconds: float, broken: Callable[[str, str], Fault | None]) -> None:
    """Starts an outage that lasts ``seconds``."""
    where.injector.outage = broken
    where.after(seconds, lambda: setattr(where.injector, "outage", lambda *_: None))


CALLS = {
    "look-up": "result",
    "submission": "upload",
    "polling": "info",
    "everything": "any",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("kind", ["http", "body", "both"])
def test_work_continues_after_an_hour_of_maintenance(where: SimulatedAws, call: str, kind: str) -> None:
    story = _created(where)
    where.simulator.add_faults(FaultRule.model_validate({"call": call, "kind": kind, "code": 455, "times": None}))
    where.after(HOUR, where.simulator.clear_faults)
    _check(story)
    assert len(story.session().attempts) == 1, "the person has nothing to do"
    assert where.metrics.count("PossibleOrphan") == 0


def test_work_continues_after_an_hour_without_a_connection(where: SimulatedAws) -> None:
    story = _created(where)
    _for(where, HOUR, lambda service, _: Fault.FAILS if service == "crun" else None)
    _check(story)
    assert len(story.session().attempts) == 1
    assert where.metrics.count("PossibleOrphan") == 0


def test_a_token_that_expires_in_an_outage_is_reported_and_a_new_attempt_works(where: SimulatedAws) -> None:
    where.simulator.update_settings(token_seconds=1800)
    story = _created(where)
    where.simulator.add_faults(FaultRule(call="result", kind="both", code=455, times=None))
    where.after(HOUR, where.simulator.clear_faults)
    where.settle()
    session = story.session()
    assert session.status is SessionStatus.VERIFIED
    assert session.attempts[1].status is AttemptStatus.FAILED
    assert session.attempts[max(session.attempts)].status is AttemptStatus.VERIFIED
    assert story.unsettled() == []


@pytest.mark.parametrize("retry_after", [None, 7, 120])
def test_ten_minutes_of_throttling_waste_no_token_and_leave_no_orphan(
    where: SimulatedAws, retry_after: int | None
) -> None:
    story = _created(where)
    where.simulator.add_faults(FaultRule(call="any", kind="both", code=429, times=None, retry_after=retry_after))
    where.after(600, where.simulator.clear_faults)
    _check(story)
    assert len(story.session().attempts) == 1
    assert where.metrics.count("PossibleOrphan") == 0
    assert all(each.ambiguous_submissions == 1 for each in where.store.list_assets(story.session_id))


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("code", [401, 402, 403, 505])
def test_work_waits_while_crun_refuses_the_account(where: SimulatedAws, call: str, code: int) -> None:
    story = _created(where)
    where.simulator.add_faults(FaultRule.model_validate({"call": call, "kind": "both", "code": code, "times": None}))
    where.after(HOUR / 2, where.simulator.clear_faults)
    _check(story)
    assert where.metrics.count("CrunAccountRefused") > 0, "an alarm notifies the operator"
    assert len(story.session().attempts) == 1


def test_a_pass_while_the_key_is_disabled_is_verified_when_the_key_is_enabled(where: SimulatedAws) -> None:
    story = _created(where)
    where.simulator.update_settings(key_disabled=True)
    where.after(HOUR, lambda: _set(where, key_disabled=False))
    _check(story)
    assert where.metrics.count("CrunAccountRefused") > 0, "an alarm notifies the operator"
    assert len(story.session().attempts) == 1, "the person has nothing to do"
    assert story.verified_at - story.passed_at > HOUR / 2


PAGES = [
    *({"kind": "html", "code": code} for code in (400, 402, 403, 404, 408, 422, 501, 505)),
    *({"kind": "http", "code": code} for code in (404, 422)), {"kind": "redirect"}, {"kind": "both", "code": 408},
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: "-".join(map(str, page.values())))
def test_one_page_of_a_proxy_ends_neither_an_attempt_nor_a_file(where: SimulatedAws, page: dict[str, object]) -> None:
    where.simulator.update_settings(asset_outcomes=[{"name": "*", "outcome": "active", "after_seconds": 90}])
    story = _created(where)
    for call, after in (("result", 0), ("upload", 0), ("info", 5)):
        where.simulator.add_faults(FaultRule.model_validate({"call": call, "after": after, **page}))
    _check(story)
    assert len(story.session().attempts) == 1, "the person has nothing to do"
    assert {each.status for each in where.store.list_assets(story.session_id)} == {AssetStatus.ACTIVE}
    assert len(where.simulator.store.assets) == 3, "nothing is submitted twice"


def test_a_file_that_crun_briefly_does_not_find_becomes_active(where: SimulatedAws) -> None:
    where.simulator.update_settings(asset_outcomes=[{"name": "*", "outcome": "active", "after_seconds": 200}])
    story = _created(where)
    where.settle(100)
    where.simulator.add_faults(FaultRule(call="info", kind="both", code=404, times=3))  # one poll
    _check(story)


def test_the_errors_of_a_422_reach_the_caller_and_the_log_without_the_values_sent(where: SimulatedAws) -> None:
    message = "callback_url: https://likeness.example/v1/callback is not reachable"
    where.simulator.add_faults(FaultRule(call="session", kind="both", code=422, message=message, times=2))
    answer = where.api("POST", "/sessions", body={})
    shown = ["callback_url: […] is not reachable"]
    assert (answer.status, answer.body["code"]) == (502, "upstream_rejected")
    assert answer.body["upstream_errors"] == shown
    (line,) = [each for each in map(json.loads, where.logs) if each.get("upstream_errors")]
    assert (line["message"], line["upstream_code"], line["upstream_errors"]) == ("crun called", 422, shown)
    called = where.crun_route("visual-validate-session", body={"callback_url": "https://shop.example/done"})
    assert (called.status, called.body["errors"]) == (422, shown)


def test_without_credits_no_session_is_created_and_the_error_says_so(where: SimulatedAws) -> None:
    where.simulator.update_settings(balance=0.0)
    answer = where.api("POST", "/sessions", body={})
    assert (answer.status, answer.body["code"]) == (503, "upstream_credits_exhausted")
    assert where.api("GET", "/sessions").status == 200
    where.settle()
    assert where.executions == {}


@pytest.mark.parametrize("kind", ["no_data", "html", "truncated", "corrupt", "empty", "wrong_types"])
def test_a_damaged_lookup_response_never_verifies_a_session(where: SimulatedAws, kind: str) -> None:
    story = _created(where)
    where.simulator.add_faults(FaultRule.model_validate({"call": "result", "kind": kind, "times": 1}))
    where.settle()
    session = story.session()
    # For some kinds crun consumed the token before its response was damaged: the attempt is then recorded as lost.
    assert session.status is SessionStatus.VERIFIED
    assert {each.status for each in session.attempts.values()} <= {AttemptStatus.VERIFIED, AttemptStatus.LOST}
    groups = {each.group_id for each in where.simulator.store.validations.values()}
    assert session.group_id in groups


@pytest.mark.parametrize("kind", ["no_data", "html", "truncated", "corrupt", "empty", "oversize"])
def test_damaged_responses_to_uploads_and_polls_are_retried(where: SimulatedAws, kind: str) -> None:
    story = _created(where)
    for call in ("upload", "info"):
        rule = {"call": call, "kind": kind, "times": 1, "size_bytes": 3_000_000}
        where.simulator.add_faults(FaultRule.model_validate(rule))
    _check(story)


@pytest.mark.parametrize("code", [299, 418, 999])
def test_an_undocumented_code_does_not_prevent_verification(where: SimulatedAws, code: int) -> None:
    story = _created(where)
    where.simulator.add_faults(FaultRule(call="result", kind="body", code=code, times=1))
    where.settle()
    session = story.session()
    assert session.status is SessionStatus.VERIFIED, "by a retry, or by the new attempt that was requested"
    assert set(where.executions.values()) == {"SUCCEEDED"}


def test_work_continues_when_credits_are_available_again(where: SimulatedAws) -> None:
    story = _created(where)
    where.simulator.update_settings(balance=0.0)
    where.after(HOUR / 2, lambda: _set(where, balance=100.0))
    _check(story)
    assert where.metrics.count("CrunAccountRefused") > 0


def test_a_key_that_changes_at_crun_and_later_here_is_used(where: SimulatedAws) -> None:
    story = _created(where)
    where.simulator.change_key("a-new-key")
    where.after(HOUR / 2, lambda: _store_key(where, "a-new-key"))
    _check(story)
    _store_key(where, CRUN_KEY)
    where.simulator.change_key(CRUN_KEY)


def _store_key(where: SimulatedAws, key: str) -> None:
    where.aws("secretsmanager").put_secret_value(SecretId="crun", SecretString=key)


def _set(where: SimulatedAws, **settings: float) -> None:
    where.simulator.update_settings(**settings)


@pytest.mark.parametrize("service", ["dynamodb", "stepfunctions", "sqs", "secretsmanager"])
def test_an_hour_without_one_aws_service_loses_no_session(where: SimulatedAws, service: str) -> None:
    """The outage begins after the callback is stored, so work waits in the queue and in executions."""
    story = _created(where)
    where.settle(13.05)  # the callback was opened; its message is in the queue
    assert story.session().status is SessionStatus.PROCESSING
    _for(where, HOUR, lambda of, _: Fault.FAILS if of == service else None)
    where.settle(HOUR + 4 * 3600)
    session = story.session()
    assert session.status is SessionStatus.VERIFIED
    assert len(session.attempts) == 1
    assert where.waiting(where.dead_letter_url) == 0
    assert "FAILED" not in where.executions.values()


def test_an_outage_of_the_queue_delays_a_pass_until_the_link_check(where: SimulatedAws) -> None:
    story = Onboarding(where, reloads=False)
    where.play(story.story())
    where.settle(2)
    _for(where, 60, lambda service, _: Fault.FAILS if service == "sqs" else None)
    _check(story)
    assert story.verified_at - story.passed_at > LINK_CHECK_SECONDS - 60, "the link check found the pass"


def test_messages_that_waited_are_drained_oldest_first(where: SimulatedAws) -> None:
    stories = []
    for _ in range(5):
        story = Onboarding(where)
        where.play(story.story())
        where.settle(20)
        stories.append(story)
    links = [where.store.get_session(each.session_id) for each in stories]
    assert all(links)
    for story in stories:
        where.settle(60)
        assert story.session().status is SessionStatus.VERIFIED
    where.settle()
    assert where.waiting(where.queue_url) == 0


# -- callbacks that are missing, late, or of another attempt -------------------------------------------------------


def _session(where: SimulatedAws) -> tuple[str, str]:
    view = where.api("POST", "/sessions", body={}).body
    return view["id"], view["attempt"]["h5_link"]


def _new_attempt(where: SimulatedAws, session_id: str) -> str:
    view = where.api("POST", "/sessions/{session_id}/attempts", session_id=session_id)
    assert view.status == 201, view
    return str(view.body["attempt"]["h5_link"])


def _code(where: SimulatedAws, session_id: str) -> str | None:
    session = where.store.get_session(session_id)
    assert session
    return session.last_error.code if session.last_error else session.status.value


@pytest.mark.parametrize("token_mode", ["single_use", "reusable"])
def test_a_pass_without_a_callback_is_found_by_one_lookup(where: SimulatedAws, token_mode: str) -> None:
    where.simulator.update_settings(token_mode=token_mode)
    session_id, link = _session(where)
    take_check(link, "pass")
    where.settle()
    assert _code(where, session_id) == "verified"
    assert [each.age >= LINK_CHECK_SECONDS for each in where.lookups] == [True]


@pytest.mark.parametrize("token_mode", ["single_use", "reusable"])
def test_an_abandoned_link_is_reported_as_expired(where: SimulatedAws, token_mode: str) -> None:
    where.simulator.update_settings(token_mode=token_mode)
    session_id, _ = _session(where)
    where.settle()
    assert _code(where, session_id) == "link_expired"
    ages = [each.age for each in where.lookups]
    assert len(ages) == 3, "one missing result alone might be a temporary error"
    assert ages[0] >= LINK_CHECK_SECONDS
    assert all(later - earlier >= 120 for earlier, later in itertools.pairwise(ages))
    assert set(where.executions.values()) == {"SUCCEEDED"}


@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_a_callback_after_the_link_check_does_not_change_the_result(where: SimulatedAws, outcome: str) -> None:
    session_id, link = _session(where)
    callback = take_check(link, outcome)
    where.settle()
    before = where.store.get_session(session_id)
    for _ in range(2):
        assert where.browser(callback).status == 303
        where.settle()
    after = where.store.get_session(session_id)
    assert after
    assert before
    assert after.status is before.status
    assert after.group_id == before.group_id


def test_a_pass_reported_after_its_link_lapsed_still_counts_with_a_reusable_token(where: SimulatedAws) -> None:
    where.simulator.update_settings(token_mode="reusable", link_seconds=10_000)
    session_id, link = _session(where)
    where.settle()
    assert _code(where, session_id) == "link_expired"
    where.browser(take_check(link, "pass"))
    where.settle()
    assert _code(where, session_id) == "verified"
    where.simulator.update_settings(link_seconds=120)


def test_attempt_one_reported_after_attempt_two_passed_changes_nothing(where: SimulatedAws) -> None:
    session_id, first = _session(where)
    failed = take_check(first, "fail")
    second = _new_attempt(where, session_id)
    where.browser(take_check(second, "pass"))
    where.settle(30)
    assert _code(where, session_id) == "verified"
    before = where.store.get_session(session_id)
    where.browser(failed)
    where.settle()
    assert where.store.get_session(session_id) == before


def test_two_attempts_that_both_passed_give_one_group(where: SimulatedAws) -> None:
    session_id, first = _session(where)
    one = take_check(first, "pass")
    second = _new_attempt(where, session_id)
    two = take_check(second, "pass")
    where.browser(two)
    where.browser(one)
    where.settle()
    session = where.store.get_session(session_id)
    assert session
    assert session.status is SessionStatus.VERIFIED
    assert session.group_id in {each.group_id for each in where.simulator.store.validations.values()}
    assert set(where.executions.values()) == {"SUCCEEDED"}


def test_files_that_never_become_active_fail_at_the_deadline(where: SimulatedAws) -> None:
    where.simulator.update_settings(asset_outcomes=[{"name": "*", "outcome": "never"}])
    story = _created(where)
    where.settle()
    failed = where.store.list_assets(story.session_id)
    assert {each.status for each in failed} == {AssetStatus.FAILED}
    assert {each.error.code for each in failed if each.error} == {"activation_timeout"}
    assert set(where.executions.values()) == {"SUCCEEDED"}


def test_a_redirect_from_crun_is_never_followed(where: SimulatedAws) -> None:
    story = _created(where)
    elsewhere = f"{where.simulator.url}/api/v1/client/account/balance"
    where.simulator.add_faults(FaultRule(call="info", kind="redirect", location=elsewhere, times=2))
    _check(story)
    assert not [each for each in where.simulator.log() if each.call == "balance"]
