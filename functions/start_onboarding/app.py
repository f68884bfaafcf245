"""The onboarding queue's consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.contracts.messages import Message
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_batch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import BatchAnswer, QueueEvent

start_onboarding = bootstrap.start_onboarding()
consumer = bootstrap.onboarding_consumer()


def _start(message: Message, tried: int) -> None:
    outcome = start_onboarding(message)
    logger.info("message read", extra={"type": message.type, "outcome": outcome})


@observed(of_batch)
def handler(event: QueueEvent, context: LambdaContext) -> BatchAnswer:
    """Starts an execution for each message that needs one."""
    return consumer.consume(event, _start)
