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
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from likeness.adapters.http.https import trusting_context
from likeness.domain.addresses import is_public

#: Every request uses a new connection, because one that a frozen function has kept is usually closed. Responses are not
#: compressed.
HEADERS = {"Connection": "close", "Accept-Encoding": "identity"}
#: The shortest timeout: requests rejects 0.
_SHORTEST_SECONDS = 0.001

Watch = Callable[[socket.socket], None]


class Deadline:
    """Closes the watched connections after ``seconds`` or at the end of its block, whichever comes first.

    Otherwise a connection that a server keeps open could be reused in the next block, whose deadline does not watch it.
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
        """The remaining seconds, usable as a timeout: never 0."""
        return max(self._ends_at - time.monotonic(), _SHORTEST_SECONDS)

    def watch(self, made: socket.socket) -> None:
        """Adds ``made`` to the watched connections."""
        self._handles.append(made.dup())  # a separate handle, because TLS takes over the first one
        if self.over.is_set():
            self._cut()

    def _end(self) -> None:
        self.over.set()
        self._cut()

    def _cut(self) -> None:
        for each in self._handles:
            with suppress(OSError):  # already closed
                each.shutdown(socket.SHUT_RDWR)


class UntrustedSession(requests.Session):
    """Connects to one untrusted host at a time, and only through the adapters mounted on it."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("urllib3", "requests_hardened"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # their warnings quote hosts and URLs
        self.trust_env = False  # no proxies, no .netrc
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no cookies
        self.adapters.clear()
        self._deadline = Deadline(0)

    def within(self, seconds: float) -> Deadline:
        """Returns the deadline for all requests in its block."""
        self._deadline = Deadline(seconds)
        return self._deadline

    def watch(self, made: socket.socket) -> None:
        """Adds a new connection to the current deadline."""
        self._deadline.watch(made)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Returns None: for a redirect, requests would read the whole body and might fail on the target."""
        return None


def _watched(watch: Watch) -> dict[str, type[HTTPConnectionPool]]:
    """Returns connection pools that pass each connection to ``watch`` before anything is sent, TLS included."""

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


class ReadyAdapter(HTTPAdapter):
    """Reads the CA certificates once, while the function starts: requests reads them for each new connection."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **options, ssl_context=trusting_context())

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """See HTTPAdapter. The context already has the CA certificates. A custom bundle is read as usual."""
        if verify is True:
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


class WatchedAdapter(ReadyAdapter):
    """Passes every new connection to ``watch``."""

    def __init__(self, watch: Watch, **options: Any) -> None:
        self._watch = watch
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _watched(self._watch)


class PublicAdapter(WatchedAdapter, IPFilterAdapter):  # type: ignore[misc]  # has no types
    """Resolves the host once and connects only to a public address, over http or https.

    ``loopback`` also allows 127.0.0.0/8 and ::1, but no other private addresses.
    """

    def __init__(self, watch: Watch, *, loopback: bool = False) -> None:
        self._loopback = loopback
        super().__init__(watch, is_https_proto=False, allow_loopback=loopback)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> Any:
        """See HTTPAdapter. Also rejects IPv4 in ::/96 and site-local addresses, which IPFilterAdapter allows."""
        attributes: Any = super().build_connection_pool_key_attributes(request, *args, **options)
        host, pool = attributes
        address = ip_address(host["host"].strip("[]"))
        if not (is_public(address) or (self._loopback and address.is_loopback)):
            raise InvalidIPAddress(address)
        if host["scheme"] == "https":
            # IPFilterAdapter supports one scheme only, and a second adapter would read the CA certificates again.
            pool["server_hostname"] = pool["assert_hostname"] = urlsplit(request.url).hostname
        return host, pool


def problem_of(error: Exception) -> str | None:
    """Returns a code without secrets, because the errors' texts quote the URL. Returns None for a bug."""
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
