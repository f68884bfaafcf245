"""Ports of the notifications: the event bus, and clients' webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.events import Event
    from likeness.domain.webhooks import Endpoint, Letter, WaitingDelivery, WebhookAnswer


#: PutEvents accepts at most ten entries.
EVENTS_PER_PUT = 10


class EventBus(Protocol):
    """The event bus for the rules of customers."""

    def put(self, events: Sequence[Event]) -> int:
        """Puts at most EVENTS_PER_PUT events; returns how many were accepted before the first that was not.

        Later ones may have been accepted too: they keep their ids when they are put again.
        """
        ...


class Webhooks(Protocol):
    """The clients' webhook endpoints."""

    def of(self, client_id: str) -> list[Endpoint]:
        """All endpoints of a client (strongly consistent)."""
        ...

    def find(self, client_id: str, endpoint_id: str) -> Endpoint | None:
        """The current endpoint (strongly consistent)."""
        ...

    def disable(self, client_id: str, endpoint_id: str, reason: str, now: float) -> None:
        """Disables the endpoint. Does nothing when it is disabled already, or removed."""
        ...

    def failed(self, endpoint: Endpoint, since: float, failure: str) -> None:
        """Records a failed try and its ``failure``; allows the next try. The earliest ``since`` is kept."""
        ...

    def try_alone(self, endpoint: Endpoint, now: float) -> bool:
        """Reserves the next ALONE_SECONDS for the caller's try; returns False when another caller has them."""
        ...

    def pause(self, endpoint: Endpoint, since: float, probe: str, now: float, failure: str) -> bool:
        """Pauses an endpoint that has been failing ``since`` then; ``probe`` is retried. Returns False if it is not."""
        ...

    def resume(self, endpoint: Endpoint, resumption: str) -> None:
        """Ends the pause; from now on, only the message ``resumption`` sends the waiting deliveries."""
        ...

    def keep(self, endpoint: Endpoint, delivery: WaitingDelivery, now: float) -> None:
        """Stores a waiting delivery for at most WAITING_SECONDS. Does nothing when it is stored already."""
        ...

    def waiting(self, endpoint: Endpoint, limit: int) -> list[WaitingDelivery]:
        """The first ``limit`` waiting deliveries, oldest event first (strongly consistent)."""
        ...

    def forget(self, endpoint: Endpoint, delivery: WaitingDelivery) -> None:
        """Deletes a waiting delivery."""
        ...


class DeadLetters(Protocol):
    """The webhook queue's dead letters, of all clients."""

    def receive(self) -> list[Letter]:
        """Returns some letters, and hides them from other readers for a minute.

        None may be returned although there are some, because SQS asks only some of its servers.
        """
        ...

    def delete(self, receipt: str) -> None:
        """Deletes a received letter."""
        ...

    def hide(self, receipt_handle: str, seconds: int) -> None:
        """Hides a received letter for ``seconds`` from now; 0 shows it to other readers again."""
        ...


class WebhookPost(Protocol):
    """POSTs to clients' servers."""

    def __call__(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        """Sends one POST within a bounded time; never raises for the server's behaviour."""
        ...
