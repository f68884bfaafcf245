"""The table's stream."""

from __future__ import annotations

import json
from typing import Any

from likeness.adapters.stream import read_change
from likeness.contracts.events import Change
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, report_unexpected

publish_changes = bootstrap.publish_changes()
dead_letters = bootstrap.unread_changes()


def _read(record: dict[str, Any], request_id: str) -> Change | None:
    try:
        return read_change(record)
    except Exception as error:
        # A fault of ours in this very item. It would hold up its shard for a day: somebody is to look at it instead.
        report_unexpected(error, request_id)
        place = {name: record["dynamodb"][name] for name in ("Keys", "SequenceNumber")}
        dead_letters.send(json.dumps(place))
        return None


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Tells of the changes in a batch; from the first that the bus did not take, Lambda delivers it again."""
    changes = [_read(record, context.aws_request_id) for record in event["Records"]]
    published = publish_changes([each for each in changes if each])
    for each in published.events:
        ids = {name: each.detail[name] for name in ("session_id", "asset_id") if name in each.detail}
        logger.info("event published", extra={"type": each.type, **ids})
    if published.stopped_at is None:
        return {"batchItemFailures": []}
    logger.warning("events left", extra={"code": "storage_unavailable"})
    return {"batchItemFailures": [{"itemIdentifier": published.stopped_at.sequence}]}
