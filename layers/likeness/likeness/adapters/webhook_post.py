"""Webhooks over HTTPS to servers of strangers: public addresses alone, no redirects, every wait bounded."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any

import requests
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from likeness.adapters.https import ReadyAdapter, seconds_to_wait
from likeness.domain.webhooks import LONGEST_PAUSE_SECONDS, WebhookAnswer, is_public

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 10.0
#: All of a delivery: timeouts begin anew with every byte that drips in.
TOTAL_SECONDS = 15.0
#: Of an answer only the status counts. It is read so that the receiver may finish, and thrown away.
_LARGEST_ANSWER = 64 << 10
_CHUNK = 4 << 10

Watch = Callable[[socket.socket], None]


class _Deadline:
    """Cuts off, after ``seconds``, the connections that it was shown."""

    def __init__(self, seconds: float) -> None:
        self.over = threading.Event()
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for each in self._handles:
            each.close()

    def watch(self, made: socket.socket) -> None:
        """Also cuts off ``made``."""
        self._handles.append(made.dup())  # a handle of our own: TLS takes the first one over
        if self.over.is_set():
            self._cut()

    def _cut(self) -> None:
        self.over.set()
        for each in self._handles:
            with suppress(OSError):  # it has ended by itself
                each.shutdown(socket.SHUT_RDWR)


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


class _Adapter(ReadyAdapter):
    def __init__(self, watch: Watch, **options: Any) -> None:
        self._watch = watch
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _watched(self._watch)


class _PublicAdapter(_Adapter, IPFilterAdapter):  # type: ignore[misc]  # it comes without types
    """Looks the name up once, and connects to that address only if it is public."""

    def build_connection_pool_key_attributes(self, *args: Any, **options: Any) -> Any:
        """See HTTPAdapter. IPFilterAdapter lets through what embeds IPv4 in ::/96, and the old site-local addresses."""
        host, pool = super().build_connection_pool_key_attributes(*args, **options)
        address = ip_address(host["host"].strip("[]"))
        if not is_public(address):
            raise InvalidIPAddress(address)
        return host, pool


class HttpWebhookPost:
    """The port ``WebhookPost``, for one delivery at a time. ``private`` allows http and every address."""

    def __init__(
        self, *, private: bool, read_timeout: float = READ_TIMEOUT_SECONDS, total: float = TOTAL_SECONDS
    ) -> None:
        for name in ("urllib3", "requests_hardened"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # their warnings quote hosts and URLs
        self._timeouts, self._total = (CONNECT_TIMEOUT_SECONDS, read_timeout), total
        self._deadline = _Deadline(total)
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # none from one client to the next
        self._http.adapters.clear()  # what is not mounted below is refused
        if private:
            for scheme in ("https://", "http://"):
                self._http.mount(scheme, _Adapter(self._watch))
        else:
            self._http.mount("https://", _PublicAdapter(self._watch, is_https_proto=True))

    def _watch(self, made: socket.socket) -> None:
        self._deadline.watch(made)

    def __call__(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        """See the port."""
        self._deadline = _Deadline(self._total)
        with self._deadline:
            try:
                return self._post(url, headers, body)
            except Exception as exc:
                problem = _problem(exc)
                if problem is None:
                    raise
                return WebhookAnswer(problem="timeout" if self._deadline.over.is_set() else problem)

    def _post(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        # A connection of its own: one that a frozen function has kept is dead more often than not.
        own = {"Connection": "close", "Accept-Encoding": "identity"}
        with self._http.post(
            url,
            data=body.encode(),
            headers={**own, **headers},
            timeout=self._timeouts,
            allow_redirects=False,
            stream=True,
        ) as response:
            if self._deadline.over.is_set():
                raise requests.ReadTimeout  # a head that was cut off reads like one that has ended
            asked = response.headers.get("Retry-After", "").strip()
            # What becomes of the rest does not matter: the status has been given.
            with suppress(Exception):
                self._read(response)
        return WebhookAnswer(response.status_code, seconds_to_wait(asked, time.time(), LONGEST_PAUSE_SECONDS) or 0)

    def _read(self, response: requests.Response) -> None:
        left = _LARGEST_ANSWER
        while left > 0 and (chunk := response.raw.read(_CHUNK)):
            left -= len(chunk)


def _problem(error: Exception) -> str | None:
    """What went wrong, in a word that is no secret: the errors' own texts quote the URL. None for a fault of ours."""
    if isinstance(error, InvalidIPAddress):
        return "private_address"
    if isinstance(error, requests.Timeout):
        return "timeout"
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "not_https"
    if isinstance(error, requests.ConnectionError):
        return "no_connection"
    if isinstance(error, requests.RequestException | OSError) or type(error).__module__.startswith("urllib3"):
        return "no_answer"
    return None
