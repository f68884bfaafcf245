"""The rate limiter: no ten seconds have more calls than allowed, and no caller starves."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from typing import Any

import pytest

from likeness.adapters.table.rate_limiter import Lane, RateLimiter
from likeness.errors import RateLimited
from tests.aws import inventory

#: Hundreds of threads in simulated time: the tests only compute.
pytestmark = pytest.mark.timeout(900)


class Time:
    """A clock that a sleep advances."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.at += seconds


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A separate table for each test, because the rate limiter has only one item."""
    with inventory("table") as client:
        yield client


def _admit(limiter: RateLimiter, times: int) -> None:
    for _ in range(times):
        limiter.admit(1)


@pytest.mark.parametrize("allowance", [1, 4, 20])
def test_no_ten_seconds_have_more_calls_than_the_allowance(dynamodb: Any, allowance: int) -> None:
    time = Time()
    limiter = RateLimiter(dynamodb, "table", allowance, Lane.INTERACTIVE, time.now, time.sleep, max_wait=1000)
    calls = []
    for index in range(60):
        limiter.admit(1)
        calls.append(time.at)
        if index == 30:
            time.at += 60  # an idle minute does not allow a larger burst
    for start in calls:
        assert sum(start <= each < start + 10 for each in calls) <= allowance


def test_a_wait_that_is_too_long_is_refused_and_uses_no_permit(dynamodb: Any) -> None:
    time = Time()
    limiter = RateLimiter(dynamodb, "table", 4, Lane.INTERACTIVE, time.now, lambda _: None, max_wait=1)
    with pytest.raises(RateLimited) as caught:
        _admit(limiter, 20)
    assert caught.value.retry_after
    time.at += 10
    limiter.admit(1)


@pytest.mark.parametrize(
    ("allowance", "batch"),
    [(20, 1), (20, 5), (20, 8), (20, 50), (1, 3)],
)
def test_batches_do_not_exceed_the_allowance(dynamodb: Any, allowance: int, batch: int) -> None:
    # A poll requests permits for all of a session's assets together, and a session may have 200.
    time = Time()
    limiter = RateLimiter(dynamodb, "table", allowance, Lane.INTERACTIVE, time.now, time.sleep, max_wait=1000)
    calls = []
    for _ in range(8):
        waiting = batch
        while waiting:
            admitted = limiter.admit(waiting)
            assert 0 < admitted <= waiting
            calls += [time.at] * admitted
            waiting -= admitted
    assert max(sum(start <= each < start + 10 for each in calls) for start in calls) <= allowance


def test_many_workers_take_turns(dynamodb: Any) -> None:
    time = Time()
    lanes = (Lane.INTERACTIVE, Lane.BACKGROUND, Lane.BACKGROUND)
    workers = [RateLimiter(dynamodb, "table", 20, lane, time.now, time.sleep, max_wait=1000) for lane in lanes]
    calls = []
    for index in range(30):
        workers[index % 3].admit(1)
        calls.append(time.at)
    assert max(sum(start <= each < start + 10 for each in calls) for start in calls) <= 20
    assert calls[-1] - calls[0] < 30 / 20 * 10 * 2, "most of the allowance is used"


class Flood:
    """A discrete-event simulation of workers: each waits for its permit without blocking the others."""

    def __init__(self, dynamodb: Any, allowance: int) -> None:
        self.dynamodb, self.allowance = dynamodb, allowance
        self.at = 1_000_000.0
        self.agenda: list[tuple[float, int, Lane]] = []
        self.calls: list[tuple[float, int, Lane]] = []
        self.refused: list[tuple[float, int, Lane]] = []

    def ask(self, at: float, number: int, lane: Lane) -> None:
        heapq.heappush(self.agenda, (at, number, lane))

    def run(self, most: float) -> None:
        """Runs until every worker got a permit. A refused worker retries after at most ``most`` seconds."""
        chance = random.Random(1)
        slept: list[float] = []
        limiters = {
            lane: RateLimiter(self.dynamodb, "table", self.allowance, lane, lambda: self.at, slept.append, max_wait=5)
            for lane in Lane
        }
        while self.agenda:
            self.at, number, lane = heapq.heappop(self.agenda)
            try:
                limiters[lane].admit(1)
                self.calls.append((self.at + slept.pop(), number, lane))
            except RateLimited:
                self.refused.append((self.at, number, lane))
                # With jitter, like the state machine's Retry.
                self.ask(self.at + chance.uniform(0, most), number, lane)


@pytest.mark.parametrize("submissions", [80, pytest.param(200, marks=pytest.mark.nightly)])
def test_concurrent_submissions_stay_within_the_allowance_and_all_succeed(dynamodb: Any, submissions: int) -> None:
    flood = Flood(dynamodb, 20)
    for number in range(submissions):
        flood.ask(1_000_000 + number / 1000, number, Lane.BACKGROUND)
    flood.run(most=15)
    times = [at for at, _, _ in flood.calls]
    assert sorted(number for _, number, _ in flood.calls) == list(range(submissions))
    assert max(sum(start <= each < start + 10 for each in times) for start in times) <= 20
    assert max(times) - min(times) < submissions / 20 * 10 * 1.7, "one lane uses the other's idle permits"


def test_a_person_is_served_immediately_during_a_flood_of_workflows(dynamodb: Any) -> None:
    flood = Flood(dynamodb, 20)
    for number in range(90):
        flood.ask(1_000_000 + number / 1000, number, Lane.BACKGROUND)
    people = {1000 + second: 1_000_000.0 + 5 * second for second in range(8)}
    for number, at in people.items():
        flood.ask(at, number, Lane.INTERACTIVE)
    flood.run(most=15)
    waited = {number: at - people[number] for at, number, lane in flood.calls if lane is Lane.INTERACTIVE}
    assert set(waited) == set(people)
    assert not [each for each in flood.refused if each[2] is Lane.INTERACTIVE], "no person is refused"
    times = [at for at, _, _ in flood.calls]
    assert max(sum(start <= each < start + 10 for each in times) for start in times) <= 20


@pytest.mark.slow
def test_no_workflow_starves_during_a_flood_of_people(dynamodb: Any) -> None:
    flood = Flood(dynamodb, 20)
    for number in range(160):
        flood.ask(1_000_000 + number / 10, number, Lane.INTERACTIVE)
    for number in range(10):
        flood.ask(1_000_005 + number, 1000 + number, Lane.BACKGROUND)
    flood.run(most=12)
    served = [at for at, _, lane in flood.calls if lane is Lane.BACKGROUND]
    assert len(served) == 10
    people = [at for at, _, lane in flood.calls if lane is Lane.INTERACTIVE]
    assert sum(at > max(served) for at in people) > 50, "workflows are served while the flood lasts"


def test_one_client_leaves_a_quarter_for_the_others(dynamodb: Any) -> None:
    time = Time()
    limiter = RateLimiter(dynamodb, "table", 20, Lane.INTERACTIVE, time.now, time.sleep, max_wait=1000)
    calls = []
    for _ in range(60):
        limiter.admit(1, "greedy")
        calls.append(time.at)
    assert max(sum(start <= each < start + 10 for each in calls) for start in calls) <= 15
    before = time.at
    limiter.admit(1, "modest")
    assert time.at == before, "another client does not wait"


def test_a_client_over_its_limit_gets_retry_after_and_uses_no_permits_of_the_others(dynamodb: Any) -> None:
    time = Time()
    limiter = RateLimiter(dynamodb, "table", 20, Lane.INTERACTIVE, time.now, lambda _: None, max_wait=3)
    for _ in range(5):  # the bursts of both lanes, and waits of up to three seconds
        limiter.admit(1, "greedy")
    with pytest.raises(RateLimited) as caught:
        limiter.admit(1, "greedy")
    assert caught.value.retry_after == 3
    before = _lane_item(dynamodb)
    with pytest.raises(RateLimited):
        limiter.admit(1, "greedy")
    assert _lane_item(dynamodb) == before, "a refused call uses no permit of either bucket"


def test_a_permit_of_a_client_costs_one_write(dynamodb: Any) -> None:
    time = Time()
    limiter = RateLimiter(dynamodb, "table", 20, Lane.INTERACTIVE, time.now, time.sleep, max_wait=1000)
    written: list[str] = []
    dynamodb.meta.events.register("before-call.dynamodb", lambda model, **_: written.append(model.name))
    for _ in range(3):
        limiter.admit(1, "acme")
        time.at += 5
    assert written == ["UpdateItem"] * 3


def _lane_item(dynamodb: Any) -> Any:
    key = {"pk": {"S": "GOVERNOR"}, "sk": {"S": "crun#interactive"}}
    return dynamodb.get_item(TableName="table", Key=key)["Item"]


class Clients:
    """A simulation of several clients with different call patterns, through the rate limiters of both lanes."""

    def __init__(self, dynamodb: Any, allowance: int) -> None:
        self.at = 1_000_000.0
        self.calls: list[tuple[float, str]] = []
        self.asked: dict[str, int] = {}
        self.agenda: list[tuple[float, int, str, Lane, int]] = []
        self._slept: list[float] = []
        self._limiters = {
            lane: RateLimiter(dynamodb, "table", allowance, lane, lambda: self.at, self._slept.append, max_wait=5)
            for lane in Lane
        }

    def ask(self, after: float, client: str, lane: Lane, calls: int = 1) -> None:
        heapq.heappush(self.agenda, (1_000_000 + after, len(self.agenda), client, lane, calls))

    def run(self) -> None:
        """Makes one call at each of the scheduled times. A refused call is not repeated."""
        while self.agenda:
            self.at, _, client, lane, calls = heapq.heappop(self.agenda)
            self.asked[client] = self.asked.get(client, 0) + 1
            try:
                admitted = self._limiters[lane].admit(calls, client)
                self.calls += [(self.at + self._slept.pop(), client)] * admitted
            except RateLimited:
                pass

    def served(self, client: str) -> int:
        return sum(name == client for _, name in self.calls)

    def most_in_ten_seconds(self, client: str = "") -> int:
        times = [at for at, name in self.calls if client in ("", name)]
        return max(sum(start <= each < start + 10 for each in times) for start in times)


def test_another_client_gets_its_links_during_a_flood_of_asset_upload(dynamodb: Any) -> None:
    # Each asset-upload calls in the interactive lane, and the work that it leaves polls in the background lane.
    clients = Clients(dynamodb, 20)
    for tick in range(60 * 5):
        clients.ask(tick / 5, "flood", Lane.INTERACTIVE)
        clients.ask(tick / 5 + 0.01, "flood", Lane.BACKGROUND)
    for link in range(60):
        clients.ask(link + 0.5, "modest", Lane.INTERACTIVE)
    clients.run()
    assert clients.asked["modest"] == 60
    assert clients.served("modest") >= 15
    assert clients.served("modest") >= len(clients.calls) / 4
    assert clients.most_in_ten_seconds("flood") <= 15
    assert clients.most_in_ten_seconds() <= 20
    assert clients.served("flood") > 40, "the flood also gets its share"


def test_polls_and_look_ups_of_one_client_leave_a_quarter_for_another(dynamodb: Any) -> None:
    clients = Clients(dynamodb, 20)
    for tick in range(60 * 2):
        clients.ask(tick / 2, "polls", Lane.BACKGROUND, calls=8)  # polls of many files
    for second in range(60):
        clients.ask(second + 0.1, "modest", Lane.BACKGROUND)
    clients.run()
    assert clients.served("modest") >= len(clients.calls) / 4
    assert clients.most_in_ten_seconds("polls") <= 15
    assert clients.most_in_ten_seconds() <= 20


@pytest.mark.parametrize("allowance", [1, 2, 4, 20, 1000])
def test_a_batch_of_a_client_is_at_most_the_burst_of_its_bucket(dynamodb: Any, allowance: int) -> None:
    time = Time()
    limiter = RateLimiter(dynamodb, "table", allowance, Lane.BACKGROUND, time.now, time.sleep, max_wait=1000)
    calls: list[float] = []
    for _ in range(6):
        waiting = 8
        while waiting:
            admitted = limiter.admit(waiting, "acme")
            assert 0 < admitted <= waiting
            calls += [time.at] * admitted
            waiting -= admitted
    most = max(sum(start <= each < start + 10 for each in calls) for start in calls)
    assert most <= max(allowance * 3 // 4, 1) + (allowance == 2)  # two lanes with one call each cannot be shared
