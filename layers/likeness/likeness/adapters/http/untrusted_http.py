"""HTTP with untrusted hosts: bounded waits, public addresses only, no cookies, and no details in the logs."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from likeness.adapters.http.https import ReadyAdapter
from likeness.domain.addresses import is_public

#: A connection of its own for every request, since one that a frozen function has kept is dead more often than not; and
#: nothing that has to be unpacked.
HEADERS = {"Connection": "close", "Accept-Encoding": "identity"}
#: As a timeout, 0 is refused.
_SHORTEST_SECONDS = 0.001

Watch = Callable[[socket.socket], None]


class Deadline:
    """Cuts off, after ``seconds``, the connections that it was shown; and those that are left at the block's end.

    One that a server kept open would serve the next block, whose deadline was not shown it.
    """

    def __init__(self, seconds: float) -> None:
        self.over = threading.Event()
        self._handles: list[socket.socket] = []
        self._ends_at = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._cut()
        for each in self._handles:
            each.close()

    @property
    def left(self) -> float:
        """Seconds, as a timeout: never 0."""
        return max(self._ends_at - time.monotonic(), _SHORTEST_SECONDS)

    def watch(self, made: socket.socket) -> None:
        """Also cuts off ``made``."""
        self._handles.append(made.dup())  # a handle of our own: TLS takes the first one over
        if self.over.is_set():
            self._cut()

    def _end(self) -> None:
        self.over.set()
        self._cut()

    def _cut(self) -> None:
        for each in self._handles:
            with suppress(OSError):  # it has ended by itself
                each.shutdown(socket.SHUT_RDWR)


class UntrustedSession(requests.Session):
    """Connects to one untrusted host at a time, and only by the adapters that are mounted on it."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("urllib3", "requests_hardened"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # their warnings quote hosts and URLs
        self.trust_env = False  # neither proxies nor .netrc
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # none from one client to the next
        self.adapters.clear()
        self._deadline = Deadline(0)

    def within(self, seconds: float) -> Deadline:
        """The deadline of all that is sent in its block."""
        self._deadline = Deadline(seconds)
        return self._deadline

    def watch(self, made: socket.socket) -> None:
        """Puts a new connection under the deadline of this moment."""
        self._deadline.watch(made)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """None: of a redirect that it does not follow, requests reads all the body, and stumbles over the target."""
        return None


def _watched(watch: Watch) -> dict[str, type[HTTPConnectionPool]]:
    """Pools of connections that ``watch`` sees before anything is sent, also before TLS begins."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            watch(made)
            return made

    class Encrypted(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


class WatchedAdapter(ReadyAdapter):
    """Shows ``watch`` every connection."""

    def __init__(self, watch: Watch, **options: Any) -> None:
        self._watch = watch
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _watched(self._watch)


class PublicAdapter(WatchedAdapter, IPFilterAdapter):  # type: ignore[misc]  # it comes without types
    """Looks the name up once, and connects to that address only if it is public; by http or https, as the URL says.

    ``loopback`` allows 127.0.0.0/8 and ::1 besides, and nothing else that is private.
    """

    def __init__(self, watch: Watch, *, loopback: bool = False) -> None:
        self._loopback = loopback
        super().__init__(watch, is_https_proto=False, allow_loopback=loopback)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> Any:
        """See HTTPAdapter. IPFilterAdapter lets through what embeds IPv4 in ::/96, and the old site-local addresses."""
        attributes: Any = super().build_connection_pool_key_attributes(request, *args, **options)
        host, pool = attributes
        address = ip_address(host["host"].strip("[]"))
        if not (is_public(address) or (self._loopback and address.is_loopback)):
            raise InvalidIPAddress(address)
        if host["scheme"] == "https":
            # IPFilterAdapter is for one scheme or the other, and a second adapter would read the authorities once more.
            pool["server_hostname"] = pool["assert_hostname"] = urlsplit(request.url).hostname
        return host, pool


def problem_of(error: Exception) -> str | None:
    """What went wrong, in a word that is no secret: the errors' own texts quote the URL. None for a fault of ours."""
    if isinstance(error, InvalidIPAddress):
        return "private_address"
    if isinstance(error, requests.Timeout):
        return "timeout"
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    if isinstance(error, requests.ConnectionError):
        return "no_connection"
    if isinstance(error, requests.RequestException | OSError) or type(error).__module__.startswith("urllib3"):
        return "no_answer"
    return None
