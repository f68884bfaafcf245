"""The onboarding queue's consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from likeness.contracts.messages import Message, read_message
from likeness.domain.metrics import Metric
from likeness.errors import LikenessError
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_batch, report, report_unexpected
from likeness.runtime.metrics import measure_age

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

start_onboarding = bootstrap.start_onboarding()
dead_letters = bootstrap.dead_letters()
#: How often a message may fail by an error that nobody foresaw.
_TRIES = 3
# A batch in which every message failed is a result like any other: each comes back by itself.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def _start(record: SQSRecord) -> None:
    measure_age(Metric.ONBOARDING_MESSAGE_SECONDS, record["attributes"])
    with logger.append_context_keys(message_id=record.message_id):
        try:
            message = read_message(record.body)
        except ValueError:
            _give_up(record)
            return
        ids = {"session_id": message.session_id, "correlation_id": message.correlation_id}
        with logger.append_context_keys(**{name: each for name, each in ids.items() if each}):
            _act(message, record)


def _act(message: Message, record: SQSRecord) -> None:
    try:
        outcome = start_onboarding(message)
    except LikenessError as error:
        # What we call is away, or somebody else is at it: the message comes back, for hours if need be.
        report(error)
        raise
    except Exception as error:
        # A fault of ours in this very message: it gets few tries, so that somebody looks at it.
        report_unexpected(error)
        if int(record.attributes.get("ApproximateReceiveCount") or 1) < _TRIES:
            raise
        _give_up(record)
        return
    logger.info("message read", extra={"type": message.type, "outcome": outcome})


def _give_up(record: SQSRecord) -> None:
    """Puts a message where an alarm finds it; sent before it is deleted, so it cannot get lost in between."""
    logger.warning("message given up")
    dead_letters.send(record.body)


@observed(of_batch)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Reads each message; only those that failed come back, and what nobody can read goes to the dead letters."""
    return process_partial_response(event=event, record_handler=_start, processor=processor, context=context)
