"""The rate governor: no ten seconds with more calls than allowed, and nobody starves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from likeness.adapters.dynamodb import Governor
from likeness.errors import RateLimited
from tests.aws import inventory


class Time:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.at += seconds


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A table of its own for each test: they share the one item of the governor."""
    with inventory("table") as client:
        yield client


def _admit(governor: Governor, times: int) -> None:
    for _ in range(times):
        governor.admit(1)


@pytest.mark.parametrize("allowance", [1, 4, 20])
def test_no_ten_seconds_see_more_than_the_allowance(dynamodb: Any, allowance: int) -> None:
    time = Time()
    governor = Governor(dynamodb, "table", allowance, time.now, time.sleep, max_wait=1000)
    calls = []
    for index in range(60):
        governor.admit(1)
        calls.append(time.at)
        if index == 30:
            time.at += 60  # a quiet minute does not save up a larger burst
    for start in calls:
        assert sum(start <= each < start + 10 for each in calls) <= allowance


def test_who_would_wait_too_long_is_told_so_and_takes_no_place(dynamodb: Any) -> None:
    time = Time()
    governor = Governor(dynamodb, "table", 4, time.now, lambda _: None, max_wait=1)
    with pytest.raises(RateLimited) as caught:
        _admit(governor, 20)
    assert caught.value.retry_after
    time.at += 10
    governor.admit(1)


@pytest.mark.parametrize(
    ("allowance", "batch"),
    [(20, 1), (20, 5), (20, 8), (20, 50), (1, 3)],
)
def test_batches_keep_to_the_allowance_too(dynamodb: Any, allowance: int, batch: int) -> None:
    # A poll round asks for all of a session's assets in one admission, and a session may hold 200.
    time = Time()
    governor = Governor(dynamodb, "table", allowance, time.now, time.sleep, max_wait=1000)
    calls = []
    for _ in range(8):
        waiting = batch
        while waiting:
            admitted = governor.admit(waiting)
            assert 0 < admitted <= waiting
            calls += [time.at] * admitted
            waiting -= admitted
    assert max(sum(start <= each < start + 10 for each in calls) for start in calls) <= allowance


def test_many_workers_take_turns(dynamodb: Any) -> None:
    time = Time()
    workers = [Governor(dynamodb, "table", 4, time.now, time.sleep, max_wait=1000) for _ in range(3)]
    calls = []
    for index in range(30):
        workers[index % 3].admit(1)
        calls.append(time.at)
    assert max(sum(start <= each < start + 10 for each in calls) for start in calls) <= 4
    assert calls[-1] - calls[0] < 30 / 3 * 10 + 1, "three quarters of the allowance are really given out"
