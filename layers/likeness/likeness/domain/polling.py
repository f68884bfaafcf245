"""When to poll crun again for an asset that is not Active yet. Pure functions of ages in seconds.

A poll costs 1; each second between an asset's activation and the next poll costs ``weight``. Dynamic programming over
the ages finds the pauses with the lowest expected cost. The distribution of the time to Active is estimated from a
broad prior and from the stack's own history.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

#: The bounds of a history's bins in seconds, lower exclusive and upper inclusive: four per octave, then the rest.
BOUNDS = (0.0, *(2 ** (quarter / 4) for quarter in range(4, 49)), 86_400.0)
BINS = len(BOUNDS) - 1
#: The prior: log-normal, so that the hazard falls about as 1/age; a few assets never become Active.
_PRIOR_MEDIAN, _PRIOR_SIGMA, _PRIOR_NEVER = 20.0, 1.5, 0.01
#: The weight of the prior, in assets.
_PRIOR_COUNT = 4.0
#: Exploration: short pauses measure the time to Active more precisely, so delay has more weight while the history is
#: short: three times at first, twice after ``_EXPLORATION_COUNT`` assets.
_EXPLORATION, _EXPLORATION_COUNT = 2.0, 30.0
#: The shortest pause, as a share of the age, before and after half an hour. It bounds a day of waiting for an asset
#: that never settles to 70 polls; a fixed pause of 30 s would need 2,880.
_SHORTEST_RATIO, _LATER_SHORTEST_RATIO, _LATER = 1 / 10, 1 / 3, 1800.0
#: The distance of the ages in the calculation, as a share of the age, but at least a second.
_GRID_SHARE = 1 / 24
#: The number of pauses that are compared.
_CANDIDATES = 60


@dataclass(frozen=True, slots=True)
class History:
    """The number of assets that became Active in each bin of ages, and that never did. Counts may be fractions."""

    counts: tuple[float, ...] = (0.0,) * BINS
    never: float = 0.0

    @property
    def total(self) -> float:
        """The number of assets."""
        return sum(self.counts) + self.never


NOTHING_SEEN = History()


#: The count of an asset that did not become Active in time.
NEVER = History(never=1.0)


def observed(after: float, until: float, history: History) -> History:
    """The count of an asset that became Active between two ages: shares of the possible bins, together about 1.

    Counting it at ``until``, the age of the poll, would overestimate the ages and so make the pauses longer and longer.
    Its interval is divided by the current estimate instead (expectation maximisation, one asset at a time).
    """
    until = min(max(until, 0.0), BOUNDS[-1])
    parts = [
        mass * max(0.0, min(high, until) - max(low, after)) / (high - low)
        for mass, (low, high) in zip(_masses(history), pairwise(BOUNDS), strict=True)
    ]
    total = sum(parts)
    if total <= 0:  # an empty interval, because clocks differ
        parts[max(0, bisect_left(BOUNDS, until) - 1)] = total = 1.0
    return History(tuple(round(part / total, 3) for part in parts))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The template's Poll… parameters: the cost of one second of delay in polls (``weight``), and the bounds.

    A pause is at most ``max_delay``, or ``backoff_rate`` - 1 times the age if that is more, and otherwise at least
    ``first_delay``. All but ``weight`` and ``backoff_rate`` are in seconds.
    """

    first_delay: float = 3
    backoff_rate: float = 1.5
    max_delay: float = 30
    deadline: float = 86_400
    weight: float = 0.2

    def next_delay(self, age: float, history: History = NOTHING_SEEN, *, retry_after: float = 0) -> int:
        """Whole seconds until the next poll for an asset of this ``age`` since its submission.

        At least 1: a Wait of 0 would poll without a pause.
        """
        age = min(max(0.0, age), self.deadline)
        low, high = self.bounds(age)
        most = max(1, math.floor(high))
        least = min(max(1, math.ceil(low)), most)
        cost = _plan(self, history)
        pauses = range(least, most + 1, 1 + (most - least) // _CANDIDATES)
        return max(min(pauses, key=lambda pause: cost(age, age + pause)), math.ceil(retry_after))

    def bounds(self, age: float) -> tuple[float, float]:
        """The shortest and the longest pause at this age, in seconds. The last pause ends at the deadline."""
        left = max(self.first_delay, math.ceil(self.deadline - age))
        longest = min(max(self.max_delay, (self.backoff_rate - 1) * age), left)
        shortest = (_SHORTEST_RATIO if age < _LATER else _LATER_SHORTEST_RATIO) * age
        return min(max(self.first_delay, shortest), longest), longest

    def expired(self, age: float) -> bool:
        """Whether an asset of this age fails with ``activation_timeout``."""
        return age >= self.deadline


@lru_cache(maxsize=16)
def _plan(schedule: Schedule, history: History) -> Callable[[float, float], float]:
    """The lowest expected cost of an asset that is not Active at one age and is polled next at another.

    Excludes the cost of that poll, which is the same for every pause.
    """
    weight = schedule.weight * (1 + _EXPLORATION * _EXPLORATION_COUNT / (_EXPLORATION_COUNT + history.total))
    ages = list(_grid(schedule.deadline))
    active = _distribution(history, ages)
    areas = [
        (before + by) / 2 * (right - left)
        for (before, by), (left, right) in zip(pairwise(active), pairwise(ages), strict=True)
    ]
    integral = list(accumulate(areas, initial=0.0))
    rest = _rest(schedule, weight, ages, active, integral)

    def at(age: float) -> tuple[float, float, float]:
        right = min(max(1, bisect_left(ages, age)), len(ages) - 1)
        left = right - 1
        share = min(1.0, (age - ages[left]) / (ages[right] - ages[left]))
        return (
            active[left] + share * (active[right] - active[left]),
            integral[left] + share * (integral[right] - integral[left]),
            rest[left] + share * (rest[right] - rest[left]),
        )

    def cost(age: float, then: float) -> float:
        by, area, _ = at(age)
        _, area_then, rest_then = at(then)
        return weight * (area_then - area - by * (then - age)) + rest_then

    return cost


def _rest(
    schedule: Schedule, weight: float, ages: Sequence[float], active: Sequence[float], integral: Sequence[float]
) -> list[float]:
    """The lowest expected cost from each age on, calculated backwards from the deadline."""
    rest = [0.0] * len(ages)
    for here in range(len(ages) - 2, -1, -1):
        low, high = schedule.bounds(ages[here])
        first = min(bisect_left(ages, ages[here] + low, here + 1), len(ages) - 1)
        best = math.inf
        for there in range(first, len(ages)):
            pause = ages[there] - ages[here]
            delay = weight * (integral[there] - integral[here] - active[here] * pause)
            if delay >= best or (pause > high and there > first):
                break
            best = min(best, delay + rest[there])
        rest[here] = 1 - active[here] + best
    return rest


def _grid(deadline: float) -> Iterator[float]:
    age = 0.0
    while age < deadline:
        yield age
        age += max(1.0, age * _GRID_SHARE)
    yield deadline


def _distribution(history: History, ages: Sequence[float]) -> list[float]:
    """The probability of being Active by each of ``ages``, interpolated within a bin."""
    masses = _masses(history)
    reached = list(accumulate(masses, initial=0.0))
    found = []
    for age in ages:
        right = min(max(1, bisect_left(BOUNDS, age)), BINS)
        share = min(1.0, (age - BOUNDS[right - 1]) / (BOUNDS[right] - BOUNDS[right - 1]))
        found.append(reached[right - 1] + share * masses[right - 1])
    return found


def _masses(history: History) -> list[float]:
    """The probability of each bin: the history, smoothed over neighbouring bins, combined with the prior."""
    seen = [history.counts[0], *history.counts, history.counts[-1]]
    smooth = [(seen[at - 1] + 2 * seen[at] + seen[at + 1]) / 4 for at in range(1, BINS + 1)]
    total = history.total + _PRIOR_COUNT
    return [(count + _PRIOR_COUNT * prior) / total for count, prior in zip(smooth, _PRIOR, strict=True)]


def _prior() -> list[float]:
    def below(age: float) -> float:
        return math.erfc(math.log(_PRIOR_MEDIAN / age) / (_PRIOR_SIGMA * math.sqrt(2))) / 2

    reached = [0.0, *(below(age) for age in BOUNDS[1:-1]), 1.0]
    return [(1 - _PRIOR_NEVER) * (high - low) for low, high in pairwise(reached)]


_PRIOR = _prior()
