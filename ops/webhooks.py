"""Creates, lists, rotates, enables and removes webhook endpoints. A secret is shown once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from likeness.adapters.table.items import encode
from likeness.adapters.table.webhooks import DynamoWebhooks, webhook_item, webhook_key
from likeness.contracts.events import EVENT_TYPES
from likeness.contracts.integration import make_test_delivery
from likeness.contracts.webhooks import Delivery, Resumption
from likeness.domain.ids import ulid
from likeness.domain.webhooks import MAX_ENDPOINTS, ROTATION_SECONDS, Endpoint, endpoint_id, fault_of_url, new_secret
from likeness.runtime.system import SystemClock
from ops.client_keys import ClientKeys

#: Waiting deliveries are counted up to this number.
MAX_COUNTED = 1000


class NoSuchEndpoint(ValueError):
    """When no client has an endpoint with this id."""


class Webhooks:
    """The endpoints in ``table``, through a low-level DynamoDB client.

    ``private``: whether the stack sends to http and to private addresses (WebhookPrivateAddresses).
    """

    def __init__(self, client: Any, table: str, *, private: bool) -> None:
        self._client, self._table, self._private = client, table, private
        self._read = DynamoWebhooks(client, table)
        self._clock = SystemClock()

    def add(self, client_id: str, url: str, event_types: Sequence[str] = (), *, secret: str | None = None) -> Endpoint:
        """Creates an endpoint, by default with a new secret. Raises ValueError, with a text for the operator."""
        if client_id not in self.clients():
            raise ValueError(f"no client has the id {client_id!r}: `client add` creates its first key")
        fault = fault_of_url(url, private=self._private)
        if fault:
            raise ValueError(f"the URL cannot be used: {fault}")
        for each in event_types:
            if each not in EVENT_TYPES:
                raise ValueError(f"unknown event type {each!r}; the types are {', '.join(EVENT_TYPES)}")
        if len(self._read.of(client_id)) >= MAX_ENDPOINTS:
            raise ValueError(f"{client_id} has {MAX_ENDPOINTS} endpoints already: remove one first")
        now = self._clock.now()
        made = Endpoint(
            client_id,
            endpoint_id(int(now * 1000), self._clock.entropy()),
            url,
            secret or new_secret(secrets.token_bytes(32)),
            now,
            tuple(dict.fromkeys(event_types)),
        )
        self._client.put_item(
            TableName=self._table, Item=webhook_item(made), ConditionExpression="attribute_not_exists(pk)"
        )
        return made

    def known(self, client_id: str | None = None) -> Iterator[Endpoint]:
        """Yields the endpoints of a client, or of all clients."""
        for each in [client_id] if client_id else self.clients():
            yield from self._read.of(each)

    def find(self, endpoint: str) -> Endpoint:
        """Returns the endpoint with this id. Raises NoSuchEndpoint."""
        for each in self.known():
            if each.id == endpoint:
                return each
        raise NoSuchEndpoint(f"no endpoint has the id {endpoint}")

    def remove(self, endpoint: str) -> None:
        """Removes an endpoint. Its pending deliveries are dropped."""
        found = self.find(endpoint)
        self._client.delete_item(TableName=self._table, Key=webhook_key(found.client_id, found.id))

    def enable(self, endpoint: str) -> Resumption:
        """Enables a disabled or paused endpoint. Returns the queue message that sends its waiting deliveries.

        Each call creates a new message, which replaces the previous one.
        """
        found = self.find(endpoint)
        made = Resumption(found.id, found.client_id, ulid(int(self._clock.now() * 1000), self._clock.entropy()))
        self._update(
            found,
            "SET resumption = :resumption "
            "REMOVE disabled_at, disabled_reason, failing_since, trying_until, paused_at, probe, last_failure",
            values={":resumption": made.id},
        )
        return made

    def waiting(self, endpoint: Endpoint) -> int:
        """Returns the number of deliveries that wait for an endpoint, at most MAX_COUNTED."""
        return len(self._read.waiting(endpoint, MAX_COUNTED))

    def rotate(self, endpoint: str) -> Endpoint:
        """Gives an endpoint a new secret; for a day, the current one signs too.

        After another rotation within that day, the two newest secrets sign.
        """
        found = self.find(endpoint)
        rotated = replace(
            found,
            secret=new_secret(secrets.token_bytes(32)),
            previous_secret=found.secret,
            previous_until=self._clock.now() + ROTATION_SECONDS,
        )
        self._update(
            found,
            "SET secret = :secret, previous_secret = :previous, previous_until = :until",
            # Of two concurrent rotations, only one succeeds and returns its secret.
            "secret = :previous",
            {":secret": rotated.secret, ":previous": found.secret, ":until": rotated.previous_until},
        )
        return rotated

    def test_delivery(self, endpoint: str) -> Delivery:
        """Returns a test delivery for the webhook queue. Raises ValueError when the endpoint is disabled."""
        found = self.find(endpoint)
        if found.disabled_at is not None:
            raise ValueError(f"{found.id} is disabled ({found.disabled_reason}): `webhook enable` first")
        return make_test_delivery(found, self._clock.now(), self._clock.entropy())

    def clients(self) -> list[str]:
        """Returns the ids of all clients."""
        return sorted({each.client_id for each in ClientKeys(self._client, self._table).known()})

    def _update(
        self, endpoint: Endpoint, expression: str, condition: str = "attribute_exists(pk)", values: Any = None
    ) -> None:
        found = {"ExpressionAttributeValues": {name: encode(each) for name, each in values.items()}} if values else {}
        self._client.update_item(
            TableName=self._table,
            Key=webhook_key(endpoint.client_id, endpoint.id),
            UpdateExpression=expression,
            ConditionExpression=condition,
            **found,
        )
