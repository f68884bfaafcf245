"""Due items, from the table's sparse index ``Due``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.adapters.aws import translated, update_item
from likeness.adapters.table.generation_items import GENERATION, generation_key
from likeness.adapters.table.items import Item, asset_key, decode, encode, session_key
from likeness.domain.due import SHARDS, DueItem
from likeness.errors import ConditionFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoDueItems:
    """The port ``DueItems`` on table ``table``."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client, self._table = client, table

    def oldest(self, now: float, limit: int) -> list[DueItem]:
        """See the port. One query for each partition of the index."""
        found: list[DueItem] = []
        for shard in range(SHARDS):
            with translated():
                page = self._client.query(
                    TableName=self._table,
                    IndexName="Due",
                    KeyConditionExpression="due_shard = :shard AND due_at <= :now",
                    ExpressionAttributeValues={":shard": encode(str(shard)), ":now": encode(now)},
                    Limit=limit,
                )
            found += map(_due_item, page["Items"])
        return sorted(found, key=lambda each: each.due_at)[:limit]

    def set(self, item: DueItem, due_at: float | None) -> None:
        """See the port."""
        later = {} if due_at is None else {":later": encode(due_at)}
        try:
            update_item(
                self._client,
                self._table,
                _key(item),
                "SET due_at = :later" if later else "REMOVE due_at",
                "due_at = :seen",
                {":seen": encode(item.due_at), **later},
            )
        except ConditionFailed:
            return


def _due_item(item: Item) -> DueItem:
    identifier = item["pk"]["S"].partition("#")[2]
    kind, _, asset_id = item["sk"]["S"].partition("#")
    if kind == GENERATION:
        return DueItem("", None, decode(item["due_at"]), identifier)
    return DueItem(identifier, asset_id if kind == "ASSET" else None, decode(item["due_at"]))


def _key(item: DueItem) -> Item:
    if item.generation_id:
        return generation_key(item.generation_id)
    return asset_key(item.session_id, item.asset_id) if item.asset_id else session_key(item.session_id)
