"""Webhook endpoints and their waiting deliveries in the table.

An endpoint is an item in its client's partition. Its waiting deliveries have a partition of their own, sorted by time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.adapters.aws import translated, update_item
from likeness.adapters.table.items import Item, decode_item, encode, encode_item
from likeness.domain.webhooks import ALONE_SECONDS, WAITING_SECONDS, Endpoint, WaitingDelivery
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
        self._update(
            webhook_key(client_id, endpoint_id),
            "SET disabled_at = :now, disabled_reason = :reason",
            "attribute_exists(pk) AND attribute_not_exists(disabled_at)",
            {":now": encode(now), ":reason": encode(reason)},
        )  # does nothing if the endpoint was removed or is already disabled

    def failed(self, endpoint: Endpoint, since: float, failure: str) -> None:
        """See the port."""
        self._update(
            _key(endpoint),
            "SET failing_since = if_not_exists(failing_since, :since), last_failure = :failure REMOVE trying_until",
            "attribute_exists(pk)",
            {":since": encode(since), ":failure": encode(failure)},
        )

    def try_alone(self, endpoint: Endpoint, now: float) -> bool:
        """See the port."""
        return self._update(
            _key(endpoint),
            "SET trying_until = :until",
            "attribute_exists(pk) AND (attribute_not_exists(trying_until) OR trying_until <= :now)",
            {":now": encode(now), ":until": encode(now + ALONE_SECONDS)},
        )

    def pause(self, endpoint: Endpoint, since: float, probe: str, now: float, failure: str) -> bool:
        """See the port."""
        return self._update(
            _key(endpoint),
            "SET paused_at = :now, probe = :probe, failing_since = :since, last_failure = :failure REMOVE trying_until",
            "attribute_exists(pk) AND attribute_not_exists(paused_at) "
            "AND (attribute_not_exists(failing_since) OR failing_since = :since)",
            {
                ":now": encode(now),
                ":probe": encode(probe),
                ":since": encode(since),
                ":failure": encode(failure),
            },
        )

    def resume(self, endpoint: Endpoint, resumption: str) -> None:
        """See the port."""
        self._update(
            _key(endpoint),
            "SET resumption = :resumption REMOVE failing_since, trying_until, paused_at, probe, last_failure",
            "attribute_exists(pk)",
            {":resumption": encode(resumption)},
        )

    def keep(self, endpoint: Endpoint, delivery: WaitingDelivery, now: float) -> None:
        """See the port."""
        values = {"body": delivery.body, "ttl": int(now) + WAITING_SECONDS}
        with translated():
            self._client.put_item(TableName=self._table, Item=encode_item(values) | waiting_key(endpoint.id, delivery))

    def waiting(self, endpoint: Endpoint, limit: int) -> list[WaitingDelivery]:
        """See the port. The sort keys begin with the events' times, so the oldest come first."""
        with translated():
            found = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": encode(waiting_partition(endpoint.id))},
                ConsistentRead=True,
                Limit=limit,
            )
        return [_waiting_from(each) for each in found["Items"]]

    def forget(self, endpoint: Endpoint, delivery: WaitingDelivery) -> None:
        """See the port."""
        with translated():
            self._client.delete_item(TableName=self._table, Key=waiting_key(endpoint.id, delivery))

    def _update(self, key: Item, update: str, condition: str, values: Item) -> bool:
        """Returns whether the condition was met."""
        try:
            update_item(self._client, self._table, key, update, condition, values)
        except ConditionFailed:
            return False
        return True


def webhook_partition(client_id: str) -> str:
    """Returns the partition key of a client's webhook endpoints."""
    return f"WEBHOOKS#{client_id}"


def webhook_key(client_id: str, endpoint_id: str) -> Item:
    """Returns the primary key of a webhook endpoint."""
    return {"pk": {"S": webhook_partition(client_id)}, "sk": {"S": endpoint_id}}


def _key(endpoint: Endpoint) -> Item:
    return webhook_key(endpoint.client_id, endpoint.id)


def waiting_partition(endpoint_id: str) -> str:
    """Returns the partition key of an endpoint's waiting deliveries."""
    return f"WEBHOOK_WAITING#{endpoint_id}"


def waiting_key(endpoint_id: str, delivery: WaitingDelivery) -> Item:
    """Returns the primary key of a waiting delivery: the event's time, then its id."""
    return {"pk": {"S": waiting_partition(endpoint_id)}, "sk": {"S": f"{delivery.time}#{delivery.event_id}"}}


def _waiting_from(item: Item) -> WaitingDelivery:
    values = decode_item(item)
    time, _, event_id = values["sk"].partition("#")
    return WaitingDelivery(event_id, time, values["body"])


def webhook_item(endpoint: Endpoint) -> Item:
    """Returns an endpoint's item. It has no attributes ``client_id`` and ``id``, to stay out of the sessions' index."""
    values = {
        "url": endpoint.url,
        "secret": endpoint.secret,
        "previous_secret": endpoint.previous_secret,
        "previous_until": endpoint.previous_until,
        "event_types": list(endpoint.event_types),
        "created_at": endpoint.created_at,
        "disabled_at": endpoint.disabled_at,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": endpoint.failing_since,
        "trying_until": endpoint.trying_until,
        "paused_at": endpoint.paused_at,
        "probe": endpoint.probe,
        "resumption": endpoint.resumption,
        "last_failure": endpoint.last_failure,
    }
    return encode_item(values) | webhook_key(endpoint.client_id, endpoint.id)


def webhook_from(item: Item) -> Endpoint:
    """Returns the endpoint in an item."""
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
        failing_since=values.get("failing_since"),
        trying_until=values.get("trying_until"),
        paused_at=values.get("paused_at"),
        probe=values.get("probe"),
        resumption=values.get("resumption"),
        last_failure=values.get("last_failure"),
    )
