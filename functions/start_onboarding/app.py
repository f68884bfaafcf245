"""The onboarding queue's consumer."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from likeness.contracts.messages import read_message
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger

start_onboarding = bootstrap.start_onboarding()
# A batch in which every message failed is a result like any other: each comes back by itself.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def _start(record: SQSRecord) -> None:
    try:
        message = read_message(record.body)
    except ValueError:
        logger.warning("poison message", extra={"message_id": record.message_id})
        raise
    outcome = start_onboarding(message)
    logger.info("message read", extra={"type": message.type, "session_id": message.session_id, "outcome": outcome})


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """Reads each message; only those that failed come back."""
    return process_partial_response(event=event, record_handler=_start, processor=processor, context=context)
