"""Batches of SQS messages and of stream records: each item is handled separately, and only failed ones are retried."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from likeness.domain.metrics import Metric
from likeness.errors import LikenessError
from likeness.ports.system import Queue
from likeness.runtime.logging import logger, report, report_unexpected
from likeness.runtime.metrics import measure_age

if TYPE_CHECKING:
    from likeness.runtime.invocations import BatchAnswer, QueueEvent, QueueMessage, StreamEvent, WriteRecord

#: The number of receives after which an unexpected error moves a message to the dead-letter queue.
UNEXPECTED_TRIES = 3


class HasIds(Protocol):
    """A message with ids for its log lines."""

    @property
    def ids(self) -> Mapping[str, str]:
        """The ids for every log line about the message."""
        ...


class DelayingQueue(Queue, Protocol):
    """A queue that can delay a message that was received from it."""

    def hide(self, receipt_handle: str, seconds: int) -> None:
        """Hides the message for ``seconds``. Raises LikenessError when the request to SQS fails."""
        ...


MessageT = TypeVar("MessageT", bound=HasIds)
ChangeT = TypeVar("ChangeT")


@dataclass(frozen=True, slots=True)
class QueueConsumer(Generic[MessageT]):
    """Consumes an SQS queue.

    ``read`` parses a body. It raises ValueError for an invalid one, which becomes a dead letter. ``age`` is the metric
    of the seconds that a message has been in the queue: with ``first_receive_only``, only at its first receive, for
    queues with intended delays before later tries. ``queue`` delays the next try of a message; without it, the queue's
    visibility timeout applies.
    """

    read: Callable[[str], MessageT]
    dead_letters: Queue
    age: Metric
    first_receive_only: bool = False
    queue: DelayingQueue | None = None

    def consume(
        self,
        event: QueueEvent,
        handle: Callable[[MessageT, int], int | None],
        delay_of_failure: Callable[[MessageT, int], int | None] = lambda *_: None,
    ) -> BatchAnswer:
        """Handles each message of ``event``; returns the ones that SQS must deliver again.

        ``handle`` gets the message and the number of this try, from 1. It returns None when the message is done, else
        the seconds until the next try. After an error, ``delay_of_failure`` returns these seconds, or None for the
        queue's visibility timeout. After a LikenessError, the message is retried until the queue's limit. Any other
        error is a defect, and makes the message a dead letter at the third try.
        """
        return failed_items(
            record["messageId"] for record in event["Records"] if not self._is_done(record, handle, delay_of_failure)
        )

    def _is_done(
        self,
        record: QueueMessage,
        handle: Callable[[MessageT, int], int | None],
        delay_of_failure: Callable[[MessageT, int], int | None],
    ) -> bool:
        received = int(record["attributes"].get("ApproximateReceiveCount") or 1)
        if received == 1 or not self.first_receive_only:
            measure_age(self.age, record["attributes"])
        with logger.append_context_keys(message_id=record["messageId"]):
            try:
                message = self.read(record["body"])
            except ValueError:
                return self._give_up(record)
            with logger.append_context_keys(**message.ids):
                try:
                    delay = handle(message, received)
                    if delay is None:
                        return True
                except LikenessError as error:
                    report(error)
                    delay = delay_of_failure(message, received)
                except Exception as error:
                    report_unexpected(error)
                    if received >= UNEXPECTED_TRIES:
                        return self._give_up(record)
                    delay = delay_of_failure(message, received)
                self._delay(record, delay)
                return False

    def _delay(self, record: QueueMessage, seconds: int | None) -> None:
        if self.queue is None or seconds is None:
            return
        try:
            self.queue.hide(record["receiptHandle"], seconds)
        except LikenessError as error:
            report(error)  # the message is delivered again after the queue's visibility timeout

    def _give_up(self, record: QueueMessage) -> bool:
        """Sends the message to the dead-letter queue before SQS deletes it; returns whether that succeeded."""
        logger.warning("message given up")
        try:
            self.dead_letters.send(record["body"])
        except LikenessError as error:
            report(error)
            return False
        return True


def read_changes(
    event: StreamEvent, read: Callable[[WriteRecord], ChangeT | None], dead_letters: Queue
) -> list[ChangeT]:
    """Returns the changes that ``read`` returns for the records, without None.

    A record that cannot be read becomes a dead letter, because it would block its shard for a day.
    """
    changes = []
    for record in event["Records"]:
        try:
            change = read(record)
        except Exception as error:
            key, sequence = record["dynamodb"]["Keys"], record["dynamodb"]["SequenceNumber"]
            report_unexpected(error, **_ids_of_key(key))
            dead_letters.send(json.dumps({"Keys": key, "SequenceNumber": sequence}))
            continue
        if change is not None:
            changes.append(change)
    return changes


def _ids_of_key(key: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    session_id, (_, is_asset, asset_id) = key["pk"]["S"].removeprefix("SESSION#"), key["sk"]["S"].partition("#")
    return {"session_id": session_id} | ({"asset_id": asset_id} if is_asset else {})


def failed_items(ids: Iterable[str]) -> BatchAnswer:
    """The response to Lambda: the failed items of a batch, by message id or sequence number."""
    return {"batchItemFailures": [{"itemIdentifier": each} for each in ids]}
