"""Webhook endpoints in the table: a client's partition, one item for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.adapters.aws import translated, update_item
from likeness.adapters.items import Item, decode_item, encode, encode_item
from likeness.domain.webhooks import Endpoint
from likeness.errors import ConditionFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoWebhooks:
    """The port ``Webhooks``."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
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
            update_item(
                self._client,
                self._table,
                webhook_key(client_id, endpoint_id),
                "SET disabled_at = :now, disabled_reason = :reason",
                "attribute_exists(pk) AND attribute_not_exists(disabled_at)",
                {":now": encode(now), ":reason": encode(reason)},
            )
        except ConditionFailed:
            return  # removed, or disabled already: the first time stands


def webhook_partition(client_id: str) -> str:
    """The partition of a client's webhook endpoints."""
    return f"WEBHOOKS#{client_id}"


def webhook_key(client_id: str, endpoint_id: str) -> Item:
    """The primary key of a webhook endpoint."""
    return {"pk": {"S": webhook_partition(client_id)}, "sk": {"S": endpoint_id}}


def webhook_item(endpoint: Endpoint) -> Item:
    """An endpoint as an item. Neither ``client_id`` nor ``id`` is an attribute: the sessions' index has those."""
    values = {
        "url": endpoint.url,
        "secret": endpoint.secret,
        "previous_secret": endpoint.previous_secret,
        "previous_until": endpoint.previous_until,
        "event_types": list(endpoint.event_types),
        "created_at": endpoint.created_at,
        "disabled_at": endpoint.disabled_at,
        "disabled_reason": endpoint.disabled_reason,
    }
    return encode_item(values) | webhook_key(endpoint.client_id, endpoint.id)


def webhook_from(item: Item) -> Endpoint:
    """The endpoint in an item."""
    values = decode_item(item)
    return Endpoint(
        client_id=values["pk"].partition("#")[2],
        id=values["sk"],
        url=values["url"],
        secret=values["secret"],
        created_at=values["created_at"],
        event_types=tuple(values["event_types"]),
        previous_secret=values.get("previous_secret"),
        previous_until=values.get("previous_until"),
        disabled_at=values.get("disabled_at"),
        disabled_reason=values.get("disabled_reason"),
    )
