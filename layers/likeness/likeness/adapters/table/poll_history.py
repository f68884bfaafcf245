"""The history of how long assets take to become Active, and tasks to end, cached for ten minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from likeness.adapters.aws import translated
from likeness.adapters.table.items import POLL_HISTORY, Item, history_from, history_months
from likeness.domain.polling import NOTHING_SEEN, History
from likeness.errors import StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEPT_SECONDS = 600
#: How long to wait before the history is read again after an error.
_AGAIN_SECONDS = 60


class DynamoPollHistory:
    """The port ``PollHistory`` on table ``table``. ``unread()`` is called when it could not be read."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        unread: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._table, self._unread, self._monotonic = client, table, unread, monotonic
        self._until = float("-inf")
        self._kept: dict[str, History] = {}

    def of(self, kind: str, now: float) -> History:
        """See the port. One Query for all kinds. If it fails, the earlier result stays in use."""
        if self._monotonic() >= self._until:
            try:
                self._kept, seconds = self._read(now), KEPT_SECONDS
            except StorageUnavailable:
                self._unread()
                seconds = _AGAIN_SECONDS
            self._until = self._monotonic() + seconds
        return self._kept.get(kind, NOTHING_SEEN)

    def _read(self, now: float) -> dict[str, History]:
        with translated():
            # Two months of three types and some models fit into one page.
            found: list[Item] = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk >= :since",
                ExpressionAttributeValues={":pk": {"S": POLL_HISTORY}, ":since": {"S": history_months(now)[0]}},
            )["Items"]
        of_kind: dict[str, list[Item]] = {}
        for item in found:
            of_kind.setdefault(item["sk"]["S"].partition("#")[2], []).append(item)
        return {name: history_from(items) for name, items in of_kind.items()}
