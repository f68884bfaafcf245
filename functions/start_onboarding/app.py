"""The onboarding queue's consumer."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from likeness.contracts.messages import read_message
from likeness.errors import LikenessError
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, report

start_onboarding = bootstrap.start_onboarding()
dead_letters = bootstrap.dead_letters()
#: How often a message may fail by an error that nobody foresaw.
_TRIES = 3
# A batch in which every message failed is a result like any other: each comes back by itself.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def _start(record: SQSRecord) -> None:
    try:
        message = read_message(record.body)
    except ValueError:
        _give_up(record)
        return
    try:
        outcome = start_onboarding(message)
    except LikenessError as error:
        # What we call is away, or somebody else is at it: the message comes back, for hours if need be.
        report(error)
        raise
    except Exception:
        # A fault of ours in this very message: it gets few tries, so that somebody looks at it.
        if int(record.attributes.get("ApproximateReceiveCount") or 1) < _TRIES:
            raise
        _give_up(record)
        return
    logger.info("message read", extra={"type": message.type, "session_id": message.session_id, "outcome": outcome})


def _give_up(record: SQSRecord) -> None:
    """Puts a message where an alarm finds it; sent before it is deleted, so it cannot get lost in between."""
    logger.warning("message given up", extra={"message_id": record.message_id})
    dead_letters.send(record.body)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """Reads each message; only those that failed come back, and what nobody can read goes to the dead letters."""
    return process_partial_response(event=event, record_handler=_start, processor=processor, context=context)
