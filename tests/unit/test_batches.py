"""The consumer of a queue handles each message independently of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from likeness.contracts.messages import AssetsReady, Message, read_message
from likeness.domain.metrics import Metric
from likeness.errors import StorageUnavailable
from likeness.runtime import metrics
from likeness.runtime.batches import UNEXPECTED_TRIES, QueueConsumer
from tests.unit.fakes import FakeQueue

SESSIONS = [f"ses_01ARZ3NDEKTSV4RRFFQ69G5FA{letter}" for letter in "VWX"]
BODIES = [AssetsReady(each).to_json() for each in SESSIONS]


@dataclass
class Source(FakeQueue):
    """The consumed queue. Records which message was delayed, and by how many seconds."""

    hidden: list[tuple[str, int]] = field(default_factory=list)

    def hide(self, receipt_handle: str, seconds: int) -> None:
        self.hidden.append((receipt_handle, seconds))


class Unreachable(FakeQueue):
    """A queue that is unavailable."""

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        raise StorageUnavailable


@pytest.fixture(autouse=True)
def no_metrics_remain() -> Any:
    yield
    metrics._measured.clear()


def batch(*bodies: str, received: int = 1) -> Any:
    attributes = {"ApproximateReceiveCount": str(received)}
    return {
        "Records": [
            {"messageId": str(place), "receiptHandle": f"handle {place}", "body": body, "attributes": attributes}
            for place, body in enumerate(bodies)
        ]
    }


def consumer(dead_letters: FakeQueue, queue: Source | None = None) -> QueueConsumer[Message]:
    return QueueConsumer(read_message, dead_letters, Metric.ONBOARDING_MESSAGE_SECONDS, queue=queue)


def failed(answer: Any) -> list[str]:
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


@pytest.mark.parametrize("error", [StorageUnavailable(), RuntimeError()])
def test_only_the_failed_message_is_redelivered(error: Exception) -> None:
    handled, dead_letters = [], FakeQueue()

    def handle(message: Message, tried: int) -> None:
        if message.session_id == SESSIONS[1]:
            raise error
        handled.append((message.session_id, tried))

    assert failed(consumer(dead_letters).consume(batch(*BODIES, received=2), handle)) == ["1"]
    assert handled == [(SESSIONS[0], 2), (SESSIONS[2], 2)]
    assert dead_letters.sent == []


def test_the_delay_comes_from_the_handler_or_the_failure() -> None:
    source = Source()

    def handle(message: Message, tried: int) -> int | None:
        if message.session_id == SESSIONS[0]:
            raise StorageUnavailable
        return 7 if message.session_id == SESSIONS[1] else None

    answer = consumer(FakeQueue(), source).consume(batch(*BODIES), handle, lambda _, tried: 60 * tried)
    assert failed(answer) == ["0", "1"]
    assert source.hidden == [("handle 0", 60), ("handle 1", 7)]


@pytest.mark.parametrize("received", [1, UNEXPECTED_TRIES])
def test_an_unexpected_error_is_retried_twice_and_an_expected_one_until_the_queue_gives_up(received: int) -> None:
    def handle(message: Message, tried: int) -> None:
        raise RuntimeError if message.session_id == SESSIONS[0] else StorageUnavailable

    dead_letters = FakeQueue()
    last = received == UNEXPECTED_TRIES
    answer = consumer(dead_letters).consume(batch(*BODIES[:2], received=received), handle)
    assert failed(answer) == (["1"] if last else ["0", "1"])
    assert dead_letters.sent == ([(BODIES[0], 0)] if last else [])


def test_a_message_is_redelivered_alone_while_the_dead_letter_queue_is_unavailable() -> None:
    handled: list[str] = []
    answer = consumer(Unreachable()).consume(batch("{", *BODIES), lambda message, _: handled.append(message.session_id))
    assert failed(answer) == ["0"]
    assert handled == SESSIONS
