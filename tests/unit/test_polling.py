"""The schedule of the polls of crun."""

from __future__ import annotations

import random
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.studies import polling
from bench.table import cells
from likeness.domain.polling import BINS, BOUNDS, NEVER, NOTHING_SEEN, History, Schedule, observed

COUNTS = st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 1e6))
HISTORIES = st.builds(History, st.lists(COUNTS, min_size=BINS, max_size=BINS).map(tuple), COUNTS)
#: Assets that take 19 to 21 s.
SHARP = History(tuple(500 * count for count in observed(19, 21, NOTHING_SEEN).counts))


def _ages(schedule: Schedule, history: History = NOTHING_SEEN) -> list[float]:
    return polling.ages_of(schedule, history)


@given(HISTORIES, st.floats(0.001, 100), st.floats(0, 1))
def test_a_day_of_waiting_takes_few_polls_with_any_history(history: History, weight: float, age: float) -> None:
    schedule, polls = Schedule(weight=weight), 0
    while not schedule.expired(age):
        age += schedule.next_delay(age, history)
        polls += 1
    assert polls < 70, "9 history events each: under 640"
    assert age < schedule.deadline + schedule.first_delay + 1, "it fails soon after the deadline"


@given(
    HISTORIES, st.floats(0, 600), st.floats(1, 10), st.floats(1, 3600), st.floats(1, 432_000), st.floats(0.001, 100),
    st.floats(-1000, 1e6), st.integers(0, 3600),
)  # fmt: skip
def test_every_delay_is_within_its_bounds_and_honours_retry_after(
    history: History,
    first: float,
    rate: float,
    most: float,
    deadline: float,
    weight: float,
    age: float,
    retry_after: int,
) -> None:
    schedule = Schedule(first, rate, most, deadline, weight)
    delay = schedule.next_delay(age, history, retry_after=retry_after)
    longest = max(most, (rate - 1) * min(age, deadline))  # the age is at most the deadline
    assert max(1, retry_after) <= delay <= max(1, retry_after, longest)
    assert delay >= min(int(first), int(longest))


def test_the_first_delays_of_a_new_stack() -> None:
    pauses = [after - before for before, after in pairwise([0, *_ages(Schedule())])]
    assert pauses[:6] == [9, 10, 12, 13, 15, 16]


def test_a_stack_with_a_history_polls_when_an_answer_is_likely() -> None:
    assert 20 <= _ages(Schedule(), SHARP)[0] < 25, "bins are a fifth wide"
    assert len([age for age in _ages(Schedule()) if age < 25]) > 1


def test_a_higher_weight_of_delay_polls_more_often_and_waits_less() -> None:
    believed = polling.LogNormal(20, 1.5)
    costs = [polling.cost_of(believed, _ages(Schedule(weight=weight))) for weight in (0.01, 0.03, 0.1, 0.3, 1, 3)]
    assert [cost.polls for cost in costs] == sorted(cost.polls for cost in costs)
    assert [cost.delay for cost in costs] == sorted((cost.delay for cost in costs), reverse=True)


@pytest.mark.parametrize("weight", [0.05, 0.2, 1.0])
def test_a_delay_of_the_poll_is_not_learned_as_a_delay_of_crun(weight: float) -> None:
    """The schedule learns from observations that its own polls delay, and its median stays correct."""
    chance, counts, history = random.Random(weight), [0.0] * BINS, NOTHING_SEEN
    for number in range(600):
        if number % 50 == 0:
            history = History(tuple(counts))
            ages = [0.0, *_ages(Schedule(weight=weight), history)]
        poll = bisect_left(ages, chance.lognormvariate(2.996, 0.8))  # a median of 20 s
        counts = [
            before + more
            for before, more in zip(counts, observed(ages[poll - 1], ages[poll], history).counts, strict=True)
        ]
    below = sum(count for high, count in zip(BOUNDS[1:], counts, strict=True) if high <= 20)
    assert 0.35 < below / sum(counts) < 0.65


@given(st.floats(-100, 1e6), st.floats(-100, 1e6), HISTORIES)
def test_an_asset_has_a_total_weight_of_one(after: float, until: float, history: History) -> None:
    seen = observed(after, until, history)
    assert seen.total == pytest.approx(1, abs=BINS / 2000)
    assert min(seen.counts) >= 0
    if 0 <= after < until <= BOUNDS[-1]:
        outside = [
            count
            for count, (low, high) in zip(seen.counts, pairwise(BOUNDS), strict=True)
            if high <= after or low >= until
        ]
        assert sum(outside) == 0


def test_an_asset_that_never_becomes_active_is_polled_less_often() -> None:
    hopeless = History(never=1000 * NEVER.never)
    assert len(_ages(Schedule(), hopeless)) < len(_ages(Schedule()))


@pytest.mark.nightly
def test_the_schedule_is_better_than_fixed_and_exponential_ones() -> None:
    rows = polling.rows(fast=True)
    assert [cells(row) for row in rows if row.passes is False] == []
    assert sum(row.passes is True for row in rows) == 6, "three against the peers, three of the events"
