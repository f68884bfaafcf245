"""A simulation of many persons, event by event, with the project's own rate limiter and poll schedule.

A person opens a link, passes the face check after a while, and has files that crun needs some time for. Only time is
simulated: calls to crun wait for permits of the real RateLimiter, pauses come from the real Schedule, which learns from
the simulated files, and retries are those of the state machine.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from likeness.adapters.table.rate_limiter import Lane, RateLimiter
from likeness.domain.polling import NOTHING_SEEN, History, Schedule, observed
from likeness.errors import RateLimited

#: Seconds that a call waits for a permit (bootstrap), and that the functions keep a history of polls.
PERMIT_WAIT, HISTORY_SECONDS = 5.0, 600.0
#: The state machine's retries of a task that gets no permit (onboard_person.asl.json): full jitter.
_RETRY_FIRST, _RETRY_RATE, _RETRY_MOST = 1.0, 2.0, 120.0
#: States of an execution besides files and polls, and states of a poll (bench/checked/transitions.py).
_ONCE, _PER_POLL = 8, 3
_SET = re.compile(r"(\w+) = (?:\w+ \+ )?:(next|cost)(\d)")
_LEARNED_EVERY = 25
#: After this many files, only one in ten is learned from: the history hardly changes any more, and learning takes time.
_ENOUGH_LEARNED = 3_000


class Items:
    """The rate limiter's items in memory: a second implementation of the DynamoDB call that it makes."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, float]] = {}
        self.writes = 0

    def update_item(self, **asked: Any) -> dict[str, Any]:
        """Makes the update when its condition holds; raises ClientError with the item otherwise, like DynamoDB."""
        self.writes += 1
        item = self._items.setdefault(asked["Key"]["sk"]["S"], {})
        values = {name: float(value["N"]) for name, value in asked["ExpressionAttributeValues"].items()}
        now, changes = values[":now"], {}
        for name, kind, index in _parts(asked["UpdateExpression"]):
            stored = item.get(name)
            if kind == "next":
                fits = stored is None or stored < now
                changes[name] = values[f":next{index}"]
            else:
                fits = stored is not None and now <= stored <= values[f":latest{index}"]
                changes[name] = (stored or 0.0) + values[f":cost{index}"]
            if not fits:
                known = {each: {"N": repr(value)} for each, value in item.items()}
                error = {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}, "Item": known}
                raise ClientError(error, "UpdateItem")  # type: ignore[arg-type]
        item |= changes
        return {"Attributes": {name: {"N": repr(value)} for name, value in changes.items()}}


@lru_cache(maxsize=64)
def _parts(update: str) -> list[tuple[str, str, str]]:
    return [(found[1], found[2], found[3]) for found in _SET.finditer(update)]


@dataclass(frozen=True)
class Crowd:
    """What is simulated. ``arrivals`` are seconds from the start; ``settle`` draws a file's seconds until Active.

    ``step`` are the seconds of a state of the workflow, ``check`` those until a person has passed the face check.
    """

    arrivals: tuple[float, ...]
    files: int
    clients: int
    crun_per_10s: int
    settle: Callable[[random.Random], float]
    check: Callable[[random.Random], float]
    step: float = 0.3
    schedule: Schedule = field(default_factory=Schedule)
    seed: int = 0


RATES = ("crun", "transitions", "executions")
Pauses = Generator[float, None, None]


@dataclass
class Outcome:
    """What happened. ``refused`` counts answers 429 to callers, ``retried`` tasks that got no permit.

    ``link_waits`` are the seconds until a person has a link, ``delays`` those from Active to the poll that detects it,
    ``done`` those from the pass until all files are known to be Active.
    """

    finished: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    transitions: int = 0
    executions: int = 0
    polls: int = 0
    refused: int = 0
    retried: int = 0
    writes: int = 0
    link_waits: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    #: Calls to crun, transitions and executions by whole second.
    by_second: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in RATES})
    most_running: int = 0

    @property
    def all_calls(self) -> int:
        """All calls to crun."""
        return self.calls.total()

    def peak(self, rate: str, seconds: int = 10) -> float:
        """Returns the largest number in any ``seconds`` whole seconds."""
        counted = self.by_second[rate]
        if not counted:
            return 0
        sums, window = [], 0
        for second in range(min(counted), max(counted) + 1):
            window += counted[second] - counted[second - seconds]
            sums.append(window)
        return max(sums)


