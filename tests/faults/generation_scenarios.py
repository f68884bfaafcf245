"""Plays generations with planned faults, and checks the invariants after each."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from likeness.domain.generation import GenerationStatus
from tests.faults.fault_injection import MOMENTARY, Call, Fault
from tests.faults.generating import PROMPT, REFERENCE, Generating
from tests.faults.simulated_aws import SimulatedAws

#: People call these again, for some time.
_CALLED_BY_PEOPLE = ("authorize", "create_generation")


@dataclass(frozen=True)
class Scenario:
    """One generation: which calls break, and how many callbacks crun sends."""

    plan: tuple[tuple[int, Fault], ...] = ()
    reports: int = 1

    def __str__(self) -> str:
        faults = ", ".join(f"call {number} {fault}" for number, fault in self.plan) or "no fault"
        return f"{faults} (callbacks={self.reports})"


@dataclass
class Outcome:
    """The result of a scenario. ``broken`` maps each violated invariant to what was observed instead."""

    scenario: Scenario
    calls: int
    fired: list[str]
    broken: dict[str, str] = field(default_factory=dict)


class Invariants:
    """What holds when everything has ended. Each method checks one invariant, and its docstring names it."""

    def __init__(self, story: Generating, scenario: Scenario | None = None) -> None:
        self.story, self.account, self.scenario = story, story.account, scenario
        self.generation, self.faults = story.row(), list(story.account.injector.fired)

    def check(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yields each violated invariant with what was observed instead."""
        for name in names:
            method = getattr(self, name)
            seen = method()
            if seen is not None:
                yield str(method.__doc__).strip().rstrip("."), str(seen)

    def accepted(self) -> object:
        """the request is accepted in the end."""
        return None if self.story.accepted and self.generation else "it was not"

    def created_once(self) -> object:
        """CreateTask is sent at most once."""
        return None if self.story.created <= 1 else f"{self.story.created} calls"

    def intended(self) -> object:
        """CreateTask is sent after its intent and the ledger's entries are stored."""
        return self.story.objections or None

    def used(self) -> object:
        """each person's ledger has the generation, with its outcome and the digests of its media."""
        wrong: list[object] = []
        for person in self.story.people:
            entries = self.story.uses(person)
            if self.generation is None:
                wrong += entries
                continue
            digests = () if self.generation.erased_at else tuple(each.sha256 for each in self.generation.media)
            seen = [(each.generation_id, each.outcome, each.reason) for each in entries]
            if seen != [(self.generation.id, self.generation.outcome, self.generation.outcome_reason)]:
                wrong += seen or ["no entry"]
            elif not self.generation.erased_at and entries[0].media_sha256 != digests:
                wrong += ["other digests"]
        return wrong or None

    def known(self) -> object:
        """each task that crun has created is known, or the generation is uncertain."""
        if self.generation is None:
            return list(self.story.tasks) or None
        named = {self.generation.task_id} - {None}
        if set(self.story.tasks) == named or self.generation.status is GenerationStatus.UNCERTAIN:
            return None
        return self.generation.status, self.generation.task_id, list(self.story.tasks)

    def over(self) -> object:
        """the generation has ended, and is not due anymore."""
        if self.generation is None:
            return None
        due = [item for item in self.account.fresh.items("Table") if "due_at" in item.attrs]
        return None if self.generation.is_over and not due else (self.generation.status, len(due))

    def made(self) -> object:
        """the video is made, unless it can't be known whether crun has the task."""
        if self.generation is None:
            return "no generation"
        if self.generation.status is GenerationStatus.SUCCEEDED:
            return self.generation.media_problem if self.generation.media_problem or not self.generation.media else None
        in_doubt = any(call.by == "create_task" for call, _ in self.faults)
        # One callback that arrives is enough to know the task.
        named = self.story.tasks and self.scenario and self.scenario.reports and len(self.scenario.plan) == 1
        is_uncertain = self.generation.status is GenerationStatus.UNCERTAIN
        return None if is_uncertain and in_doubt and not named else (self.generation.status, self.generation.error)

    def counted(self) -> object:
        """nothing stays reserved on the client's day, and spent is what the generation has cost."""
        if self.generation is None:
            spending = self.story.store.spending("acme", self.account.now)
            return spending if spending.committed else None
        spending = self.story.store.spending("acme", self.generation.created_at)
        return None if (spending.reserved, spending.spent) == (0, self.generation.cost) else spending

    def media(self) -> object:
        """the bucket has the media of the row, with their digests, and no others."""
        files = {key: hashlib.sha256(content).hexdigest() for key, content in self.story.files().items()}
        media = self.generation.media if self.generation else ()
        return None if files == {each.key: each.sha256 for each in media} else (sorted(files), media)

    def nothing_withheld(self) -> object:
        """no version of media that are withheld or erased is left in the bucket."""
        return self.story.versions() or None if self.generation and not self.generation.media else None

    def executions_ended(self) -> object:
        """no execution is running."""
        return [name for name, status in self.account.executions.items() if status == "RUNNING"] or None

    def shown(self) -> object:
        """the developer reads what the table contains."""
        if self.generation is None:
            return None
        view = self.account.api("GET", "/generations/{generation_id}", generation_id=self.generation.id)
        media = len(self.generation.media) if not self.generation.erased_at else 0
        shown = (view.status, view.body["status"], len((view.body["result"] or {"media": ()})["media"]))
        return None if shown == (200, self.generation.status, media) else shown

    def idempotent(self) -> object:
        """the same request, every callback and every start once more change nothing."""
        executions = dict(self.account.executions)
        again = self.story.ask()
        answers = self.story.report()
        self.account.settle()
        if self.story.accepted and (again.status, again.body["id"]) != (202, self.story.id):
            return again
        if any(each.status != 200 for each in answers):
            return answers
        changed = self.story.row() != self.generation or executions != self.account.executions
        return "they did" if changed and not self._was_adopted() else None

    def _was_adopted(self) -> bool:
        """Whether the callback named the task of a generation that was uncertain."""
        generation = self.generation
        return generation is not None and generation.status is GenerationStatus.UNCERTAIN and bool(self.story.tasks)

    def no_secret(self) -> object:
        """no log line, input or output of an execution has a prompt, reference, link, signature or key."""
        secrets = [self.account.client_key, PROMPT[-12:], REFERENCE, "/media/", "X-Amz-"]
        secrets += [each.callback_url.rpartition("/")[2] for each in self.story.tasks.values() if each.callback_url]
        secrets += self.account.simulator.store.media
        outputs = [json.dumps(each) for each in self.account.state_machine.outputs.values()]
        written = [*self.account.logs, *self.account.inputs.values(), *outputs]
        return [line for line in written if any(each in line for each in secrets)] or None


