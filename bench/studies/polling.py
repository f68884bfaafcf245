"""The cost of polling: the product's schedule compared with fixed and exponential ones, and with the optimum.

Cost = polls + weight x mean delay in seconds, for an asset whose time to Active has a known distribution. The cost of a
schedule is computed, not sampled: its polls are known ages, and the integrals between them are exact. Only the history
that the stack has learned from is sampled, asset by asset, with the schedule that was in force at that time.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import mean
from typing import Any, Protocol

from bench.table import Row
from likeness.domain.polling import NEVER, NOTHING_SEEN, History, Schedule, observed

PART = "polling"
WEIGHTS = (0.05, 0.2, 1.0)
DEADLINE = 86_400.0
#: None of these seeds was used to choose the schedule's constants.
SEEDS = (11, 12, 13, 14, 15, 16)
HISTORIES = (300, 3_000)
#: Assets between two updates of a schedule: the functions cache a history for ten minutes.
_PLAN_RENEWED_EVERY = 25
_PLAN_RENEWED_LATER = 250
#: A smaller share of assets is not followed further.
_NEGLIGIBLE = 1e-12


class Distribution(Protocol):
    """A distribution of the time to Active, in seconds."""

    def by(self, age: float) -> float:
        """Returns the probability of being Active at ``age``."""
        ...

    def moment(self, age: float) -> float:
        """Returns the integral of t dF(t) up to ``age``."""
        ...

    def draw(self, chance: random.Random) -> float:
        """Returns a random time; infinite for an asset that is never Active."""
        ...


@dataclass(frozen=True)
class LogNormal:
    """A lognormal distribution, by its median in seconds and the sigma of its logarithm."""

    median: float
    sigma: float

    def _below(self, age: float, shift: float) -> float:
        if age <= 0:
            return 0.0
        return math.erfc(-(math.log(age / self.median) / self.sigma - shift) / math.sqrt(2)) / 2

    def by(self, age: float) -> float:
        """See Distribution."""
        return self._below(age, 0)

    def moment(self, age: float) -> float:
        """See Distribution."""
        return self.median * math.exp(self.sigma**2 / 2) * self._below(age, self.sigma)

    def draw(self, chance: random.Random) -> float:
        """See Distribution."""
        return chance.lognormvariate(math.log(self.median), self.sigma)


@dataclass(frozen=True)
class Points:
    """Pairs of seconds and the share of assets that take exactly that long; the rest is never Active."""

    shares: tuple[tuple[float, float], ...]

    def by(self, age: float) -> float:
        """See Distribution."""
        return sum(share for at, share in self.shares if at <= age)

    def moment(self, age: float) -> float:
        """See Distribution."""
        return sum(share * at for at, share in self.shares if at <= age)

    def draw(self, chance: random.Random) -> float:
        """See Distribution."""
        rest = chance.random()
        for at, share in self.shares:
            if rest < share:
                return at
            rest -= share
        return math.inf


DISTRIBUTIONS: dict[str, Distribution] = {
    "median 5 s": LogNormal(5, 0.6),
    "median 20 s": LogNormal(20, 0.8),
    "median 90 s": LogNormal(90, 1.0),
    "80 % 8 s, 19 % 60 s, 1 % never": Points(((8, 0.8), (60, 0.19))),
}
Case = tuple[str, float]
CASES: tuple[Case, ...] = tuple((name, weight) for name in DISTRIBUTIONS for weight in WEIGHTS)


@dataclass(frozen=True)
class Cost:
    """Per asset: polls, and the mean delay in seconds of those that become Active."""

    polls: float
    delay: float

    def at(self, weight: float) -> float:
        """Returns the cost in polls, where a second of delay costs ``weight`` polls."""
        return self.polls + weight * self.delay


def cost_of(distribution: Distribution, ages: Sequence[float]) -> Cost:
    """Returns the cost of polls at these ages; an asset that is not Active at the last one is given up."""
    polls = delay = before = 0.0
    for age in ages:
        waiting = 1 - distribution.by(before)
        if waiting < _NEGLIGIBLE:
            break
        polls += waiting
        noticed = distribution.by(age) - distribution.by(before)
        delay += age * noticed - (distribution.moment(age) - distribution.moment(before))
        before = age
    return Cost(polls, delay)


# -- schedules ----------------------------------------------------------------------------------------------------


def _ages(pause: Callable[[int, float], float], deadline: float) -> list[float]:
    ages = [pause(0, 0.0)]
    while ages[-1] < deadline:
        ages.append(ages[-1] + pause(len(ages), ages[-1]))
    return ages


def _fixed(seconds: float) -> Callable[[int, float], float]:
    return lambda *_: seconds


def _exponential(first: float, rate: float, most: float) -> Callable[[int, float], float]:
    # The exponent is bounded to avoid an overflow; the cap is reached long before.
    return lambda number, _: min(first * rate ** min(number, 50), most)


PEERS: dict[str, Callable[[int, float], float]] = {
    **{f"fixed {seconds} s": _fixed(seconds) for seconds in (2, 5, 10, 30)},
    "2 s x 1.5, cap 60": _exponential(2, 1.5, 60),
    "2 s x 2, cap 60": _exponential(2, 2, 60),
    "5 s x 1.5, cap 120": _exponential(5, 1.5, 120),
}


@cache
def peer_costs() -> dict[tuple[str, str], Cost]:
    """Returns costs by peer and distribution."""
    return {
        (peer, name): cost_of(distribution, _ages(pause, DEADLINE))
        for peer, pause in PEERS.items()
        for name, distribution in DISTRIBUTIONS.items()
    }


def best_peer(case: Case) -> tuple[float, str]:
    """Returns the cost of the best peer in this case, and its name."""
    name, weight = case
    return min((peer_costs()[peer, name].at(weight), peer) for peer in PEERS)


def ages_of(schedule: Schedule, history: History) -> list[float]:
    """Returns the ages at which the product's schedule polls."""
    return _ages(lambda _, age: schedule.next_delay(age, history), schedule.deadline)


