"""The webhook queue's consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.contracts.webhooks import WebhookMessage
from likeness.domain.metrics import Metric
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_batch
from likeness.runtime.metrics import measure
from likeness.steps.notifications.send_webhooks import Outcome

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import BatchAnswer, QueueEvent

send_webhooks = bootstrap.send_webhooks()
consumer = bootstrap.webhook_consumer()


def _send(message: WebhookMessage, tried: int) -> int | None:
    return _record(message, tried, send_webhooks(message, tried))


def _record(message: WebhookMessage, tried: int, outcome: Outcome) -> int | None:
    for facts in outcome.facts(message, tried):
        logger.info("webhook", extra=facts)
    if outcome.paused:
        measure(Metric.WEBHOOK_ENDPOINT_PAUSED)
    return outcome.pause


@observed(of_batch)
def handler(event: QueueEvent, context: LambdaContext) -> BatchAnswer:
    """Sends the deliveries of each message."""
    return consumer.consume(event, _send, lambda message, tried: _record(message, tried, send_webhooks.deferred(tried)))
