"""The table's stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from likeness.adapters.stream import read_change
from likeness.contracts.events import Change
from likeness.contracts.measures import measures_of
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_batch, report_unexpected
from likeness.runtime.metrics import measure

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import BatchAnswer, StreamEvent, WriteRecord

publish_changes = bootstrap.publish_changes()
dead_letters = bootstrap.unread_changes()


def _read(record: WriteRecord) -> Change | None:
    try:
        return read_change(record)
    except Exception as error:
        # A fault of ours in this very item. It would hold up its shard for a day: somebody is to look at it instead.
        key, sequence = record["dynamodb"]["Keys"], record["dynamodb"]["SequenceNumber"]
        report_unexpected(error, **_ids(key))
        dead_letters.send(json.dumps({"Keys": key, "SequenceNumber": sequence}))
        return None


def _ids(key: dict[str, dict[str, str]]) -> dict[str, str]:
    session_id, (_, is_asset, asset_id) = key["pk"]["S"].removeprefix("SESSION#"), key["sk"]["S"].partition("#")
    return {"session_id": session_id} | ({"asset_id": asset_id} if is_asset else {})


def _count(changes: Sequence[Change]) -> None:
    for each in chain.from_iterable(map(measures_of, changes)):
        measure(each.metric, each.value, **({"code": each.code} if each.code else {}))


@observed(of_batch)
def handler(event: StreamEvent, context: LambdaContext) -> BatchAnswer:
    """Tells of the changes in a batch; from the first that the bus did not take, Lambda delivers it again."""
    changes = [change for record in event["Records"] if (change := _read(record))]
    published = publish_changes(changes)
    # What stands behind the first that was not taken comes again, and is counted then.
    _count(list(takewhile(lambda each: each is not published.stopped_at, changes)))
    for each in published.events:
        ids = {name: each.detail[name] for name in ("session_id", "asset_id") if name in each.detail}
        logger.info("event published", extra={"type": each.type, **ids})
    if published.stopped_at is None:
        return {"batchItemFailures": []}
    logger.warning("events left", extra={"code": "storage_unavailable"})
    return {"batchItemFailures": [{"itemIdentifier": published.stopped_at.sequence}]}
