"""Runs onboardings with planned faults, and checks the invariants after each."""

from __future__ import annotations

import itertools
import random
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from likeness.domain.asset import MAX_AMBIGUOUS_SUBMISSIONS, AssetStatus
from likeness.domain.session import AttemptStatus, SessionStatus
from tests.faults.fault_injection import MOMENTARY, Call, Fault
from tests.faults.onboarding import Onboarding
from tests.faults.simulated_aws import LINK_CHECK_SECONDS, SimulatedAws, simulated_aws

#: Every file becomes Active at crun after five seconds, so the first poll returns Processing.
SETTINGS: dict[str, Any] = {"asset_outcomes": [{"name": "*", "outcome": "active", "after_seconds": 5}]}
Plan = Mapping[int, Fault]


@dataclass(frozen=True)
class Scenario:
    """One onboarding: which calls break, whether the browser reloads, whether crun's tokens are single use."""

    plan: tuple[tuple[int, Fault], ...] = ()
    reloads: bool = True
    token_mode: str = "single_use"

    @property
    def used_up(self) -> bool:
        """Whether a step fails for hours, so that only reconcile and people can continue its work."""
        return any(fault is Fault.USED_UP for _, fault in self.plan)

    def __str__(self) -> str:
        faults = ", ".join(f"call {number} {fault}" for number, fault in self.plan) or "no fault"
        return f"{faults} (reloads={self.reloads}, token={self.token_mode})"


@dataclass
class Outcome:
    """The result of a scenario. ``broken`` maps each violated invariant to what was observed instead."""

    scenario: Scenario
    calls: int
    fired: list[str]
    verified_at_first_attempt: bool
    broken: dict[str, str] = field(default_factory=dict)


