"""A client's integration: its keys and webhook endpoints, without secrets, and the test event."""

from __future__ import annotations

from typing import Any

from likeness.contracts.webhooks import TEST_EVENT, Delivery, WebhookEvent
from likeness.domain.caller import ClientKey
from likeness.domain.ids import ulid
from likeness.domain.times import iso
from likeness.domain.webhooks import Endpoint


def key_view(key: ClientKey) -> dict[str, Any]:
    """A client key by its id. The key itself is not stored."""
    return {
        "id": key.key_id,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "return_origins": list(key.return_origins),
    }


def webhook_view(endpoint: Endpoint) -> dict[str, Any]:
    """A webhook endpoint without its secret, and without the query of its URL, which may contain one.

    ``since`` is when the state began, None for ``enabled``. ``last_failure`` is the HTTP status of the last failed try,
    or a code when there was no response; None after an accepted delivery.
    """
    state, since = endpoint.state
    return {
        "id": endpoint.id,
        "url": endpoint.address,
        "event_types": list(endpoint.event_types),
        "state": state,
        "since": iso(since),
        "last_failure": "410" if endpoint.disabled_reason == "gone" else endpoint.last_failure,
        "created_at": iso(endpoint.created_at),
    }


def make_test_delivery(endpoint: Endpoint, now: float, entropy: bytes) -> Delivery:
    """A test event for one endpoint; ``now`` in epoch seconds."""
    data = {
        "version": "1",
        "id": f"evt_{ulid(int(now * 1000), entropy)}",
        "time": iso(now),
        "client_id": endpoint.client_id,
    }
    return Delivery(endpoint.id, WebhookEvent(TEST_EVENT, data))