def learned(case: Case, seed: int, sizes: Sequence[int]) -> Iterator[Cost]:
    """Yields the costs after each number of assets; each asset is polled by the schedule learned from earlier ones."""
    name, weight = case
    distribution, chance = DISTRIBUTIONS[name], random.Random(f"{seed} {name}")  # the same times in each run
    schedule, history = Schedule(weight=weight, deadline=DEADLINE), NOTHING_SEEN
    ages, counts, never = ages_of(schedule, history), list(history.counts), 0.0
    for number in range(1, max(sizes) + 1):
        seen = _noticed(distribution.draw(chance), ages, history)
        counts = [before + more for before, more in zip(counts, seen.counts, strict=True)]
        never += seen.never
        renewed = number % (_PLAN_RENEWED_EVERY if number < _PLAN_RENEWED_LATER else _PLAN_RENEWED_LATER) == 0
        if renewed or number in sizes:
            history = History(tuple(counts), never)
            ages = ages_of(schedule, history)
        if number in sizes:
            yield cost_of(distribution, ages)


def _noticed(time: float, ages: Sequence[float], history: History) -> History:
    poll = bisect_left(ages, time)
    return NEVER if poll == len(ages) else observed(ages[poll - 1] if poll else 0.0, ages[poll], history)


def ratio(cost: Cost, case: Case) -> float:
    """Returns the ratio of a cost to that of the best peer."""
    return cost.at(case[1]) / best_peer(case)[0]


def prior_ratio(case: Case) -> float:
    """Returns the ratio to the best peer of a schedule without a history."""
    return ratio(cost_of(DISTRIBUTIONS[case[0]], ages_of(Schedule(weight=case[1]), NOTHING_SEEN)), case)


# -- the optimum ------------------------------------------------------------------------------------