class Invariants:
    """What holds when everything has ended. Each method checks one invariant, and its docstring names it."""

    def __init__(self, story: Onboarding, scenario: Scenario) -> None:
        self.story, self.account, self.scenario = story, story.account, scenario
        self.session, self.assets = story.session(), story.account.store.list_assets(story.session_id)
        self.validations = list(self.account.simulator.store.validations.values())

    def check(self) -> Iterator[tuple[str, str]]:
        """Yields each violated invariant with what was observed instead."""
        for name in INVARIANTS_OF_USED_UP if self.scenario.used_up else INVARIANTS:
            method = getattr(self, name)
            seen = method()
            if seen is not None:
                yield str(method.__doc__).strip().rstrip("."), str(seen)

    def ended(self) -> object:
        """the onboarding completes: nobody gives up."""
        return None if self.story.ended else "it did not"

    def verified(self) -> object:
        """the session is verified with the group of the face that passed."""
        groups = {each.group_id for each in self.validations if each.callback_url.split("/")[-3] == self.session.id}
        right = self.session.status is SessionStatus.VERIFIED and self.session.group_id in groups - {None}
        return None if right else (self.session.status, self.session.group_id)

    def prompt(self) -> object:
        """after a single fault, a browser that reloads does not wait for the link check."""
        waited = self.story.verified_at - self.story.passed_at
        due = len(self.scenario.plan) > 1 or not self.scenario.reloads or waited < LINK_CHECK_SECONDS - 60
        return None if due else f"{waited:.0f} s"

    def again_only_when_burned(self) -> object:
        """a second attempt is requested only if a token was consumed and crun's response was lost."""
        asked = len(self.session.attempts) - 1
        lost = [each for each in self.session.attempts.values() if each.status is AttemptStatus.LOST]
        consumed = sum(
            call.operation == "visual-validate-result" and fault in (Fault.LOST, Fault.DIES)
            for call, fault in self.account.injector.fired
        )
        allowed = consumed if self.scenario.token_mode == "single_use" else 0
        return None if asked == len(lost) <= allowed else f"{asked} further attempts, {consumed} tokens consumed"

    def one_successful_lookup(self) -> object:
        """crun received at most one successful look-up of each token."""
        most = 1 if self.scenario.token_mode == "single_use" else 1 + len(self.scenario.plan)
        worst = max((each.successful_lookups for each in self.validations), default=0)
        return None if worst <= most else worst

    def no_early_lookup(self) -> object:
        """no look-up is made before an authentic pass or the time of the link check."""
        return [each for each in self.account.lookups if each.before_pass and each.age < LINK_CHECK_SECONDS] or None

    def settled(self) -> object:
        """every file is active, or failed with a reason; nothing stays in submitting or processing."""
        nameless = [each.id for each in self.assets if each.status is AssetStatus.FAILED and not each.error]
        return self.story.unsettled() or nameless or None

    def all_files_counted(self) -> object:
        """each of the three files is in the inventory, and active unless it failed with submission_unknown."""
        found = {each.name: each for each in self.assets if each.status is not AssetStatus.AWAITING_UPLOAD}
        # A file in inbox/ has no row before its event is processed.
        lost = {each["detail"]["object"]["key"].rpartition("/")[2] for each in self.account.undelivered}
        if {"face 0", "face 1", "third.jpg"} - lost - found.keys() or found.keys() - {"face 0", "face 1", "third.jpg"}:
            return sorted(found)
        failed = [each for each in found.values() if each.status is not AssetStatus.ACTIVE]
        if self.scenario.used_up:
            return [each for each in failed if not (each.error and each.error.retryable)] or None
        excused = [each for each in failed if each.error and each.error.code == "submission_unknown"]
        return None if failed == excused and len(failed) * MAX_AMBIGUOUS_SUBMISSIONS <= self._ambiguous() else failed

    def _ambiguous(self) -> int:
        """Returns how often it was unknown whether an upload had reached crun."""
        calls = ("asset-upload", "TransactWriteItems")
        return sum(
            call.by == "submit_asset" and (call.operation in calls or fault in (Fault.DIES, Fault.USED_UP))
            for call, fault in self.account.injector.fired
        )

    def orphans_counted(self) -> object:
        """no file has two AssetIds, unless an ambiguous upload was repeated once and a metric counts it."""
        names = [each.name for each in self.account.simulator.store.assets.values()]
        extra = len(names) - len(set(names))
        known = {each.crun_asset_id for each in self.assets if each.crun_asset_id}
        unknown = len(names) - len(known)
        counted = self.account.metrics.count("PossibleOrphan")
        return None if max(extra, unknown) <= counted else f"{unknown} unknown at crun, {counted} counted"

    def executions_ended(self) -> object:
        """every execution succeeded, and the session has no driver execution."""
        failed = {name: ended for name, ended in self.account.executions.items() if ended != "SUCCEEDED"}
        return failed or self.session.driver

    def no_execution_left(self) -> object:
        """no execution is running."""
        return [name for name, status in self.account.executions.items() if status == "RUNNING"] or None

    def queues_empty(self) -> object:
        """the queue and the dead-letter queue are empty, and every event was delivered."""
        left = [self.account.waiting(url) for url in (self.account.queue_url, self.account.dead_letter_url)]
        return None if left == [0, 0] and not self.account.undelivered else (left, self.account.undelivered)

    def idempotent(self) -> object:
        """a second delivery of every event changes nothing."""
        before, executions = self.story.snapshot(), dict(self.account.executions)
        self.story.redeliver()
        self.account.settle()
        changed = self.story.snapshot() != before or executions != self.account.executions
        return "it did" if changed else None

    def no_secret_is_logged(self) -> object:
        """no log line or metric contains a token, link, signature, key or name."""
        secrets = [self.account.client_key, "X-Amz-", "X-Signature", "face 0", "third.jpg"]
        secrets += [each.token for each in self.validations]
        secrets += [url.rpartition("?")[0].rpartition("/")[2] for url in self.account.callbacks]
        leaked = [line for line in self.account.logs if any(each in line for each in secrets)]
        return leaked or None


#: In the order of the checks. ``idempotent`` is late because its redelivery may affect the others.
INVARIANTS = (
    "ended",
    "verified",
    "prompt",
    "again_only_when_burned",
    "one_successful_lookup",
    "no_early_lookup",
    "settled",
    "all_files_counted",
    "orphans_counted",
    "executions_ended",
    "queues_empty",
    "idempotent",
    "queues_empty",
    "no_secret_is_logged",
)


