"""Raw calls to crun: what came back, with bounded waits. The product's own client shows what it reads."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from likeness.adapters.http.https import OwnSession

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 10.0
#: Twenty calls per ten seconds are what one client may use; the stack's own calls go on meanwhile.
PAUSE_SECONDS = 1.0
_LARGEST_ANSWER = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_KEY = re.compile(r"[\x21-\x7e]{1,512}")


class NoAnswer(Exception):
    """When a call brought no answer: no connection, none in time, or half of one. Its text holds no URL."""


class OutOfTime(Exception):
    """When the visit has taken all the time that it may: the call was not made."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``path`` begins behind ``/api/v1/client``; ``wrong_key`` sends a key that cannot be anybody's."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    wrong_key: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``headers`` by lower-case name; ``seconds`` from the request's first byte to the answer's last."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float = 0.0


class Budget:
    """The time that a visit may take, in seconds."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._end = monotonic, monotonic() + seconds

    def left(self) -> float:
        """What is left; OutOfTime when it is nothing."""
        left = self._end - self._monotonic()
        if left <= 0:
            raise OutOfTime
        return left


class Transport:
    """Sends calls one after the other, with a pause between them. Nothing is repeated, no redirect is followed.

    Raises ValueError, without the key in its words, for a base URL or a key that nothing may be sent to or with.
    """

    def __init__(
        self, base_url: str, api_key: str, budget: Budget, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        check_base_url(base_url)
        if not _KEY.fullmatch(api_key):
            raise ValueError("the API key holds characters that no key has, or is empty")
        self._base, self._key, self._budget, self._sleep = base_url.rstrip("/"), api_key, budget, sleep
        self._first = True
        self._http = OwnSession()
        self._http.trust_env = False

    def send(self, call: Call) -> Answer:
        """The answer, whatever it is. NoAnswer; OutOfTime."""
        if not self._first:
            self.pause(PAUSE_SECONDS)
        self._first = False
        left, found = self._budget.left(), Future[Answer]()
        # The time-outs of sockets bound neither the look-up of a name nor an answer that drips. A thread that is given
        # up ends with the process.
        threading.Thread(target=self._exchange, args=(call, left, found), daemon=True).start()
        try:
            return found.result(min(CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS, left))
        except TimeoutError:
            raise NoAnswer("no answer in time") from None

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
            # Not the exception itself: the texts of these hold the URL.
            found.set_exception(NoAnswer(_reason_of(exc)))

    def url(self, call: Call) -> str:
        """Where a call goes."""
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{self._base}/api/v1/client{call.path}{query}"

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the budget."""
        self._sleep(min(seconds, self._budget.left()))


#: Of the form of no known key; it may be shown.
WRONG_KEY = "likeness-doctor-sends-no-key"


def check_base_url(base_url: str) -> None:
    """ValueError unless it is https, or http to this machine: a key is not sent in the clear."""
    parts = urlsplit(base_url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("the base URL is https://host[:port][/path]")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("the base URL must be https: the key would travel in the clear")


def _reason_of(exc: Exception) -> str:
    text = repr(exc)
    for mark, why in (
        ("NameResolutionError", "its name is not known"),
        ("SSLError", "its certificate is not good"),
        ("NewConnectionError", "no connection"),
        ("ConnectTimeout", "no connection in time"),
        ("Timeout", "no answer in time"),
        ("megabyte", "an answer of more than a megabyte"),
    ):
        if mark in text:
            return why
    return f"the answer was lost ({type(exc).__name__})"