#: What holds in every scenario, in the order of the checks. ``idempotent`` is late because it may affect the others.
ALWAYS = (
    "created_once",
    "intended",
    "used",
    "known",
    "over",
    "counted",
    "media",
    "nothing_withheld",
    "executions_ended",
    "shown",
    "idempotent",
    "created_once",
    "no_secret",
)
#: What holds unless somebody objects to the video.
INVARIANTS = ("accepted", "made", *ALWAYS)


def play(where: SimulatedAws, scenario: Scenario) -> Outcome:
    """Runs one scenario to its end and checks its invariants."""
    where.begin(dict(scenario.plan))
    story = Generating(where, reports=scenario.reports)
    broken: dict[str, str] = {}
    calls = 0
    try:
        where.play(story.story())
        where.settle()
        calls = len(where.injector.calls)
        where.injector.plan = {}
        where.broken_until.clear()
        broken = dict(Invariants(story, scenario).check(INVARIANTS))
    except Exception:
        broken["the scenario can be played"] = traceback.format_exc(limit=-6)
    fired = [f"{call} {fault}" for call, fault in where.injector.fired]
    return Outcome(scenario, calls, fired, broken)


def calls_of(where: SimulatedAws) -> list[Call]:
    """Returns the calls of a generation without faults."""
    outcome = play(where, Scenario())
    assert not outcome.broken, outcome
    return where.injector.calls[: outcome.calls]


def can_meet(call: Call, fault: Fault) -> bool:
    """Whether a call can break in this way: who calls a function of people again gives up, so it is never used up."""
    return fault is not Fault.USED_UP or call.by not in _CALLED_BY_PEOPLE


def singles(calls: Sequence[Call], faults: Iterable[Fault] = Fault) -> Iterator[Scenario]:
    """Yields every call with every fault that it can meet; those of CreateTask's function also without a callback."""
    for call, fault in itertools.product(calls, faults):
        if can_meet(call, fault):
            yield Scenario(((call.number, fault),))
            if call.by == "create_task":
                yield Scenario(((call.number, fault),), reports=0)


def pairs(calls: Sequence[Call], number: int, seed: int) -> Iterator[Scenario]:
    """Yields ``number`` different pairs of faults, drawn with ``seed``."""
    chance = random.Random(seed)
    drawn: set[Scenario] = set()
    while len(drawn) < number:
        # The second fault may hit a call that is only made because of the first.
        first, second = sorted(chance.sample(range(1, len(calls) + 8), 2))
        scenario = Scenario(
            ((first, chance.choice(MOMENTARY)), (second, chance.choice(MOMENTARY))), reports=chance.choice([0, 1, 2])
        )
        if scenario not in drawn:
            drawn.add(scenario)
            yield scenario
