"""A withdrawal right before each call of one onboarding: no intent follows it, and nothing is used again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.session import Session, SessionStatus
from likeness.domain.terms import TermsPolicy
from likeness.runtime.system import SystemClock
from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
from tests.faults.fault_injection import MOMENTARY, Call, Fault
from tests.faults.onboarding import Onboarding, registration
from tests.faults.scenarios import SETTINGS, calls_of
from tests.faults.simulated_aws import SimulatedAws, simulated_aws, with_store
from tests.functions import event_of_request

SESSION = "/sessions/{session_id}"
_AT_CRUN = (AssetStatus.SUBMITTING, AssetStatus.PROCESSING)


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as where:
        yield where


@dataclass
class Withdrawn:
    """The state right after the withdrawal, which is stored before call ``number`` or the first one that it can be."""

    story: Onboarding
    number: int
    at_call: int = 0
    session: Session | None = None
    assets: list[Asset] = field(default_factory=list)

    def watch(self) -> None:
        """Withdraws when the call is made. The platform's own client is used, so that its calls are not numbered."""

        def withdraw(*_: str) -> Fault | None:
            calls = self.story.account.injector.calls
            if self.session is None and self.story.session_id and len(calls) >= self.number:
                self.at_call = len(calls)
                store, session_id = self.story.account.store, self.story.session_id
                session, self.assets = store.load(session_id)
                assert session
                caller = Caller(session.client_id, session_id=session_id)
                generations = DynamoGenerations(self.story.account.aws("dynamodb"), "Table")
                WithdrawConsent(store, SystemClock(), TermsPolicy(), generations)(caller, session_id)
                self.session = self.story.session()
            return None

        self.story.account.injector.outage = withdraw

    @property
    def listed(self) -> set[str]:
        withdrawal = self.session.withdrawal if self.session else None
        assert withdrawal
        assert withdrawal.in_flight is not None
        return {each.partition(":")[2] for each in withdrawal.in_flight}


def _play(where: SimulatedAws, number: int) -> Withdrawn:
    where.begin({})
    withdrawn = Withdrawn(Onboarding(where), number)
    withdrawn.watch()
    where.play(withdrawn.story.story())
    where.settle()
    return withdrawn


def _problems(withdrawn: Withdrawn) -> list[str]:
    """Returns what is wrong after everything has ended."""
    story, where = withdrawn.story, withdrawn.story.account
    assert withdrawn.session
    session, assets = story.session(), where.store.list_assets(story.session_id)
    sent = {each.id for each in withdrawn.assets if each.status in _AT_CRUN}
    intended = [each for each in withdrawn.assets if each.status is AssetStatus.SUBMITTING]
    later = [call.operation for call in where.injector.calls[withdrawn.at_call - 1 :] if call.service == "crun"]
    found = []
    if session.attempts.keys() != withdrawn.session.attempts.keys() or "visual-validate-session" in later:
        found.append("an attempt was stored")
    if later.count("asset-upload") > len(intended):
        found.append(f"{later.count('asset-upload')} uploads for {len(intended)} intents")
    if not sent <= withdrawn.listed:
        found.append(f"not listed: {sent - withdrawn.listed}")
    known = {each.id for each in assets if each.crun_asset_id} - {
        each.id for each in withdrawn.assets if each.crun_asset_id
    }
    if not known <= withdrawn.listed:
        found.append(f"at crun, and not listed: {known - withdrawn.listed}")
    if {each.id for each in withdrawn.assets} - {each.id for each in assets} or any(
        each.status is AssetStatus.REDACTED for each in assets
    ):
        found.append("a file was not kept")
    if stuck := [each.status for each in assets if each.status in _AT_CRUN]:
        found.append(f"nobody moves {stuck}")
    if running := [name for name, status in where.executions.items() if status == "RUNNING"]:
        found.append(f"running: {running}")
    return found + _uses(story, session)


def _uses(story: Onboarding, session: Session) -> list[str]:
    """Returns which requests are accepted although the consent is withdrawn."""
    where, path = story.account, {"session_id": story.session_id}
    agreed = _text(where)
    verified = session.status is SessionStatus.VERIFIED
    asked = {
        "use": (where.api("GET", f"{SESSION}/use", **path), "consent_withdrawn" if verified else "not_verified"),
        "upload": (where.api("POST", f"{SESSION}/assets", body=registration(2), **path), "consent_withdrawn"),
        "consent": (where.api("POST", f"{SESSION}/consent", body=agreed, **path), "consent_withdrawn"),
    }
    if not verified:
        attempt = where.api("POST", f"{SESSION}/attempts", **path)
        asked["attempt"] = (attempt, "consent_withdrawn")
    return [
        f"{name}: {answer.status} {answer.body.get('code')}"
        for name, (answer, code) in asked.items()
        if (answer.status, answer.body.get("code")) != (409, code)
    ]