class Simulation:
    """Runs one crowd; ``run`` returns its outcome."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd, self._chance = crowd, random.Random(crowd.seed)
        self.now, self._running, self._pause = 0.0, 0, 0.0
        self._items, self.outcome = Items(), Outcome()
        self._limiters = {lane: self._limiter(lane) for lane in Lane}
        self._history = self._used = NOTHING_SEEN
        self._used_at, self._delays = 0.0, dict[int, int]()

    def _limiter(self, lane: Lane) -> RateLimiter:
        def wait(seconds: float) -> None:
            self._pause = seconds

        # Epoch seconds as the functions have them: the buckets' times are stored in milliseconds.
        items: Any = self._items
        return RateLimiter(items, "Table", self._crowd.crun_per_10s, lane, lambda: 1e9 + self.now, wait, PERMIT_WAIT)

    def run(self) -> Outcome:
        """Simulates until everybody has finished."""
        order = itertools.count()
        queue = [(at, next(order), self._person(number)) for number, at in enumerate(self._crowd.arrivals)]
        heapq.heapify(queue)
        while queue:
            self.now, _, person = heapq.heappop(queue)
            pause = next(person, None)
            if pause is not None:
                heapq.heappush(queue, (self.now + pause, next(order), person))
        self.outcome.writes = self._items.writes
        return self.outcome

    # -- a person -------------------------------------------------------------------------------------------------

    def _person(self, number: int) -> Pauses:
        client, began = f"client-{number % self._crowd.clients}", self.now
        while True:  # the caller respects Retry-After
            try:
                self._admit(Lane.INTERACTIVE, 1, client)
                break
            except RateLimited as limited:
                self.outcome.refused += 1
                yield max(2.0, limited.retry_after or 0.0) * self._chance.uniform(1, 1.5)
        yield self._pause
        self._called("visual-validate-session")
        self.outcome.link_waits.append(self.now - began)
        yield self._crowd.check(self._chance)
        yield from self._execution(client)
        self.outcome.finished += 1

    def _execution(self, client: str) -> Pauses:
        began, step = self.now, self._crowd.step
        self._count("executions")
        self.outcome.executions += 1
        self._running += 1
        self.outcome.most_running = max(self.outcome.most_running, self._running)
        self._passed(2)  # ChooseWork, LookUpResult
        yield from self._task(client, "visual-validate-result")
        self._passed(_ONCE - 2)
        yield 2 * step  # SaveGroup, ClaimAssets
        active_at: list[float] = []
        submitted: list[float] = []
        for _ in range(self._crowd.files):
            self._passed(1)
            yield from self._task(client, "asset-upload")
            submitted.append(self.now)
            active_at.append(self.now + self._crowd.settle(self._chance))
        pending, asked_at, retry_after = list(range(self._crowd.files)), self.now, 0.0
        while pending:
            ages = {round(self.now - submitted[each]) for each in pending}
            yield max(min(map(self._next_delay, ages)), math.ceil(retry_after))
            self._passed(_PER_POLL)
            self.outcome.polls += 1
            pending, retry_after = yield from self._poll(client, pending, submitted, active_at, asked_at)
            asked_at = self.now
        self.outcome.done.append(self.now - began)
        self._running -= 1

    def _poll(
        self, client: str, pending: list[int], submitted: list[float], active_at: list[float], asked_at: float
    ) -> Generator[float, None, tuple[list[int], float]]:
        left, asked, retry_after = list(pending), list[int](), 0.0
        while left:
            try:
                admitted = self._admit(Lane.BACKGROUND, len(left), client)
            except RateLimited as limited:
                retry_after = limited.retry_after or 0.0
                break
            yield self._pause
            asked, left = asked + left[:admitted], left[admitted:]
            for _ in range(admitted):
                self._called("asset-info")
        yield self._crowd.step
        for each in asked:
            if active_at[each] <= self.now:
                pending = [other for other in pending if other != each]
                self.outcome.delays.append(self.now - active_at[each])
                self._learn(asked_at - submitted[each], self.now - submitted[each])
        return pending, retry_after

    def _task(self, client: str, call: str) -> Pauses:
        """One call of a task, which the state machine retries when there is no permit."""
        for tries in itertools.count():
            try:
                self._admit(Lane.BACKGROUND, 1, client)
                break
            except RateLimited:
                self.outcome.retried += 1
                self._passed(1)  # AWS bills a retry as a transition
                yield self._chance.uniform(0, min(_RETRY_MOST, _RETRY_FIRST * _RETRY_RATE ** min(tries, 10)))
        yield self._pause
        self._called(call)
        yield self._crowd.step

    # -- what is shared -------------------------------------------------------------------------------------------

    def _admit(self, lane: Lane, calls: int, client: str) -> int:
        self._pause = 0.0
        return self._limiters[lane].admit(calls, client)

    def _called(self, call: str) -> None:
        self.outcome.calls[call] += 1
        self._count("crun")

    def _passed(self, states: int) -> None:
        self.outcome.transitions += states
        self._count("transitions", states)

    def _count(self, rate: str, number: int = 1) -> None:
        self.outcome.by_second[rate][int(self.now)] += number

    def _next_delay(self, age: int) -> int:
        if age not in self._delays:
            self._delays[age] = self._crowd.schedule.next_delay(age, self._used)
        return self._delays[age]

    def _learn(self, after: float, until: float) -> None:
        if self._history.total > _ENOUGH_LEARNED and len(self.outcome.delays) % 10:
            return
        seen = observed(max(0.0, after), until, self._used)
        counts = tuple(map(sum, zip(self._history.counts, seen.counts, strict=True)))
        self._history = History(counts, self._history.never + seen.never)
        young = self._history.total < 10 * _LEARNED_EVERY and self._history.total - self._used.total >= _LEARNED_EVERY
        if young or self.now >= self._used_at + HISTORY_SECONDS:
            self._used, self._used_at, self._delays = self._history, self.now, {}


def evenly(persons: int, seconds: float) -> tuple[float, ...]:
    """Returns arrivals at equal distances."""
    return tuple(number * seconds / persons for number in range(persons))


def day(persons: int, seed: int = 0) -> tuple[float, ...]:
    """Returns a day's arrivals: random, and in the busiest hour 1.8 times as many as on average."""
    chance, found = random.Random(seed), list[float]()
    while len(found) < persons:
        at = chance.uniform(0, 86_400)
        if chance.uniform(0, 1.8) <= 1 - 0.8 * math.cos(2 * math.pi * at / 86_400):
            found.append(at)
    return tuple(sorted(found))