def optimum(case: Case, bounds: Callable[[float], tuple[float, float]]) -> float:
    """Returns the cost of the best schedule for a known distribution, by dynamic programming over a grid of ages.

    ``bounds`` returns the shortest and the longest pause at an age. The grid has steps of a second up to 100 s, then of
    one per cent.
    """
    name, weight = case
    distribution = DISTRIBUTIONS[name]
    ages = [0.0]
    while ages[-1] < DEADLINE:
        ages.append(min(DEADLINE, ages[-1] + max(1.0, ages[-1] / 100)))
    by, moments = [distribution.by(age) for age in ages], [distribution.moment(age) for age in ages]
    rest = [0.0] * len(ages)
    for here in range(len(ages) - 2, -1, -1):
        low, high = bounds(ages[here])
        first = min(bisect_left(ages, ages[here] + low, here + 1), len(ages) - 1)
        best = math.inf
        for there in range(first, len(ages)):
            late = ages[there] * (by[there] - by[here]) - (moments[there] - moments[here])
            if weight * late >= best or (ages[there] - ages[here] > high and there > first):
                break
            best = min(best, weight * late + rest[there])
        rest[here] = 1 - by[here] + best
    return rest[0]


# -- from Active to the event ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """What a schedule costs and gives: polls per asset, and seconds from Active at crun to the poll that detects it."""

    polls: float
    p50: float
    p95: float

    def beats(self, other: Point) -> bool:
        """Returns whether it is better in one figure and worse in none."""
        mine, theirs = (self.polls, self.p50, self.p95), (other.polls, other.p50, other.p95)
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


#: The template's weight of a second of delay, and the weights of the other schedules that were tried.
REAL_WEIGHT = Schedule().weight
_FRONT_WEIGHTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
#: The three distributions of the goal.
_WAITED_FOR = ("median 5 s", "median 20 s", "median 90 s")
_DRAWN = 4_000
#: Seconds in which the table's stream gathers changes before publish_changes publishes them (template.yaml).
STREAM_SECONDS = 1.0


def point_of(distribution: Distribution, ages: Sequence[float]) -> Point:
    """Returns the figures of polls at these ages; the same times are drawn for each schedule."""
    chance = random.Random(0)
    times = sorted(distribution.draw(chance) for _ in range(_DRAWN))
    delays = sorted(ages[bisect_left(ages, time)] - time for time in times if time <= ages[-1])
    at = [delays[int(share * (len(delays) - 1))] for share in (0.5, 0.95)]
    return Point(cost_of(distribution, ages).polls, *at)


@cache
def tried(name: str) -> dict[str, Point]:
    """Returns each schedule that was tried: the product's with several weights, and the peers."""
    distribution = DISTRIBUTIONS[name]
    found = {f"learned, w {weight:g}": point_of(distribution, _learned_ages(name, weight)) for weight in _FRONT_WEIGHTS}
    return found | {peer: point_of(distribution, _ages(pause, DEADLINE)) for peer, pause in PEERS.items()}


def _learned_ages(name: str, weight: float) -> list[float]:
    """Returns the ages at which the schedule polls that has learned from a history of this distribution."""
    chance, history = random.Random(f"{SEEDS[0]} {name}"), NOTHING_SEEN
    schedule = Schedule(weight=weight, deadline=DEADLINE)
    ages = ages_of(schedule, history)
    for number in range(1, HISTORIES[0] + 1):
        seen = _noticed(DISTRIBUTIONS[name].draw(chance), ages, history)
        counts = tuple(before + more for before, more in zip(history.counts, seen.counts, strict=True))
        history = History(counts, history.never + seen.never)
        if number % _PLAN_RENEWED_EVERY == 0:
            ages = ages_of(schedule, history)
    return ages


def front(points: dict[str, Point]) -> dict[str, Point]:
    """Returns the schedules that no other one beats."""
    return {name: each for name, each in points.items() if not any(other.beats(each) for other in points.values())}


def _event_rows() -> list[Row]:
    found = []
    for name in _WAITED_FOR:
        points = tried(name)
        real = points[f"learned, w {REAL_WEIGHT:g}"]
        better = [other for other, each in points.items() if each.beats(real)]
        what = f"Active to the event at the client, {name}"
        note = f"{real.polls:.2f} polls per asset. Includes {STREAM_SECONDS:g} s in which the stream gathers changes."
        found += [
            Row(PART, f"{what}: p50", real.p50 + STREAM_SECONDS, "s", note=note),
            Row(PART, f"{what}: p95", real.p95 + STREAM_SECONDS, "s", note=note),
            Row(
                PART,
                f"{what}: schedules that are better, of {len(points)} tried",
                len(better),
                "",
                goal=0,
                note=f"Better in polls, p50 or p95, and worse in none: {', '.join(better)}." if better else "",
            ),
        ]
    return found