def _text(where: SimulatedAws) -> dict[str, str]:
    text = json.loads(where.invoke("record_consent", event_of_request("GET", "/consent", "/consent"))["body"])
    return {name: text[name] for name in ("text_version", "language", "sha256")}


def _continued(withdrawn: Withdrawn) -> list[str]:
    """Gives a new consent as the person, and returns what does not continue."""
    story, where = withdrawn.story, withdrawn.story.account
    path = {"session_id": story.session_id}
    token = where.api("POST", f"{SESSION}/invite", **path).body["invite_url"].partition("#")[2]
    given = where.api("POST", f"{SESSION}/consent", key=token, body=_text(where), **path)
    if given.status != 201:
        return [f"consent: {given.status}"]
    where.settle()
    session, assets = story.session(), where.store.list_assets(story.session_id)
    if session.status is not SessionStatus.VERIFIED:
        made = where.api("POST", f"{SESSION}/attempts", key=token, **path)
        return [] if made.status == 201 else [f"attempt: {made.status}"]
    found = [f"{each.status} after the new consent" for each in assets if each.status in IN_PROGRESS]
    use = where.api("GET", f"{SESSION}/use", **path)
    active = sorted(str(each.uri) for each in assets if each.status is AssetStatus.ACTIVE)
    if active and (use.status, sorted(each["uri"] for each in use.body.get("assets", ()))) != (200, active):
        found.append(f"use: {use.status}")
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_withdrawal_at_each_call_stops_all_intents_and_a_new_consent_continues(account: SimulatedAws) -> None:
    calls: list[Call] = calls_of(account)
    broken, in_flight = {}, 0
    for call in calls:
        withdrawn = _play(account, call.number)
        if withdrawn.session is None:
            continue  # the last calls follow each other without a pause in which the session can change
        in_flight += bool(withdrawn.listed)
        problems = _problems(withdrawn)
        problems = problems or _continued(withdrawn)
        if problems:
            broken[f"{call.number} {call}"] = problems
    assert broken == {}
    assert in_flight > len(calls) / 4, "most withdrawals find something in flight"


def test_a_withdrawal_that_fails_anywhere_is_completed_by_the_next(account: SimulatedAws) -> None:
    account.begin({})
    story = Onboarding(account)
    account.play(story.story())
    account.settle(60)
    begin = len(account.injector.calls)
    first = account.api("POST", f"{SESSION}/consent/withdraw", session_id=story.session_id)
    assert first.status == 200
    calls = len(account.injector.calls) - begin
    assert calls >= 4
    for number in range(1, calls + 1):
        for fault in MOMENTARY:
            account.begin({})
            story = Onboarding(account)
            account.play(story.story())
            account.settle(60)
            account.injector.plan = {len(account.injector.calls) + number: fault}
            for _ in range(3):
                answer = account.api("POST", f"{SESSION}/consent/withdraw", session_id=story.session_id)
                if answer.status == 200:
                    break
            assert account.injector.fired, "the fault occurs"
            session = story.session()
            assert session.withdrawal
            assert session.withdrawal.in_flight is not None
            again = account.api("POST", f"{SESSION}/consent/withdraw", session_id=story.session_id)
            assert again.body == answer.body
            ledger = account.aws("dynamodb").query(
                TableName="Table",
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"CONSENT#{story.session_id}"}},
            )["Items"]
            assert len(ledger) == 1, (number, fault)


class Careless(DynamoStore):
    """Stores the intent of an upload whatever the session's consent is."""

    def begin_submission(self, intent: Asset, before: Asset) -> None:
        self.change_asset(intent, [before.status])


def test_the_harness_finds_an_intent_without_its_condition(
    account: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "spoiled", {"submit_asset": with_store(Careless)})
    account.begin({})
    account.play(Onboarding(account).story())
    account.settle()
    calls = account.injector.calls
    number = next(each.number for each in calls if (each.by, each.operation) == ("submit_asset", "PutItem"))
    assert "1 uploads for 0 intents" in _problems(_play(account, number))
