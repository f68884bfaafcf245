"""A receiver of webhooks on loopback, like a developer's: it verifies and stores them, and responds immediately."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from standardwebhooks import Webhook

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Received:
    """One request: ``headers`` with lower-case names, and the raw bytes of the body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The id by which a handler detects duplicates."""
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> dict[str, Any]:
        """Returns the payload. Raises WebhookVerificationError when the signature is wrong or too old."""
        return cast("dict[str, Any]", Webhook(secret).verify(self.body, dict(self.headers)))


@dataclass(frozen=True)
class Reply:
    """The receiver's response, sent after ``seconds``."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0


class Receiver:
    """Listens in the block. ``reply`` returns the response; ``received`` has the requests in order."""

    def __init__(self, reply: Callable[[Received], Reply] = lambda _: Reply()) -> None:
        self.received: list[Received] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receive = self._receive
        self._reply = reply
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Receiver:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL_SECONDS}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, done: Callable[[list[Received]], bool], seconds: float) -> bool:
        """Returns whether ``done`` returned True for the received requests within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not done(list(self.received)):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _receive(self, request: Received) -> Reply:
        reply = self._reply(request)
        self.received.append(request)
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    receive: Callable[[Received], Reply]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.receive(Received(self.path, headers, body))
        time.sleep(reply.seconds)
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # the client may have closed the connection
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing, because a path may contain a token."""
