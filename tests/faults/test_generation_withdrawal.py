"""A withdrawal right before each call of a generation: no intent follows it, and no media are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.asset import Asset
from likeness.domain.caller import Caller
from likeness.domain.generation import Generation, GenerationStatus
from likeness.domain.session import Session
from likeness.domain.terms import TermsPolicy
from likeness.runtime.system import SystemClock
from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
from tests.faults.fault_injection import Fault
from tests.faults.generating import PARAMETERS, SETTINGS, Generating
from tests.faults.generation_scenarios import ALWAYS, Invariants, calls_of
from tests.faults.simulated_aws import SimulatedAws, simulated_aws, with_store


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS, **PARAMETERS) as where:
        yield where


@dataclass
class Withdrawn:
    """A generation, one of whose people withdraws right before call ``number``, or after everything has ended.

    ``before`` is its row at that time.
    """

    story: Generating
    number: int
    at_call: int = 0
    before: Generation | None = None
    listed: tuple[str, ...] = ()

    def watch(self) -> None:
        """Withdraws when the call is made."""

        def withdraw(*_: str) -> Fault | None:
            if not self.at_call and len(self.story.account.injector.calls) >= self.number:
                self.withdraw()
            return None

        self.story.account.injector.outage = withdraw

    def withdraw(self) -> None:
        """Withdraws as the person. The platform's own client is used, so that its calls are not numbered."""
        where, person = self.story.account, self.story.people[0].session_id
        self.at_call, self.before = len(where.injector.calls), self.story.row()
        caller = Caller("acme", session_id=person)
        WithdrawConsent(where.store, SystemClock(), TermsPolicy(), self.story.store)(caller, person)
        session = where.store.get_session(person)
        assert session
        assert session.withdrawal
        self.listed = tuple(session.withdrawal.in_flight or ())


def _play(where: SimulatedAws, number: int) -> Withdrawn:
    where.begin({})
    withdrawn = Withdrawn(Generating(where), number)
    withdrawn.watch()
    where.play(withdrawn.story.story())
    where.settle()
    return withdrawn


def _problems(withdrawn: Withdrawn) -> dict[str, str]:
    """Returns what is wrong after everything has ended."""
    story, before = withdrawn.story, withdrawn.before
    generation = story.row()
    problems = dict(Invariants(story).check(ALWAYS))
    sent_later = [number for number in story.sent if number >= withdrawn.at_call]
    was_at_crun = before is not None and before.intended_at is not None and not before.is_over
    if sent_later and not was_at_crun:
        problems["no task is created without an intent before the withdrawal"] = str(before and before.status)
    if before is None and (generation is not None or story.accepted):
        problems["no generation is stored"] = str(generation and generation.status)
    if was_at_crun != (f"generation:{generation.id}" in withdrawn.listed if generation else False):
        problems["what was at crun is listed"] = str(withdrawn.listed)
    if generation is not None and before is not None and not before.is_over:
        problems |= _use_of(generation, before)
    return problems


def _use_of(generation: Generation, before: Generation) -> dict[str, str]:
    """Returns what is wrong with the outcome of a generation that had not ended at the withdrawal."""
    if before.intended_at is None:
        refused = generation.error.code if generation.error else None
        expected = (GenerationStatus.REFUSED, "consent_withdrawn")
        return {} if (generation.status, refused) == expected else {"it is refused": str((generation.status, refused))}
    problem = generation.media_problem.code if generation.media_problem else None
    seen = (generation.status, problem, generation.media, generation.outcome)
    withheld = (GenerationStatus.SUCCEEDED, "consent_withdrawn", (), "withheld")
    return {} if seen == withheld else {"its media are withheld": str(seen)}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_withdrawal_at_each_call_stops_the_intent_or_withholds_the_media(account: SimulatedAws) -> None:
    calls = calls_of(account)
    broken, in_flight = {}, 0
    for call in calls:
        withdrawn = _play(account, call.number)
        assert withdrawn.at_call == call.number
        in_flight += bool(withdrawn.listed)
        problems = _problems(withdrawn)
        if problems:
            broken[f"{call.number} {call}"] = problems
    assert broken == {}
    assert in_flight > len(calls) / 3


def test_media_of_an_earlier_generation_stay_and_a_further_one_is_refused(account: SimulatedAws) -> None:
    account.begin({})
    story = Generating(account)
    account.play(story.story())
    account.settle(60)
    withdrawn = Withdrawn(story, 0)
    withdrawn.withdraw()
    account.settle()
    generation = story.row()
    assert generation == withdrawn.before
    assert generation is not None
    assert (withdrawn.listed, len(story.files())) == ((), 1)
    again = Generating(account, people=story.people).ask()
    assert (again.status, again.body["code"]) == (409, "consent_withdrawn")
    assert again.body["asset_id"] in story.people[0].assets
    assert len(account.simulator.create_requests()) == 1


class Careless(DynamoGenerations):
    """Stores the intent of a task whatever the people's consents are."""

    def intend(self, generation: Generation, by: str, now: float) -> Generation:
        intended = super().intend(replace(generation, people=()), by, now)
        return replace(intended, people=generation.people)


class Hasty(DynamoGenerations):
    """Does not check the people's consents before media are kept."""

    def load_assets(self, places: Sequence[tuple[str, str]]) -> tuple[dict[str, Session], dict[str, Asset]]:
        sessions, assets = super().load_assets(places)
        return {each: replace(session, withdrawal=None) for each, session in sessions.items()}, assets

    def _transact(self, writes: Sequence[Any]) -> None:
        super()._transact([each for each in writes if "ConditionCheck" not in each])


@pytest.mark.parametrize(
    ("function", "operation", "spoiled", "found"),
    [
        ("create_task", "TransactWriteItems", Careless, "no task is created without an intent before the withdrawal"),
        ("save_media", "GetItem", Hasty, "its media are withheld"),
    ],
)
def test_the_harness_finds_a_missing_condition(
    account: SimulatedAws,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    operation: str,
    spoiled: type[DynamoGenerations],
    found: str,
) -> None:
    calls = calls_of(account)
    number = next(each.number for each in calls if (each.by, each.operation) == (function, operation))
    monkeypatch.setattr(account, "spoiled", {function: with_store(spoiled)})
    assert found in _problems(_play(account, number))
