"""The simulation of many persons uses the real rate limiter, over items that behave like DynamoDB's."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bench.studies.capacity import Measured, quotas
from bench.studies.crowd import Crowd, Items, Outcome, Simulation, day, evenly
from likeness.adapters.table.rate_limiter import LaneLimiter
from tests.aws import inventory

PER_10S = 20


def _crowd(persons: int, per_10s: int, seconds: float, clients: int = 1) -> Outcome:
    return Simulation(
        Crowd(evenly(persons, seconds), 2, clients, per_10s, lambda chance: chance.uniform(5, 20), lambda _: 10.0)
    ).run()


def test_everybody_finishes_and_crun_gets_no_more_than_allowed() -> None:
    outcome = _crowd(300, PER_10S, 600)
    assert outcome.finished == 300
    assert len(outcome.delays) == 600
    assert outcome.peak("crun") <= PER_10S
    assert outcome.refused + outcome.retried > 0, "more persons than the limit admits: some have to wait"


def test_the_transitions_are_those_of_the_documentation() -> None:
    outcome = _crowd(20, 10_000, 600)
    assert outcome.transitions == 20 * (8 + 2) + 3 * outcome.polls
    assert outcome.refused == outcome.retried == 0


def test_a_day_has_a_busy_hour() -> None:
    arrivals = day(10_000)
    busiest = sum(11.5 * 3600 <= each < 12.5 * 3600 for each in arrivals)
    assert busiest == pytest.approx(1.8 * 10_000 / 24, rel=0.1)


def test_the_items_in_memory_decide_like_dynamodb() -> None:
    """The same random calls of the real rate limiter have the same results over moto and in memory."""
    chance, now = random.Random(1), [1e9]
    memory: Any = Items()
    with inventory("table") as dynamodb:
        lanes = [LaneLimiter(each, "table", "lane", PER_10S, lambda: now[0]) for each in (dynamodb, memory)]
        for _ in range(150):
            now[0] += chance.choice([0.0, 0.05, 0.4, 3.0])
            calls, most, client = chance.randint(1, 4), chance.choice([0.0, 2.0]), chance.choice(["a", "b", None])
            one, other = (each.take(calls, most, client) for each in lanes)
            assert (one is None) == (other is None)
            assert one is None or one == pytest.approx(other, abs=0.002)


def test_the_quota_of_crun_ends_growth_first() -> None:
    ordered = quotas()
    assert [each.name.partition(",")[0] for each in ordered[:2]] == ["calls to crun"] * 2
    assert all(each.limit > 0 and each.use > 0 and each.moves and each.source for each in ordered)
    assert [each.persons for each in ordered] == sorted(each.persons for each in ordered)


def test_the_largest_difference_of_a_count_is_compared() -> None:
    assert Measured(5, 20, 5, 60).differs(Measured(5, 25, 5, 60)) == pytest.approx(0.2)
