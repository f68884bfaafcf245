"""The webhook queue's messages, and the requests to receivers (https://www.standardwebhooks.com).

The queue has four kinds of message: an announcement from EventBridge, a delivery to one endpoint, a resumption, which
sends the waiting deliveries of an endpoint, and the end of a task whose caller wants a callback (crun's own route).
None contains a URL or a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from standardwebhooks import Webhook

from likeness.domain.webhooks import WaitingDelivery

#: Sent by `ops webhook test` and POST /webhooks/{id}/test only.
TEST_EVENT = "likeness.webhook.test"


#: The events that crun calls back for: the task is over.
_ENDS = frozenset(f"likeness.generation.{each}" for each in ("succeeded", "failed", "uncertain"))


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """An event of contracts/events.py for a receiver. ``data`` is its detail."""

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
        """``webhook-id``: the same for every try and every copy."""
        return str(self.data["id"])

    @property
    def client_id(self) -> str:
        """The client that the event belongs to."""
        return str(self.data["client_id"])

    @property
    def ids(self) -> dict[str, str]:
        """The ids for log lines about the event."""
        known = ("session_id", "asset_id", "generation_id")
        return {name: self.data[name] for name in known if name in self.data} | {"event_id": self.id}

    @property
    def payload(self) -> dict[str, Any]:
        """The content of the request to the receiver."""
        return {"type": self.type, "timestamp": self.data["time"], "data": dict(self.data)}

    @property
    def body(self) -> str:
        """The payload's text: the same bytes for every try."""
        return _compact(self.payload)

    @property
    def ended_generation(self) -> str | None:
        """The id of the generation that has an outcome since this event; None for other events."""
        generation_id = self.data.get("generation_id")
        return generation_id if self.type in _ENDS and isinstance(generation_id, str) else None

    @property
    def waiting(self) -> WaitingDelivery:
        """The event as a waiting delivery."""
        return WaitingDelivery(self.id, str(self.data["time"]), self.body)

    @classmethod
    def read(cls, body: str) -> WebhookEvent:
        """Parses the body of a delivery. Raises ValueError with the invalid field's name."""
        payload = json.loads(body)
        if not isinstance(payload, dict):
            raise ValueError("body")
        return cls(payload.get("type"), payload.get("data"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event that is to be delivered to each endpoint of its client."""

    event: WebhookEvent

    @property
    def type(self) -> str:
        """The event's type."""
        return self.event.type

    @property
    def ids(self) -> dict[str, str]:
        """The ids for log lines about the message."""
        return self.event.ids


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
        """The client that the endpoint belongs to."""
        return self.event.client_id

    @property
    def type(self) -> str:
        """The event's type."""
        return self.event.type

    @property
    def ids(self) -> dict[str, str]:
        """The ids for log lines about the message."""
        return self.event.ids

    def to_json(self) -> str:
        """The message's body on the queue."""
        return _compact(
            {"endpoint_id": self.endpoint_id, "client_id": self.event.client_id, "event": self.event.payload}
        )


@dataclass(frozen=True, slots=True)
class Resumption:
    """Sends the waiting deliveries of an endpoint, as long as the endpoint's ``resumption`` is ``id``."""

    type: ClassVar[str] = "resumption"

    endpoint_id: str
    client_id: str
    id: str

    def __post_init__(self) -> None:
        for name in ("endpoint_id", "client_id", "id"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError("resumption" if name == "id" else name)

    @property
    def ids(self) -> dict[str, str]:
        """The ids for log lines about the message: none, because it concerns no particular event."""
        return {}

    def to_json(self) -> str:
        """The message's body on the queue."""
        return _compact({"endpoint_id": self.endpoint_id, "client_id": self.client_id, "resumption": self.id})


@dataclass(frozen=True, slots=True)
class TaskOver:
    """The task of a generation is over, and its caller wants a callback. Address and body are made at each try."""

    type: ClassVar[str] = "task_callback"

    generation_id: str
    client_id: str

    def __post_init__(self) -> None:
        for name in ("generation_id", "client_id"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError(name)

    @property
    def ids(self) -> dict[str, str]:
        """The ids for log lines about the message."""
        return {"generation_id": self.generation_id}

    def to_json(self) -> str:
        """The message's body on the queue."""
        return _compact({"task_over": self.generation_id, "client_id": self.client_id})


WebhookMessage = Announcement | Delivery | Resumption | TaskOver


def read_webhook_message(body: str) -> WebhookMessage:
    """Parses the body of a queue record. Raises ValueError with the invalid field's name.

    Unknown fields are ignored, so that messages of a newer version are accepted during a deployment.
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
    if "task_over" in fields:
        return TaskOver(fields["task_over"], fields.get("client_id"))  # type: ignore[arg-type]
    event = fields.get("event")
    if not isinstance(event, dict):
        raise ValueError("event")
    return Delivery(
        fields.get("endpoint_id"),  # type: ignore[arg-type]
        WebhookEvent(event.get("type"), event.get("data")),  # type: ignore[arg-type]
    )


def concerns(body: str, endpoint_id: str) -> bool:
    """Whether a message of the webhook queue is for this endpoint alone."""
    try:
        message = read_webhook_message(body)
    except ValueError:
        return False
    return isinstance(message, Delivery | Resumption) and message.endpoint_id == endpoint_id


def headers(event: WebhookEvent, secrets: Sequence[str], now: float) -> dict[str, str]:
    """The headers of a try at ``now`` (epoch seconds), with one signature for each secret."""
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
