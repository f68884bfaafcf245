"""The webhook queue's consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.contracts.webhooks import Announcement, Delivery, read_webhook_message
from likeness.errors import LikenessError
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_batch, report, report_unexpected
from likeness.steps.send_webhooks import Outcome

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import BatchAnswer, QueueEvent, QueueMessage

send_webhooks = bootstrap.send_webhooks()
queue = bootstrap.webhook_queue()
dead_letters = bootstrap.webhook_dead_letters()
#: How often a message may fail by an error that nobody foresaw.
_TRIES = 3


def _send(record: QueueMessage) -> bool:
    """Whether the message is done with."""
    with logger.append_context_keys(message_id=record["messageId"]):
        try:
            message = read_webhook_message(record["body"])
        except ValueError:
            return _give_up(record)
        with logger.append_context_keys(**_ids(message)):
            return _act(message, record)


def _ids(message: Announcement | Delivery) -> dict[str, str]:
    data = message.event.data
    ids = {name: data[name] for name in ("session_id", "asset_id") if name in data}
    return ids | {"event_id": message.event.id}


def _act(message: Announcement | Delivery, record: QueueMessage) -> bool:
    tried = int(record["attributes"]["ApproximateReceiveCount"])
    try:
        outcome = send_webhooks(message, tried)
    except LikenessError as error:
        report(error)
        outcome = Outcome("deferred", send_webhooks.pause(tried))
    except Exception as error:
        # A fault of ours in this very message: it gets few tries, so that somebody looks at it.
        report_unexpected(error)
        if tried >= _TRIES:
            return _give_up(record)
        outcome = Outcome("deferred", send_webhooks.pause(tried))
    _say(message, tried, outcome)
    if outcome.pause is not None:
        _put_off(record, outcome.pause)
    return outcome.pause is None


def _say(message: Announcement | Delivery, tried: int, outcome: Outcome) -> None:
    facts = {"type": message.event.type, "outcome": outcome.word, "try": tried}
    if isinstance(message, Delivery):
        facts |= {"endpoint_id": message.endpoint_id, "status": outcome.status}
    logger.info("webhook", extra=facts)


def _put_off(record: QueueMessage, seconds: int) -> None:
    try:
        queue.hide(record["receiptHandle"], seconds)
    except LikenessError as error:
        report(error)  # it comes back all the same, when the queue's own time is up


def _give_up(record: QueueMessage) -> bool:
    """Puts a message where an alarm finds it; sent before it is deleted, so it cannot get lost in between."""
    logger.warning("message given up")
    dead_letters.send(record["body"])
    return True


@observed(of_batch)
def handler(event: QueueEvent, context: LambdaContext) -> BatchAnswer:
    """Sends what each message asks for; only those that failed come back, each after its own pause."""
    records = event["Records"]
    failed = [each["messageId"] for each in records if not _send(each)]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
