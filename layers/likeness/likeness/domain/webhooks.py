"""Webhooks: who is sent to, what a URL may be, how long a failed delivery waits."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from likeness.domain.addresses import is_public
from likeness.domain.ids import ulid

#: What an announcement fans out to is bounded.
MAX_ENDPOINTS = 10
#: After a rotation the previous secret signs beside the new one for a day.
ROTATION_SECONDS = 86_400
#: SQS hides a message for twelve hours at most, counted from its receipt: some minutes are left for the try itself.
LONGEST_PAUSE_SECONDS = 43_000
#: An endpoint that has accepted nothing for so long is tried by one delivery at a time; the others wait in the table.
ALONE_AFTER_SECONDS = 10
#: How long that one may be at it before another delivery is tried, should its run have died.
ALONE_SECONDS = 30
#: An endpoint that has accepted nothing for so long is paused: one message goes on trying, everything else waits.
PAUSE_AFTER_SECONDS = 7200
#: A delivery that waits in the table is deleted by DynamoDB after as long as SQS would keep it.
WAITING_SECONDS = 14 * 86_400
#: A pause is shortened by up to this part of it, so that what failed together does not come back together.
_JITTER = 0.2
_SECRET_BYTES = 32
_UNSAFE = re.compile(r"[^\x21-\x7e]|\\")
_LONGEST_URL = 2048


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client wants its events. ``url`` and the secrets are secrets; times in epoch seconds.

    ``event_types`` empty means all. ``disabled_reason`` is ``gone`` when the endpoint has answered 410.

    ``failing_since``: when the first of the tries began that have all failed, None after one was accepted.
    ``trying_until``: until then another delivery is being tried. ``paused_at``: since then deliveries wait in the
    table, and only the message that ``probe`` names is tried. ``resumption``: which message sends what waits.
    """

    client_id: str
    id: str
    url: str
    secret: str
    created_at: float
    event_types: tuple[str, ...] = ()
    previous_secret: str | None = None
    previous_until: float | None = None
    disabled_at: float | None = None
    disabled_reason: str | None = None
    failing_since: float | None = None
    trying_until: float | None = None
    paused_at: float | None = None
    probe: str | None = None
    resumption: str | None = None

    @property
    def host(self) -> str:
        """What may be shown of the URL."""
        return urlsplit(self.url).netloc

    def takes(self, event_type: str) -> bool:
        """Whether an event of that type is for this endpoint, as things are now."""
        return self.disabled_at is None and (not self.event_types or event_type in self.event_types)

    def is_unavailable(self, now: float) -> bool:
        """Whether deliveries wait in the table until one that is tried has been accepted."""
        if self.paused_at is not None:
            return True
        return self.failing_since is not None and now - self.failing_since >= ALONE_AFTER_SECONDS

    def secrets(self, now: float) -> tuple[str, ...]:
        """What a delivery is signed with, newest first."""
        if self.previous_secret and now < (self.previous_until or 0):
            return self.secret, self.previous_secret
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """A delivery that waits in the table: the event's id, its time (ISO 8601) and the body of its request.

    The body exists nowhere else. Like the message before it, it holds ids, statuses and codes, nothing personal.
    """

    event_id: str
    time: str
    body: str


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a receiver answered: ``status``, and the seconds that its Retry-After asks for (0: none). Without an answer

    ``status`` is None and ``problem`` says why in a word.
    """

    status: int | None = None
    retry_after: int = 0
    problem: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the delivery is over."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Retries:
    """``pauses`` in seconds after the first, second, … failed try, the last one again and again; ``tries`` in all."""

    pauses: Sequence[float]
    tries: int

    @classmethod
    def of(cls, pauses: str, tries: int) -> Retries:
        """Reads ``5,300,1800``. ValueError when that is no list of seconds."""
        read = [float(each) for each in pauses.split(",")]
        if not all(0 <= each <= LONGEST_PAUSE_SECONDS for each in read):
            raise ValueError("pauses")
        return cls(tuple(read), tries)

    def pause(self, tried: int, chance: float, asked: float = 0) -> int:
        """Seconds until the next try, after ``tried`` of them. ``chance`` from 0 to 1; ``asked`` by Retry-After.

        0 after the last one: nothing is left to wait for, and the queue makes a dead letter of it.
        """
        if tried >= self.tries:
            return 0
        planned = self.pauses[min(tried, len(self.pauses)) - 1] * (1 - _JITTER * chance)
        return round(min(max(planned, asked), LONGEST_PAUSE_SECONDS))


def endpoint_id(milliseconds: int, entropy: bytes) -> str:
    """``whe_`` and a ULID."""
    return f"whe_{ulid(milliseconds, entropy)}"


def new_secret(random_bytes: bytes) -> str:
    """A signing secret as Standard Webhooks writes it, of 32 random bytes."""
    if len(random_bytes) != _SECRET_BYTES:
        raise ValueError("random_bytes")
    return f"whsec_{base64.b64encode(random_bytes).decode()}"


def fault_of_url(url: str, *, private: bool) -> str | None:
    """Why ``url`` cannot be an endpoint, None when it can. ``private``: http and private addresses are allowed.

    Names are looked up for every delivery, not here: what they resolve to may change.
    """
    if len(url) > _LONGEST_URL or _UNSAFE.search(url):
        return f"at most {_LONGEST_URL} printable ASCII characters, without spaces or backslashes"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        return "it must begin with https://"
    if not host:
        return "it has no host"
    if "@" in parts.netloc:
        return "a user name or password in it would not be sent; use the path or the query"
    if parts.fragment:
        return "the part after # is never sent"
    if not private and _is_private_literal(host):
        return "it names a private address"
    return None


def _is_private_literal(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not is_public(ip_address(host))
    except ValueError:
        return False  # a name