def _any_pause(_: float) -> tuple[float, float]:
    return 1.0, math.inf


# -- the table ----------------------------------------------------------------------------------------------------


def _pair(what: str, ratios: Sequence[float], *, goals: tuple[float | None, float | None], note: str = "") -> list[Row]:
    return [
        Row(PART, f"{what}: worst of {len(CASES)}", max(ratios), "x the best peer", goal=goals[0], note=note),
        Row(PART, f"{what}: mean", mean(ratios), "x the best peer", goal=goals[1]),
    ]


def rows(*, fast: bool = False) -> list[Row]:
    """Returns all rows; with ``fast``, it learns from 300 assets of two seeds only."""
    found = []
    seeds, sizes = (SEEDS[:2], HISTORIES[:1]) if fast else (SEEDS, HISTORIES)
    runs = {case: [list(learned(case, seed, sizes)) for seed in seeds] for case in CASES}
    for index, size in enumerate(sizes):
        by_seed = [[ratio(runs[case][at][index], case) for case in CASES] for at in range(len(seeds))]
        worst, means = [max(each) for each in by_seed], [mean(each) for each in by_seed]
        note = (
            f"The worst seed of {len(seeds)}. Worst by seed {min(worst):.3f} to {max(worst):.3f},"
            f" mean {min(means):.3f} to {max(means):.3f}."
        )
        figures = [figure for each in by_seed for figure in each]
        found += _pair(f"learned from {size:,} assets", figures, goals=(1.05, 0.92), note=note)
    found += _pair("the prior alone", [prior_ratio(case) for case in CASES], goals=(1.7, None))
    found += _peers()
    found += _event_rows()
    found += _pair("full knowledge, any pause", _optima(_any_pause), goals=(None, None))
    found += _pair("full knowledge, the template's bounds", _optima(Schedule().bounds), goals=(None, None))
    if not fast:
        found += [_case(case, [each[-1] for each in runs[case]]) for case in CASES]
    return found


def _case(case: Case, costs: Sequence[Cost]) -> Row:
    """Returns the cost of an asset in one of the twelve cases."""
    name, weight = case
    peer_cost, peer = best_peer(case)
    return Row(
        PART,
        f"{name}, w {weight:g}: learned from {HISTORIES[-1]:,}, compared with full knowledge within the bounds",
        mean(cost.at(weight) for cost in costs),
        "polls per asset",
        floor=optimum(case, Schedule().bounds),
        note=f"{mean(cost.polls for cost in costs):.2f} polls and {mean(cost.delay for cost in costs):.1f} s of delay."
        f" The best peer, {peer}, costs {peer_cost:.2f}; the prior alone {prior_ratio(case) * peer_cost:.2f}.",
    )


def _peers() -> list[Row]:
    return [
        Row(
            PART,
            f"{peer}: its own worst",
            max(ratio(peer_costs()[peer, case[0]], case) for case in CASES),
            "x the best peer",
        )
        for peer in PEERS
    ]


def _optima(bounds: Callable[[float], tuple[float, float]]) -> list[float]:
    return [optimum(case, bounds) / best_peer(case)[0] for case in CASES]


def extra() -> dict[str, Any]:
    """Returns the plot's data: polls and p95 of each schedule tried, the real one, and the front of all of them."""
    panels = {}
    for name in DISTRIBUTIONS:
        points = {schedule: [each.polls, each.p95] for schedule, each in tried(name).items()}
        panels[name] = {
            "learned": [points[f"learned, w {weight:g}"] for weight in _FRONT_WEIGHTS],
            "real": points[f"learned, w {REAL_WEIGHT:g}"],
            "peers": {peer: points[peer] for peer in PEERS},
            "front": sorted(_front_of(list(points.values()))),
        }
    return {"panels": panels}


def _front_of(points: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns the points that no other one beats in both figures."""
    return [
        list(each)
        for each in points
        if not any(other != each and other[0] <= each[0] and other[1] <= each[1] for other in points)
    ]
