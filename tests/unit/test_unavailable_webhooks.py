"""Unavailable webhook endpoints: waiting deliveries, the one that keeps trying, and the resumption.

The last tests simulate the queue, its hundred concurrent runs and the receivers.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from likeness.adapters.http.webhook_post import TOTAL_SECONDS
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.stream import read_change
from likeness.adapters.table.webhooks import DynamoWebhooks, waiting_partition, webhook_item
from likeness.contracts.webhooks import (
    TEST_EVENT,
    Delivery,
    Resumption,
    WebhookEvent,
    WebhookMessage,
    read_webhook_message,
)
from likeness.domain.webhooks import (
    ALONE_AFTER_SECONDS,
    ALONE_SECONDS,
    PAUSE_AFTER_SECONDS,
    WAITING_SECONDS,
    Endpoint,
    Retries,
    WebhookAnswer,
    new_secret,
)
from likeness.errors import StorageUnavailable
from likeness.ports.notifications import Webhooks
from likeness.steps.notifications.send_webhooks import RESUMPTION_SECONDS, Outcome, SendWebhooks
from tests.aws import inventory
from tests.template_file import RESOURCES, TEMPLATE
from tests.unit.fakes import FakeClock, FakeQueue, FakeWebhookPost, FakeWebhooks, NoCallbacks

NOW = 1_800_000_000.0
RETRIES = Retries.of(
    TEMPLATE["Parameters"]["WebhookRetrySeconds"]["Default"], TEMPLATE["Parameters"]["WebhookTries"]["Default"]
)
SECRET = new_secret(bytes(32))
PAUSED = {"failing_since": NOW - PAUSE_AFTER_SECONDS, "paused_at": NOW - 60, "probe": "evt_0"}
FAILING = {"failing_since": NOW - ALONE_AFTER_SECONDS}
RESUME = Resumption("whe_1", "acme", "evt_0")


def endpoint(number: int = 1, client_id: str = "acme", **changes: Any) -> Endpoint:
    return Endpoint(client_id, f"whe_{number}", f"https://hooks.example/{client_id}/{number}", SECRET, NOW, **changes)


def event(number: int = 0, client_id: str = "acme", event_type: str = "likeness.asset.active") -> WebhookEvent:
    """Returns an event. Its number determines its time."""
    data = {"version": "1", "time": f"2027-01-15T{number:012}Z", "client_id": client_id, "status": "active"}
    return WebhookEvent(event_type, data | {"id": f"evt_{number}"})


class Sending:
    """The step with fakes, for one endpoint. Its clock is fixed at NOW, and it has no jitter."""

    def __init__(self, **changes: Any) -> None:
        self.webhooks, self.queue, self.post, self.clock = (
            FakeWebhooks(),
            FakeQueue(),
            FakeWebhookPost(),
            FakeClock(NOW),
        )
        self.webhooks.add(endpoint(**changes))
        self.step = SendWebhooks(self.webhooks, self.queue, self.post, self.clock, RETRIES, lambda: 0.0, NoCallbacks())

    def deliver(self, number: int = 0, tried: int = 1) -> Outcome:
        return self.step(Delivery("whe_1", event(number)), tried)

    def answers(self, *statuses: int) -> None:
        self.post.answers = deque(WebhookAnswer(each) for each in statuses)

    def wait(self, *numbers: int) -> None:
        for each in numbers:
            self.webhooks.keep(self.now, event(each).waiting, NOW)

    @property
    def now(self) -> Endpoint:
        return self.webhooks.endpoints["acme", "whe_1"]

    @property
    def posted(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.post.posted]

    @property
    def waiting(self) -> list[str]:
        return [each.event_id for each in self.webhooks.waiting(self.now, 1000)]

    @property
    def sent(self) -> list[WebhookMessage]:
        return [read_webhook_message(body) for body, _ in self.queue.sent]


# -- an endpoint that fails ----------------------------------------------------------------------------------------


def test_an_endpoint_fails_since_the_start_of_the_first_failed_try() -> None:
    sending = Sending()
    sending.answers(500, 500)
    sending.deliver(1)
    sending.clock.at += 5
    assert sending.deliver(2) == Outcome("not_accepted", 5, 500)
    assert sending.now == endpoint(failing_since=NOW, last_failure="500")


def test_a_delivery_waits_without_a_request_while_another_one_is_tried() -> None:
    sending = Sending(**FAILING, trying_until=NOW + 1)
    assert sending.deliver(1) == Outcome("waiting")
    assert (sending.posted, sending.waiting) == ([], ["evt_1"])


def test_one_delivery_at_a_time_is_tried_and_the_next_one_after_its_failure() -> None:
    sending = Sending(**FAILING)
    sending.answers(500)
    assert sending.deliver(1).word == "not_accepted"
    assert sending.deliver(2).word == "delivered"


def test_a_crashed_try_blocks_the_endpoint_only_for_a_limited_time() -> None:
    sending = Sending(**FAILING)
    assert sending.webhooks.try_alone(sending.now, NOW)
    assert sending.deliver(1) == Outcome("waiting")
    sending.clock.at += ALONE_SECONDS
    assert sending.deliver(2).word == "delivered"
    assert ALONE_SECONDS > TOTAL_SECONDS


def test_an_endpoint_that_has_just_started_to_fail_is_tried_by_all() -> None:
    sending = Sending(failing_since=NOW - ALONE_AFTER_SECONDS + 1, trying_until=NOW + 1)
    assert sending.deliver(1).word == "delivered"


def test_an_accepted_delivery_ends_the_failure_and_sends_the_waiting_ones() -> None:
    sending = Sending(**FAILING)
    sending.wait(3)
    assert sending.deliver(7) == Outcome("delivered", status=204)
    assert sending.now == endpoint(resumption="evt_7")
    assert sending.sent == [Resumption("whe_1", "acme", "evt_7")]


def test_without_waiting_deliveries_nothing_is_sent() -> None:
    sending = Sending(**FAILING)
    sending.deliver(7)
    assert (sending.now, sending.sent) == (endpoint(resumption="evt_7"), [])


def test_a_run_that_crashes_before_it_sends_its_resumption_sends_it_the_next_time() -> None:
    sending = Sending(resumption="evt_7")
    sending.wait(3)
    assert sending.deliver(8).word == "delivered"
    assert sending.sent == []
    sending.deliver(7, tried=2)
    assert sending.sent == [Resumption("whe_1", "acme", "evt_7")]


def test_a_delivery_that_starts_to_wait_during_the_recovery_is_delivered() -> None:
    class Recovering(FakeWebhooks):
        def keep(self, *arguments: Any) -> None:
            super().keep(*arguments)
            self.resume(sending.now, "evt_0")  # and the resumption finds no deliveries

    sending = Sending(**PAUSED)
    recovering = Recovering(sending.webhooks.endpoints)
    sending.step = replace(sending.step, webhooks=recovering)
    assert sending.deliver(1) == Outcome("delivered", status=204)
    assert recovering.waiting(sending.now, 9) == []


# -- an endpoint that is paused -----------------------------------------------------------------------------------


def test_an_endpoint_that_fails_for_hours_is_paused_and_one_delivery_keeps_trying() -> None:
    sending = Sending(failing_since=NOW - PAUSE_AFTER_SECONDS + 60)
    sending.answers(500, 500, 500)
    assert sending.deliver(1, 5) == Outcome("not_accepted", 18_000, 500)
    sending.clock.at += 60
    assert sending.deliver(2, 5) == Outcome("not_accepted", 18_000, 500, paused=True)
    assert (sending.now.paused_at, sending.now.probe) == (NOW + 60, "evt_2")
    assert sending.deliver(1, 6) == Outcome("waiting", paused=True)
    assert sending.deliver(3) == Outcome("waiting", paused=True)
    assert sending.deliver(2, 6) == Outcome("not_accepted", 36_000, 500, paused=True)
    assert sending.posted == ["evt_1", "evt_2", "evt_2"]
    assert sending.deliver(2, 7) == Outcome("delivered", status=204)
    assert sending.now == endpoint(resumption="evt_2")
    assert sending.waiting == ["evt_1", "evt_3"]


def test_only_one_of_two_deliveries_that_pause_an_endpoint_keeps_trying() -> None:
    sending = Sending(failing_since=NOW - PAUSE_AFTER_SECONDS)
    assert sending.webhooks.pause(sending.now, NOW - PAUSE_AFTER_SECONDS, "evt_1", NOW, "503")
    assert not sending.webhooks.pause(sending.now, NOW - PAUSE_AFTER_SECONDS, "evt_2", NOW, "503")
    assert sending.now.probe == "evt_1"


def test_the_delivery_that_kept_trying_waits_with_the_others_after_its_last_try() -> None:
    sending = Sending(**PAUSED)
    sending.answers(500)
    assert sending.deliver(0, RETRIES.tries) == Outcome("waiting", None, 500, paused=True)
    assert sending.waiting == ["evt_0"]


def test_a_test_delivery_is_sent_to_a_paused_endpoint_and_resumes_it() -> None:
    sending = Sending(**PAUSED)
    test = Delivery("whe_1", event(9, event_type=TEST_EVENT))
    sending.answers(500)
    assert sending.step(test, RETRIES.tries) == Outcome("not_accepted", 0, 500, paused=True)
    assert sending.step(test, 1).word == "delivered"
    assert (sending.waiting, sending.now.paused_at) == ([], None)


def test_a_paused_endpoint_that_returns_410_is_disabled() -> None:
    sending = Sending(**PAUSED)
    sending.answers(410)
    assert sending.deliver(0) == Outcome("disabled", status=410)
    assert sending.step(RESUME, 1) == Outcome("disabled")


# -- resumptions ---------------------------------------------------------------------------------------------------


def test_waiting_deliveries_are_sent_oldest_first_with_their_original_bytes() -> None:
    sending = Sending(resumption="evt_0")
    sending.wait(3, 1, 2)
    outcome = sending.step(RESUME, 1)
    assert (outcome.word, [each.id for each in outcome.accepted]) == ("resumed", ["evt_1", "evt_2", "evt_3"])
    assert [body for _, _, body in sending.post.posted] == [event(each).body for each in (1, 2, 3)]
    assert sending.waiting == []


def test_an_interrupted_run_repeats_its_current_delivery() -> None:
    class Dying(FakeWebhooks):
        def forget(self, *arguments: Any) -> None:
            if len(sending.posted) == 2:
                raise StorageUnavailable
            super().forget(*arguments)

    sending = Sending(resumption="evt_0")
    sending.wait(1, 2, 3)
    dying = Dying(sending.webhooks.endpoints, kept=sending.webhooks.kept)
    with pytest.raises(StorageUnavailable):
        replace(sending.step, webhooks=dying)(RESUME, 1)
    assert sending.waiting == ["evt_2", "evt_3"]
    assert sending.step(RESUME, 2).word == "resumed"
    assert sending.posted == ["evt_1", "evt_2", "evt_2", "evt_3"]


def test_a_resumption_is_bounded_and_continues_in_a_new_message() -> None:
    sending = Sending(resumption="evt_0")
    sending.wait(*range(1, 40))

    def slow(url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        sending.clock.at += 1
        return WebhookAnswer(204)

    step = replace(sending.step, post=slow)
    assert step(RESUME, 1).word == "resuming"
    assert len(sending.waiting) == 39 - RESUMPTION_SECONDS
    assert sending.sent == [RESUME]


def test_a_later_resumption_replaces_an_earlier_one() -> None:
    sending = Sending(resumption="evt_5")
    sending.wait(1)
    assert sending.step(RESUME, 1) == Outcome("superseded")
    assert (sending.posted, sending.waiting) == ([], ["evt_1"])


def test_a_failed_resumption_is_retried_with_the_same_schedule() -> None:
    sending = Sending(resumption="evt_0")
    sending.wait(1, 2)
    sending.answers(204, 500)
    outcome = sending.step(RESUME, 1)
    assert (outcome.word, outcome.pause, outcome.status) == ("not_accepted", 5, 500)
    assert [each.id for each in outcome.accepted] == ["evt_1"]
    assert (sending.waiting, sending.now.failing_since) == (["evt_2"], NOW)
    assert sending.step(RESUME, 2).word == "resumed"
    assert sending.now == endpoint(resumption="evt_0")


def test_after_the_last_try_of_a_resumption_the_endpoint_is_paused_and_deliveries_wait() -> None:
    sending = Sending(resumption="evt_0", failing_since=NOW - 60)
    sending.wait(1)
    sending.answers(500)
    outcome = sending.step(RESUME, RETRIES.tries)
    assert (outcome.pause, outcome.paused) == (None, True)
    assert (sending.waiting, sending.now.paused_at) == (["evt_1"], NOW)


# -- messages and storage ------------------------------------------------------------------------------------------


def test_a_resumption_is_read_back_unchanged() -> None:
    assert read_webhook_message(RESUME.to_json()) == RESUME


@pytest.mark.parametrize("field_", ["endpoint_id", "client_id", "resumption"])
@pytest.mark.parametrize("value", ["7", '""', "null", "[]"])
def test_an_incomplete_resumption_is_refused(field_: str, value: str) -> None:
    fields = {"endpoint_id": '"whe_1"', "client_id": '"acme"', "resumption": '"evt_0"', field_: value}
    body = "{" + ",".join(f'"{name}":{each}' for name, each in fields.items()) + "}"
    with pytest.raises(ValueError, match=field_):
        read_webhook_message(body)


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with inventory("Table") as client:
        client.put_item(TableName="Table", Item=webhook_item(endpoint()))
        yield client


def test_the_table_stores_the_failure_of_an_endpoint(dynamodb: Any) -> None:
    webhooks: Webhooks = DynamoWebhooks(dynamodb, "Table")

    def now() -> Endpoint:
        found = webhooks.find("acme", "whe_1")
        assert found is not None
        return found

    webhooks.failed(now(), NOW + 0.25, "503")
    webhooks.failed(now(), NOW + 9, "timeout")
    assert now() == endpoint(failing_since=NOW + 0.25, last_failure="timeout")
    assert [webhooks.try_alone(now(), NOW + each) for each in (20, 21, 20 + ALONE_SECONDS)] == [True, False, True]
    webhooks.failed(now(), NOW + 60, "503")
    assert now().trying_until is None
    assert not webhooks.pause(now(), NOW, "evt_1", NOW + 99, "503"), "it has recovered and failed again since"
    assert [webhooks.pause(now(), NOW + 0.25, each, NOW + 99, "503") for each in ("evt_1", "evt_2")] == [True, False]
    paused = endpoint(failing_since=NOW + 0.25, paused_at=NOW + 99, probe="evt_1", last_failure="503")
    assert now() == paused
    webhooks.resume(paused, "evt_1")
    assert now() == endpoint(resumption="evt_1")
    assert webhooks.pause(now(), NOW + 200, "evt_1", NOW + 200, "503"), "also without a recorded failure"


def test_a_failure_of_a_removed_endpoint_creates_no_item(dynamodb: Any) -> None:
    webhooks, removed = DynamoWebhooks(dynamodb, "Table"), endpoint(2)
    webhooks.failed(removed, NOW, "503")
    webhooks.resume(removed, "evt_1")
    assert not webhooks.try_alone(removed, NOW)
    assert not webhooks.pause(removed, NOW, "evt_1", NOW, "503")
    assert webhooks.find("acme", "whe_2") is None


def test_a_waiting_delivery_is_kept_for_fourteen_days_with_only_an_id_a_time_and_the_body(dynamodb: Any) -> None:
    webhooks = DynamoWebhooks(dynamodb, "Table")
    for each in (2, 1, 2):
        webhooks.keep(endpoint(), event(each).waiting, NOW)
    webhooks.keep(endpoint(2), event(3).waiting, NOW)
    assert webhooks.waiting(endpoint(), 9) == [event(1).waiting, event(2).waiting]
    assert webhooks.waiting(endpoint(), 1) == [event(1).waiting]
    items = dynamodb.query(
        TableName="Table",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": waiting_partition("whe_1")}},
    )["Items"]
    assert [set(each) for each in items] == [{"pk", "sk", "body", "ttl"}] * 2
    assert items[0]["body"]["S"] == event(1).body
    assert {each["ttl"]["N"] for each in items} == {str(int(NOW) + WAITING_SECONDS)}
    assert str(WAITING_SECONDS) == str(RESOURCES["WebhookQueue"]["Properties"]["MessageRetentionPeriod"])
    assert RESOURCES["Table"]["Properties"]["TimeToLiveSpecification"]["AttributeName"] == "ttl"
    webhooks.forget(endpoint(), event(1).waiting)
    webhooks.forget(endpoint(), event(1).waiting)
    assert webhooks.waiting(endpoint(), 9) == [event(2).waiting]


def test_a_waiting_delivery_is_not_published_or_listed(dynamodb: Any) -> None:
    DynamoWebhooks(dynamodb, "Table").keep(endpoint(), event(1).waiting, NOW)
    (item,) = [each for each in dynamodb.scan(TableName="Table")["Items"] if "body" in each]
    written = {"Keys": {name: item[name] for name in ("pk", "sk")}, "NewImage": item, "SequenceNumber": "1"}
    assert read_change({"dynamodb": written}) is None
    assert not item["sk"]["S"].startswith(("SESSION", "ASSET#")), "the template's filter passes only these"
    store = DynamoStore(dynamodb, "Table")
    assert store.list_sessions("acme", limit=10, cursor=None).sessions == []


# -- the queue in simulated time -----------------------------------------------------------------------------------


@dataclass(order=True)
class _Due:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)


class Simulation:
    """Simulates the queue, the runs that Lambda starts for it, and receivers, with one active thread at a time.

    A run takes 20 ms plus its request. ``receivers`` has by URL the seconds and the status of a receiver's response.
    """

    def __init__(self, *endpoints: Endpoint) -> None:
        self.webhooks, self.clock, self.receivers = (
            FakeWebhooks(),
            FakeClock(NOW),
            dict[str, tuple[float, int | None]](),
        )
        self.webhooks.add(*endpoints)
        self.step = SendWebhooks(self.webhooks, self, self._post, self.clock, RETRIES, lambda: 0.0, NoCallbacks())
        self.accepted: list[tuple[float, str, str]] = []
        self.hidden = 0
        self._most, self._running = int(TEMPLATE["Parameters"]["BackgroundConcurrency"]["Default"]), 0
        self._visible: deque[tuple[str, int]] = deque()
        self._due: list[_Due] = []
        self._numbers, self._idle = itertools.count(), threading.Semaphore(0)

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        self._visible.append((body, 1))

    def announce(self, each: WebhookEvent, at: float) -> None:
        """Sends an event to the queue ``at`` seconds after NOW."""
        body = json.dumps({"detail-type": each.type, "detail": dict(each.data)})
        self._later(at, lambda: self.send(body))

    def until(self, end: float) -> None:
        """Advances the time to ``end`` seconds after NOW, and then waits for the started runs."""
        with ThreadPoolExecutor(self._most) as pool:
            while self._running or (self._due and self._due[0].at <= NOW + end):
                due = heapq.heappop(self._due)
                self.clock.at = due.at
                due.act()
                while self._visible and self._running < self._most and self.clock.at <= NOW + end:
                    self._running += 1
                    pool.submit(self._run, *self._visible.popleft())
                    self._idle.acquire()

    def _run(self, body: str, received: int) -> None:
        self._sleep(0.02)
        outcome = self.step(read_webhook_message(body), received)
        self._running -= 1
        if outcome.pause is not None and received < RETRIES.tries:
            self.hidden += 1
            self._later(self.clock.at - NOW + outcome.pause, lambda: self._back(body, received + 1))
        self._idle.release()

    def _back(self, body: str, received: int) -> None:
        self.hidden -= 1
        self._visible.append((body, received))

    def _post(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        seconds, status = self.receivers[url]
        self._sleep(seconds)
        answer = WebhookAnswer(status, problem=None if status else "timeout")
        if answer.accepted:
            self.accepted.append((self.clock.at - NOW, url, headers["webhook-id"]))
        return answer

    def _sleep(self, seconds: float) -> None:
        """Suspends this thread for ``seconds`` of simulated time."""
        mine = threading.Semaphore(0)

        def wake() -> None:
            mine.release()
            self._idle.acquire()

        self._later(self.clock.at - NOW + seconds, wake)
        self._idle.release()
        mine.acquire()

    def _later(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, _Due(NOW + at, next(self._numbers), act))


def seconds_to_accept(played: Simulation, announced: Mapping[str, float], url: str) -> list[float]:
    found = {event_id: at for at, where, event_id in reversed(played.accepted) if where == url}
    return [found.get(event_id, math.inf) - at for event_id, at in announced.items()]


def test_hanging_endpoints_of_one_client_delay_another_clients_deliveries_only_by_seconds() -> None:
    hanging, good = [endpoint(each) for each in range(10)], endpoint(1, "other")
    played = Simulation(*hanging, good)
    played.receivers = {each.url: (TOTAL_SECONDS, None) for each in hanging} | {good.url: (0.1, 204)}
    for number in range(200):  # a burst, then one per second
        played.announce(event(number), at=max(0, number - 100))
    announced = {f"evt_{at + 1000}": float(at) for at in range(0, 100, 5)}
    for at in range(0, 100, 5):
        played.announce(event(at + 1000, "other"), at=at)
    played.until(120)
    delays = seconds_to_accept(played, announced, good.url)
    assert max(delays) < 2 * TOTAL_SECONDS, "until the first tries have failed, the failure is unknown"
    assert max(delays[6:]) < 1, "afterwards"
    assert sum(map(len, played.webhooks.kept.values())) + played.hidden == 200 * 10, "nothing is lost"
    assert played.hidden < 200, "most of it is not in the queue"


def test_an_endpoint_that_is_down_for_hours_fills_no_queue_and_misses_nothing() -> None:
    dead, count, seconds = endpoint(), 800, 20
    played = Simulation(dead)
    played.receivers = {dead.url: (0.05, 503)}
    for number in range(count):
        played.announce(event(number), at=number * seconds)
    played.until(PAUSE_AFTER_SECONDS + 60)
    before = played.hidden
    played.until(count * seconds)
    (found,) = played.webhooks.of("acme")
    assert found.paused_at is not None
    assert played.hidden < before, "later deliveries wait in the table"
    played.receivers = {dead.url: (0.05, 204)}
    played.until(86_400)
    probe, *waited = [int(event_id.removeprefix("evt_")) for _, _, event_id in played.accepted]
    assert waited == [each for each in range(count) if each != probe], "once each, oldest first"
    assert (played.hidden, played.webhooks.kept) == (0, {"whe_1": []})
