"""Webhook endpoints in the table: a client's partition, one item for each."""

from __future__ import annotations

from typing import Any

from likeness.adapters.aws import translated
from likeness.adapters.items import encode, webhook_from, webhook_key, webhook_partition
from likeness.domain.webhooks import Endpoint
from likeness.errors import ConditionFailed


class DynamoWebhooks:
    """The port ``Webhooks``."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def of(self, client_id: str) -> list[Endpoint]:
        """See the port. One page: a client has ten endpoints at most."""
        with translated():
            found = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": encode(webhook_partition(client_id))},
                ConsistentRead=True,
            )
        return [webhook_from(each) for each in found["Items"]]

    def find(self, client_id: str, endpoint_id: str) -> Endpoint | None:
        """See the port."""
        with translated():
            found = self._client.get_item(
                TableName=self._table, Key=webhook_key(client_id, endpoint_id), ConsistentRead=True
            )
        return webhook_from(found["Item"]) if "Item" in found else None

    def disable(self, client_id: str, endpoint_id: str, reason: str, now: float) -> None:
        """See the port."""
        try:
            with translated():
                self._client.update_item(
                    TableName=self._table,
                    Key=webhook_key(client_id, endpoint_id),
                    UpdateExpression="SET disabled_at = :now, disabled_reason = :reason",
                    ConditionExpression="attribute_exists(pk) AND attribute_not_exists(disabled_at)",
                    ExpressionAttributeValues={":now": encode(now), ":reason": encode(reason)},
                )
        except ConditionFailed:
            return  # removed, or disabled already: the first time stands
