"""The webhook queue's messages, and what a receiver gets (https://www.standardwebhooks.com).

Three kinds of message are in one queue: an announcement, as EventBridge puts it there, a delivery to one endpoint, and
a resumption, which sends what waits for an endpoint. None holds a URL or a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from likeness.domain.webhooks import WaitingDelivery

#: Sent by `ops webhook test` alone.
TEST_EVENT = "likeness.webhook.test"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """An event of contracts/events.py on its way to a receiver. ``data`` is its detail."""

    type: str
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.type, str) or not self.type:
            raise ValueError("type")
        if not isinstance(self.data, dict):
            raise ValueError("data")
        for name in ("id", "time", "client_id"):
            if not isinstance(self.data.get(name), str) or not self.data[name]:
                raise ValueError(name)

    @property
    def id(self) -> str:
        """``webhook-id``: the same at every try, in every copy."""
        return str(self.data["id"])

    @property
    def client_id(self) -> str:
        """Whose event it is."""
        return str(self.data["client_id"])

    @property
    def payload(self) -> dict[str, Any]:
        """What the receiver reads."""
        return {"type": self.type, "timestamp": self.data["time"], "data": dict(self.data)}

    @property
    def body(self) -> str:
        """The payload's text: the same bytes at every try."""
        return _compact(self.payload)

    @property
    def waiting(self) -> WaitingDelivery:
        """The event as it waits in the table."""
        return WaitingDelivery(self.id, str(self.data["time"]), self.body)

    @classmethod
    def read(cls, body: str) -> WebhookEvent:
        """The event whose ``body`` this is. ValueError, naming the field, when it is none."""
        payload = json.loads(body)
        if not isinstance(payload, dict):
            raise ValueError("body")
        return cls(payload.get("type"), payload.get("data"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event that has happened: to be told to each endpoint of its client."""

    event: WebhookEvent


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for one endpoint."""

    endpoint_id: str
    event: WebhookEvent

    def __post_init__(self) -> None:
        if not isinstance(self.endpoint_id, str) or not self.endpoint_id:
            raise ValueError("endpoint_id")

    @property
    def client_id(self) -> str:
        """Whose endpoint it is."""
        return self.event.client_id

    def to_json(self) -> str:
        """The message's body on the queue."""
        return _compact(
            {"endpoint_id": self.endpoint_id, "client_id": self.event.client_id, "event": self.event.payload}
        )


@dataclass(frozen=True, slots=True)
class Resumption:
    """Sends what waits for an endpoint, as long as the endpoint's ``resumption`` is ``id``."""

    endpoint_id: str
    client_id: str
    id: str

    def __post_init__(self) -> None:
        for name in ("endpoint_id", "client_id", "id"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError("resumption" if name == "id" else name)

    def to_json(self) -> str:
        """The message's body on the queue."""
        return _compact({"endpoint_id": self.endpoint_id, "client_id": self.client_id, "resumption": self.id})


WebhookMessage = Announcement | Delivery | Resumption


def read_webhook_message(body: str) -> WebhookMessage:
    """The message in a queue record's body; ValueError, naming the field, when it is none.

    Unknown fields are ignored: a message of a newer version must not become poison during a deployment.
    """
    try:
        fields = json.loads(body)
    except RecursionError:
        raise ValueError("body") from None
    if not isinstance(fields, dict):
        raise ValueError("body")
    if "detail-type" in fields:
        return Announcement(WebhookEvent(fields["detail-type"], fields.get("detail")))  # type: ignore[arg-type]
    if "resumption" in fields:
        return Resumption(fields.get("endpoint_id"), fields.get("client_id"), fields["resumption"])  # type: ignore[arg-type]
    event = fields.get("event")
    if not isinstance(event, dict):
        raise ValueError("event")
    return Delivery(
        fields.get("endpoint_id"),  # type: ignore[arg-type]
        WebhookEvent(event.get("type"), event.get("data")),  # type: ignore[arg-type]
    )


def headers(event: WebhookEvent, secrets: Sequence[str], now: float) -> dict[str, str]:
    """The headers of a try at ``now``, epoch seconds: one signature for each secret."""
    at = datetime.fromtimestamp(int(now), UTC)
    signatures = [Webhook(each).sign(event.id, at, event.body) for each in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Likeness",
        "webhook-id": event.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signatures),
    }


def _compact(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
