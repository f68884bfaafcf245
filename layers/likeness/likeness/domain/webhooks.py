"""Webhooks: endpoints, the URLs that they may have, and the pauses between tries of a delivery."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from likeness.domain.addresses import is_public
from likeness.domain.ids import ulid

#: The maximum number of endpoints of a client.
MAX_ENDPOINTS = 10
#: After a rotation, deliveries are signed with the previous secret too, for a day.
ROTATION_SECONDS = 86_400
#: SQS hides a message for at most twelve hours from its receipt; this leaves some minutes for the try itself.
LONGEST_PAUSE_SECONDS = 43_000
#: After this time without an accepted delivery, one delivery at a time is tried; the others wait in the table.
ALONE_AFTER_SECONDS = 10
#: After this time another delivery may be tried, in case the run of the first one was killed.
ALONE_SECONDS = 30
#: After this time without an accepted delivery, the endpoint is paused: one message is retried, all others wait.
PAUSE_AFTER_SECONDS = 7200
#: DynamoDB deletes a waiting delivery after this time, which is also SQS' retention period.
WAITING_SECONDS = 14 * 86_400
#: A pause is shortened by up to this share, so that messages that failed together are not retried together.
_JITTER = 0.2
_SECRET_BYTES = 32
_UNSAFE = re.compile(r"[^\x21-\x7e]|\\")
_LONGEST_URL = 2048
#: The rest of a path's segment that is long enough for a token.
_LONG_SEGMENT = re.compile(r"(?<=/[^/]{4})[^/]{12,}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint of a client. ``url`` and the secrets are secrets; times in epoch seconds.

    ``event_types`` empty means all. ``disabled_reason`` is ``gone`` when the endpoint has responded with 410.

    ``failing_since``: the start of the first try since the last accepted delivery, None when the last one was accepted.
    ``trying_until``: until then, another delivery is being tried. ``paused_at``: since then, deliveries wait in the
    table, and only the message named by ``probe`` is tried. ``resumption``: the message that sends the waiting ones.
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
    #: The HTTP status of the last failed try, or a code when there was no response; None after an accepted one.
    last_failure: str | None = None

    @property
    def state(self) -> tuple[str, float | None]:
        """``enabled``, ``failing``, ``paused`` or ``disabled``, and since when; None for ``enabled``."""
        if self.disabled_at is not None:
            return "disabled", self.disabled_at
        if self.paused_at is not None:
            return "paused", self.paused_at
        return ("enabled", None) if self.failing_since is None else ("failing", self.failing_since)

    @property
    def address(self) -> str:
        """The URL's origin and path, for the endpoint's own client, without what may be a secret.

        That is the query, and all but the first characters of a long segment of the path.
        """
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{_LONG_SEGMENT.sub('…', parts.path)}"

    @property
    def host(self) -> str:
        """The part of the URL that may be shown."""
        return urlsplit(self.url).netloc

    def takes(self, event_type: str) -> bool:
        """Whether the endpoint is enabled and accepts events of that type."""
        return self.disabled_at is None and (not self.event_types or event_type in self.event_types)

    def is_unavailable(self, now: float) -> bool:
        """Whether deliveries wait in the table until one has been accepted."""
        if self.paused_at is not None:
            return True
        return self.failing_since is not None and now - self.failing_since >= ALONE_AFTER_SECONDS

    def secrets(self, now: float) -> tuple[str, ...]:
        """The secrets that sign a delivery, newest first."""
        if self.previous_secret and now < (self.previous_until or 0):
            return self.secret, self.previous_secret
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """A delivery that waits in the table: the event's id, its time (ISO 8601) and the body of its request.

    The table has the only copy of the body. It contains ids, statuses and codes, nothing personal.
    """

    event_id: str
    time: str
    body: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A received dead letter: its body, and the receipt to delete it or to show it again."""

    body: str
    receipt: str


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """A receiver's response: ``status``, and the seconds of its Retry-After (0: none).

    Without a response, ``status`` is None and ``problem`` is a code for the cause.
    """

    status: int | None = None
    retry_after: int = 0
    problem: str | None = None

    @property
    def failure(self) -> str:
        """The status, or the cause when there was no response."""
        return str(self.status) if self.status is not None else self.problem or "no_answer"

    @property
    def accepted(self) -> bool:
        """Whether the delivery was successful."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Retries:
    """``pauses`` in seconds after the first, second, … failed try, the last one repeatedly; ``tries`` in all."""

    pauses: Sequence[float]
    tries: int

    @classmethod
    def of(cls, pauses: str, tries: int) -> Retries:
        """Parses ``5,300,1800``. Raises ValueError when it is not a list of seconds within the limit."""
        read = [float(each) for each in pauses.split(",")]
        if not all(0 <= each <= LONGEST_PAUSE_SECONDS for each in read):
            raise ValueError("pauses")
        return cls(tuple(read), tries)

    def pause(self, tried: int, chance: float, asked: float = 0) -> int:
        """Seconds until the next try, after ``tried`` of them. ``chance`` from 0 to 1; ``asked`` by Retry-After.

        0 after the last one: the queue moves the message to the dead-letter queue.
        """
        if tried >= self.tries:
            return 0
        planned = self.pauses[min(tried, len(self.pauses)) - 1] * (1 - _JITTER * chance)
        return round(min(max(planned, asked), LONGEST_PAUSE_SECONDS))


def endpoint_id(milliseconds: int, entropy: bytes) -> str:
    """``whe_`` and a ULID."""
    return f"whe_{ulid(milliseconds, entropy)}"


def new_secret(random_bytes: bytes) -> str:
    """A signing secret in the format of Standard Webhooks, of 32 random bytes."""
    if len(random_bytes) != _SECRET_BYTES:
        raise ValueError("random_bytes")
    return f"whsec_{base64.b64encode(random_bytes).decode()}"


def fault_of_url(url: str, *, private: bool) -> str | None:
    """Why ``url`` cannot be an endpoint, None when it can. ``private``: http and private addresses are allowed.

    Host names are resolved for every delivery, not here, because their addresses may change.
    """
    if len(url) > _LONGEST_URL or _UNSAFE.search(url):
        return f"must have at most {_LONGEST_URL} printable ASCII characters, without spaces or backslashes"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "must be a valid URL"
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        return "must begin with https://"
    if not host:
        return "must have a host"
    if "@" in parts.netloc:
        return "must not have a user name or password, which would not be sent; use the query, which is never shown"
    if parts.fragment:
        return "must not have a fragment (#), which would not be sent"
    if not private and _is_private_literal(host):
        return "must not be a private address"
    return None


def _is_private_literal(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not is_public(ip_address(host))
    except ValueError:
        return False  # a name
