"""Raw calls to crun with bounded waits: unlike the product's own client, it returns every response as it is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from requests import Response, Session

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 10.0
#: One client may make twenty calls per ten seconds, and the stack makes calls at the same time.
PAUSE_SECONDS = 1.0
_LARGEST_ANSWER = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_KEY = re.compile(r"[\x21-\x7e]{1,512}")


class NoAnswer(Exception):
    """When a call has no complete response in time. Its text contains no URL."""


class OutOfTime(Exception):
    """When the time of the visit is used up: the call was not made."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``path`` follows ``/api/v1/client``; ``wrong_key`` sends a key that does not exist."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    wrong_key: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. ``headers`` by lower-case name; ``seconds`` from the request's first byte to its last."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float = 0.0


class Budget:
    """The time limit of a visit, in seconds."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._end = monotonic, monotonic() + seconds

    def left(self) -> float:
        """Returns the seconds that are left. Raises OutOfTime when none are."""
        left = self._end - self._monotonic()
        if left <= 0:
            raise OutOfTime
        return left


class OwnSession(Session):
    """A session that treats a redirect like any other response.

    requests would read the whole body of a redirect, without a limit, even with ``allow_redirects=False``.
    """

    def get_redirect_target(self, resp: Response) -> None:
        """Returns None, so that no response counts as a redirect."""


class Transport:
    """Sends calls one after another, with pauses. It repeats no call and follows no redirect.

    Raises ValueError for an invalid base URL or key; its text does not contain the key.
    """

    def __init__(
        self, base_url: str, api_key: str, budget: Budget, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        check_base_url(base_url)
        if not _KEY.fullmatch(api_key):
            raise ValueError("the API key is empty, or contains characters that no key has")
        self._base, self._key, self._budget, self._sleep = base_url.rstrip("/"), api_key, budget, sleep
        self._first = True
        self._http = OwnSession()
        self._http.trust_env = False

    def send(self, call: Call) -> Answer:
        """Returns the response, with any status. Raises NoAnswer and OutOfTime."""
        if not self._first:
            self.pause(PAUSE_SECONDS)
        self._first = False
        left, found = self._budget.left(), Future[Answer]()
        # Socket timeouts bound neither a DNS lookup nor a slow response. An abandoned thread ends with the process.
        threading.Thread(target=self._exchange, args=(call, left, found), daemon=True).start()
        try:
            return found.result(min(CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS, left))
        except TimeoutError:
            raise NoAnswer("no response in time") from None

    def _exchange(self, call: Call, left: float, found: Future[Answer]) -> None:
        started = time.monotonic()
        try:
            with self._http.request(
                call.method,
                self.url(call),
                json=call.body,
                headers={"x-api-key": WRONG_KEY if call.wrong_key else self._key},
                timeout=(min(CONNECT_TIMEOUT_SECONDS, left), min(READ_TIMEOUT_SECONDS, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = response.raw.read(_LARGEST_ANSWER + 1, decode_content=True)
            if len(body) > _LARGEST_ANSWER:
                raise ValueError("more than a megabyte")
            headers = {name.lower(): value for name, value in response.headers.items()}
            found.set_result(Answer(response.status_code, headers, body, time.monotonic() - started))
        except Exception as exc:
            # Not the exception itself, because its text contains the URL.
            found.set_exception(NoAnswer(_reason_of(exc)))

    def url(self, call: Call) -> str:
        """Returns the URL of a call."""
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{self._base}/api/v1/client{call.path}{query}"

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the budget."""
        self._sleep(min(seconds, self._budget.left()))


#: It has the form of no known key, so it is not a secret.
WRONG_KEY = "likeness-doctor-sends-no-key"


def check_base_url(base_url: str) -> None:
    """Raises ValueError unless the URL is https, or http to this machine: the key must be encrypted."""
    parts = urlsplit(base_url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("the base URL must have the form https://host[:port][/path]")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("the base URL must be https, because the call contains the key")


def _reason_of(exc: Exception) -> str:
    text = repr(exc)
    for mark, why in (
        ("NameResolutionError", "its name cannot be resolved"),
        ("SSLError", "its certificate is not valid"),
        ("NewConnectionError", "no connection"),
        ("ConnectTimeout", "no connection in time"),
        ("Timeout", "no response in time"),
        ("megabyte", "a response of more than a megabyte"),
    ):
        if mark in text:
            return why
    return f"the response was lost ({type(exc).__name__})"
