"""The consumer of the table's stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.adapters.table.stream import read_change
from likeness.runtime import bootstrap
from likeness.runtime.batches import failed_items, read_changes
from likeness.runtime.logging import logger, observed, of_batch, of_detail
from likeness.runtime.metrics import measure

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import BatchAnswer, StreamEvent

publish_changes = bootstrap.publish_changes()
dead_letters = bootstrap.unread_changes()


@observed(of_batch)
def handler(event: StreamEvent, context: LambdaContext) -> BatchAnswer:
    """Publishes the changes in a batch; Lambda repeats it from the first one that the event bus did not accept."""
    published = publish_changes(read_changes(event, read_change, dead_letters))
    for each in published.measures:
        measure(each.metric, each.value, **each.dimensions)
    for published_event in published.events:
        logger.info("event published", extra={"type": published_event.type, **of_detail(published_event.detail)})
    if published.stopped_at is None:
        return failed_items([])
    logger.warning("events left", extra={"code": "storage_unavailable"})
    return failed_items([published.stopped_at.sequence])