#: What holds even if a step fails for hours. Executions may have failed, messages may be dead letters, and the person
#: may have been asked to repeat the check.
INVARIANTS_OF_USED_UP = (
    "ended",
    "verified",
    "one_successful_lookup",
    "no_early_lookup",
    "settled",
    "all_files_counted",
    "orphans_counted",
    "no_execution_left",
    "no_secret_is_logged",
)
#: People and developers retry these, and give up after some time.
_CALLED_BY_PEOPLE = ("authorize", "create_session", "register_asset")


def play(where: SimulatedAws, scenario: Scenario) -> Outcome:
    """Runs one scenario to its end and checks its invariants."""
    where.begin(dict(scenario.plan))
    where.simulator.update_settings(token_mode=scenario.token_mode)
    story = Onboarding(where, reloads=scenario.reloads)
    broken: dict[str, str] = {}
    try:
        where.play(story.story())
        where.settle()
        calls = len(where.injector.calls)
        first = len(story.session().attempts) == 1
        where.injector.plan = {}
        broken = dict(Invariants(story, scenario).check())
    except Exception:
        calls, first = len(where.injector.calls), False
        broken["the scenario can be played"] = traceback.format_exc(limit=-6)
    fired = [f"{call} {fault}" for call, fault in where.injector.fired]
    return Outcome(scenario, calls, fired, first, broken)


def calls_of(where: SimulatedAws) -> list[Call]:
    """Returns the calls of an onboarding without faults."""
    outcome = play(where, Scenario())
    assert not outcome.broken, outcome
    return where.injector.calls[: outcome.calls]


def number_calls() -> list[Call]:
    """Returns the calls of an onboarding without faults, in an account of its own."""
    with simulated_aws(SETTINGS) as where:
        return calls_of(where)


def singles(calls: Sequence[Call], faults: Iterable[Fault] = Fault) -> Iterator[Scenario]:
    """Yields every call with every fault that it can meet.

    Callbacks are also tried without a reload, and look-ups also with reusable tokens.
    """
    for call, fault in itertools.product(calls, faults):
        if not can_meet(call, fault):
            continue
        plan = ((call.number, fault),)
        yield Scenario(plan)
        if call.by == "receive_callback":
            yield Scenario(plan, reloads=False)
        if call.by in ("look_up_result", "onboard_person"):
            yield Scenario(plan, token_mode="reusable")


def can_meet(call: Call, fault: Fault) -> bool:
    """Whether a call can break in this way: who calls a function of people again gives up, so it is never used up."""
    return fault is not Fault.USED_UP or call.by not in _CALLED_BY_PEOPLE


def pairs(calls: Sequence[Call], number: int, seed: int) -> Iterator[Scenario]:
    """Yields ``number`` different pairs of faults, drawn with ``seed``."""
    chance = random.Random(seed)
    drawn: set[Scenario] = set()
    while len(drawn) < number:
        # The second fault may hit a call that is only made because of the first.
        first, second = sorted(chance.sample(range(1, len(calls) + 12), 2))
        faults = MOMENTARY  # USED_UP is tested alone
        scenario = Scenario(
            ((first, chance.choice(faults)), (second, chance.choice(faults))),
            reloads=chance.random() < 0.8,
            token_mode=chance.choice(["single_use", "single_use", "reusable"]),
        )
        if scenario not in drawn:
            drawn.add(scenario)
            yield scenario


def _play_all(scenarios: Sequence[Scenario]) -> list[Outcome]:
    with simulated_aws(SETTINGS) as where:
        return [play(where, scenario) for scenario in scenarios]


def explore(scenarios: Iterable[Scenario], *, workers: int) -> Iterator[Outcome]:
    """Plays scenarios in ``workers`` processes and yields their outcomes."""
    waiting = list(scenarios)
    share = max(1, min(40, -(-len(waiting) // workers)))
    parts = [waiting[start : start + share] for start in range(0, len(waiting), share)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for outcomes in pool.map(_play_all, parts):
            yield from outcomes
