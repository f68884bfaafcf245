"""Ports of the notifications: the event bus, and clients' webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.events import Event
    from likeness.domain.webhooks import Endpoint, WaitingDelivery, WebhookAnswer


#: PutEvents takes at most ten entries.
EVENTS_PER_PUT = 10


class EventBus(Protocol):
    """Where customers' rules listen."""

    def put(self, events: Sequence[Event]) -> int:
        """Puts at most EVENTS_PER_PUT events: how many were taken before the first that was not.

        Some after that one may have been taken too: they keep their ids when they are put again.
        """
        ...


class Webhooks(Protocol):
    """Where clients want their events."""

    def of(self, client_id: str) -> list[Endpoint]:
        """All endpoints of a client (strongly consistent)."""
        ...

    def find(self, client_id: str, endpoint_id: str) -> Endpoint | None:
        """The endpoint as it is now (strongly consistent)."""
        ...

    def disable(self, client_id: str, endpoint_id: str, reason: str, now: float) -> None:
        """Sends nothing there any more. Nothing happens when it is disabled already, or removed."""
        ...

    def failed(self, endpoint: Endpoint, since: float) -> None:
        """Notes that a try which began at ``since`` has failed, unless an earlier one is noted; lets others try."""
        ...

    def try_alone(self, endpoint: Endpoint, now: float) -> bool:
        """Whether the caller may try: for the next ALONE_SECONDS nobody else may then."""
        ...

    def pause(self, endpoint: Endpoint, since: float, probe: str, now: float) -> bool:
        """Pauses an endpoint that fails ``since`` then; ``probe`` goes on trying. False when it does not."""
        ...

    def resume(self, endpoint: Endpoint, resumption: str) -> None:
        """Ends failing and pause; from now on the message ``resumption`` alone sends what waits."""
        ...

    def keep(self, endpoint: Endpoint, delivery: WaitingDelivery, now: float) -> None:
        """Lets a delivery wait, for WAITING_SECONDS at most. Nothing changes when it waits already."""
        ...

    def waiting(self, endpoint: Endpoint, limit: int) -> list[WaitingDelivery]:
        """The first of what waits, the oldest event first (strongly consistent)."""
        ...

    def forget(self, endpoint: Endpoint, delivery: WaitingDelivery) -> None:
        """A delivery waits no more."""
        ...


class WebhookPost(Protocol):
    """POSTs to clients' servers."""

    def __call__(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        """One POST, in a bounded time, whatever the other side does; never raises for it."""
        ...
