"""Ports that every capability uses: clock, keys and queues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Clock(Protocol):
    """The only source of time and randomness."""

    def now(self) -> float:
        """Epoch seconds, UTC."""
        ...

    def entropy(self) -> bytes:
        """Ten random bytes for a ULID."""
        ...


class SigningKeys(Protocol):
    """The keys of callback signatures and session tokens."""

    def current(self) -> Iterable[bytes]:
        """Valid keys, newest first."""
        ...

    def fresh(self) -> Iterable[bytes]:
        """The same, after a check for a rotation: for a signature that matches none of ``current()``."""
        ...


class Queue(Protocol):
    """The onboarding queue, or the webhook queue."""

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        """Puts a message (see contracts/messages.py and contracts/webhooks.py) on the queue."""
        ...
