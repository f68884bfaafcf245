"""Client keys in the table: one partition, with one item per key, named by the key's SHA-256."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from likeness.adapters.aws import translated
from likeness.adapters.table.items import CLIENT_KEYS, client_key_key, decode_item, encode
from likeness.domain.caller import Caller, ClientKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

#: How long the result that a client has a key is cached.
_SEEN_SECONDS = 60.0


class DynamoClientKeys:
    """The port ``ClientKeys``."""

    def __init__(self, client: DynamoDBClient, table: str, now: Callable[[], float] = time.monotonic) -> None:
        self._client, self._table, self._now = client, table, now
        self._seen: dict[str, float] = {}

    def find(self, key_hash: str) -> Caller | None:
        """See the port."""
        with translated():
            item = self._client.get_item(TableName=self._table, Key=client_key_key(key_hash)).get("Item")
        values = decode_item(item) if item else {}
        if not values or values.get("revoked_at"):
            return None
        return Caller(
            values["client_id"],
            tuple(values.get("return_origins", ())),
            purpose=values.get("purpose", ""),
            daily_credits=_credits(values),
            sees_balance=bool(values.get("sees_balance")),
        )

    def of(self, client_id: str) -> list[ClientKey]:
        """See the port of steps/notifications/manage_integration.py. The keys of all clients are in one partition."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :keys",
            FilterExpression="client_id = :client",
            ExpressionAttributeValues={":keys": encode(CLIENT_KEYS), ":client": encode(client_id)},
        )
        with translated():
            found = [client_key_from(decode_item(item)) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda each: each.created_at)

    def has_any(self, client_id: str) -> bool:
        """Returns whether a client has a key that is not revoked. A positive result may be up to a minute old.

        The keys are few, so all are in one partition. A negative result is not cached.
        """
        now = self._now()
        if now - self._seen.get(client_id, -_SEEN_SECONDS) < _SEEN_SECONDS:
            return True
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :keys",
            "FilterExpression": "client_id = :client AND attribute_not_exists(revoked_at)",
            "ProjectionExpression": "sk",
            "ExpressionAttributeValues": {":keys": encode(CLIENT_KEYS), ":client": encode(client_id)},
        }
        while True:
            with translated():
                page = self._client.query(**query)
            if page["Items"]:
                self._seen[client_id] = now
                return True
            if not page.get("LastEvaluatedKey"):
                return False
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def client_key_from(values: dict[str, Any]) -> ClientKey:
    """Returns the key in a decoded item."""
    return ClientKey(
        values["key_id"],
        values["client_id"],
        tuple(values.get("return_origins", ())),
        values["created_at"],
        values.get("revoked_at"),
        values.get("purpose", ""),
        _credits(values),
        bool(values.get("sees_balance")),
    )


def _credits(values: dict[str, Any]) -> float | None:
    found = values.get("daily_credits")
    return None if found is None else float(found)
