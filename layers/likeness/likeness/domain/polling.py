"""When to ask crun again whether an asset has become Active. Pure: ages in seconds in, seconds out.

A question costs 1; each second that an Active asset waits to be noticed costs ``weight``. Dynamic programming over the
ages finds the pauses that cost least for what is believed of the time to Active: a broad prior, and what the stack has
seen itself.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

#: The bins of a history in seconds, each without its lower and with its upper bound: four to an octave, then the rest.
BOUNDS = (0.0, *(2 ** (quarter / 4) for quarter in range(4, 49)), 86_400.0)
BINS = len(BOUNDS) - 1
#: What is believed before anything was seen: log-normal, so that the hazard falls about as 1/age; a few never come.
_PRIOR_MEDIAN, _PRIOR_SIGMA, _PRIOR_NEVER = 20.0, 1.5, 0.01
#: The prior weighs as much as so many assets.
_PRIOR_COUNT = 4.0
#: While little is known, polling more often pays: only a short pause tells the time to Active well. At first a second
#: of delay weighs three times as much, after so many assets twice.
_EXPLORATION, _EXPLORATION_COUNT = 2.0, 30.0
#: The shortest pause, as a share of the age, before and after half an hour: whatever was seen, a day of waiting for an
#: asset that never settles is under 70 polls, where a fixed 30 s would take 2,880.
_SHORTEST_RATIO, _LATER_SHORTEST_RATIO, _LATER = 1 / 10, 1 / 3, 1800.0
#: The ages that are calculated are a second apart at first, then this share of the age.
_GRID_SHARE = 1 / 24
#: At the age in question so many pauses are compared.
_CANDIDATES = 60


@dataclass(frozen=True, slots=True)
class History:
    """How many assets have turned Active in each bin of ages, and how many never did. Counts may be fractions."""

    counts: tuple[float, ...] = (0.0,) * BINS
    never: float = 0.0

    @property
    def total(self) -> float:
        """How many assets it has seen."""
        return sum(self.counts) + self.never


NOTHING_SEEN = History()


#: What to count of an asset that did not turn Active in time.
NEVER = History(never=1.0)


def observed(after: float, until: float, history: History) -> History:
    """What to count of an asset that turned Active between two ages: shares of the bins it may be in, together about 1.

    To count it at ``until``, where it was noticed, would make the pauses longer, and so the ages, poll after poll.
    Within its interval it is shared out by what is believed so far (expectation maximisation, one asset at a time).
    """
    until = min(max(until, 0.0), BOUNDS[-1])
    parts = [
        mass * max(0.0, min(high, until) - max(low, after)) / (high - low)
        for mass, (low, high) in zip(_masses(history), pairwise(BOUNDS), strict=True)
    ]
    total = sum(parts)
    if total <= 0:  # an interval without a width: clocks that differ
        parts[max(0, bisect_left(BOUNDS, until) - 1)] = total = 1.0
    return History(tuple(round(part / total, 3) for part in parts))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The template's Poll… parameters: what one second of delay costs in questions (``weight``), and the bounds.

    No pause is longer than ``max_delay``, or than ``backoff_rate`` - 1 times the age where that is more; but for that,
    none is shorter than ``first_delay``. All but ``weight`` and ``backoff_rate`` in seconds.
    """

    first_delay: float = 3
    backoff_rate: float = 1.5
    max_delay: float = 30
    deadline: float = 86_400
    weight: float = 0.2

    def next_delay(self, age: float, history: History = NOTHING_SEEN, *, retry_after: float = 0) -> int:
        """Whole seconds until an asset of this ``age`` since its submission is asked for again.

        At least 1: a Wait of 0 would spin.
        """
        age = min(max(0.0, age), self.deadline)
        low, high = self.bounds(age)
        most = max(1, math.floor(high))
        least = min(max(1, math.ceil(low)), most)
        cost = _plan(self, history)
        pauses = range(least, most + 1, 1 + (most - least) // _CANDIDATES)
        return max(min(pauses, key=lambda pause: cost(age, age + pause)), math.ceil(retry_after))

    def bounds(self, age: float) -> tuple[float, float]:
        """The shortest and the longest pause at this age, in seconds. The last one ends at the deadline."""
        left = max(self.first_delay, math.ceil(self.deadline - age))
        longest = min(max(self.max_delay, (self.backoff_rate - 1) * age), left)
        shortest = (_SHORTEST_RATIO if age < _LATER else _LATER_SHORTEST_RATIO) * age
        return min(max(self.first_delay, shortest), longest), longest

    def expired(self, age: float) -> bool:
        """Whether an asset of this age has waited long enough to be failed as ``activation_timeout``."""
        return age >= self.deadline


@lru_cache(maxsize=16)
def _plan(schedule: Schedule, history: History) -> Callable[[float, float], float]:
    """What it costs an asset that is not Active at one age to be asked for at another, and on at best.

    Without the price of that question, which is the same for every pause.
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
    """What the way from each age costs at best. Backwards: the best pause is known with all that follow it."""
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
    """The chance to be Active by each of ``ages``, even within a bin."""
    masses = _masses(history)
    reached = list(accumulate(masses, initial=0.0))
    found = []
    for age in ages:
        right = min(max(1, bisect_left(BOUNDS, age)), BINS)
        share = min(1.0, (age - BOUNDS[right - 1]) / (BOUNDS[right] - BOUNDS[right - 1]))
        found.append(reached[right - 1] + share * masses[right - 1])
    return found


def _masses(history: History) -> list[float]:
    """The chance of each bin: what was seen, smoothed over its neighbours against chance, beside the prior."""
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
