"""The webhook queue's consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.contracts.webhooks import Announcement, Resumption, WebhookEvent, WebhookMessage, read_webhook_message
from likeness.domain.metrics import Metric
from likeness.errors import LikenessError
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_batch, report, report_unexpected
from likeness.runtime.metrics import measure, measure_age
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


def _ids(message: WebhookMessage) -> dict[str, str]:
    return {} if isinstance(message, Resumption) else _ids_of(message.event)


def _ids_of(event: WebhookEvent) -> dict[str, str]:
    ids = {name: event.data[name] for name in ("session_id", "asset_id") if name in event.data}
    return ids | {"event_id": event.id}


def _act(message: WebhookMessage, record: QueueMessage) -> bool:
    tried = int(record["attributes"]["ApproximateReceiveCount"])
    if tried == 1:  # later tries have waited on purpose
        measure_age(Metric.WEBHOOK_FIRST_TRY_SECONDS, record["attributes"])
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
    if outcome.paused:
        measure(Metric.WEBHOOK_ENDPOINT_PAUSED)
    if outcome.pause is not None:
        _put_off(record, outcome.pause)
    return outcome.pause is None


def _say(message: WebhookMessage, tried: int, outcome: Outcome) -> None:
    for each in outcome.accepted:
        _log(each.type, "delivered", tried, message, **_ids_of(each))
    kind = "resumption" if isinstance(message, Resumption) else message.event.type
    _log(kind, outcome.word, tried, message, status=outcome.status)


def _log(kind: str, outcome: str, tried: int, message: WebhookMessage, **facts: object) -> None:
    if not isinstance(message, Announcement):
        facts["endpoint_id"] = message.endpoint_id
    logger.info("webhook", extra={"type": kind, "outcome": outcome, "try": tried} | facts)


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
