"""Serves recorded responses of AWS and crun to one process at a time, in their order, over HTTP on loopback.

It also serves the Runtime API for ``awslambdaric`` (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.studies.recording import Exchange

_INVOCATION = "/2018-06-01/runtime/invocation/"


@dataclass
class Run:
    """One process: its event, the recorded responses, and its answer.

    ``ready`` is set when it asks for its event, ``over`` when it has answered, ``idle`` when it asks for another event.
    """

    event: dict[str, Any]
    exchanges: Sequence[Exchange]
    answer: bytes | None = None
    failed: bool = False
    ready: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    idle: threading.Event = field(default_factory=threading.Event)
    _next: int = 0

    def take(self) -> Exchange | None:
        """Returns the next response; the last one again when all have been used."""
        if not self.exchanges:
            return None
        found = self.exchanges[min(self._next, len(self.exchanges) - 1)]
        self._next += 1
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        run = self.server.run
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(_INVOCATION):
            self._runtime(run, body)
        elif self.path.startswith("/2018-06-01/runtime/init/error"):
            run.answer, run.failed = body, True
            run.ready.set()
            run.over.set()
            run.idle.set()
            self._send(202, {}, b"{}")
        else:
            found = run.take()
            if found is None:
                self._send(500, {}, b"")
            else:
                kept = {name: value for name, value in found.headers.items() if name not in _HOP}
                self._send(found.status, kept, found.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _runtime(self, run: Run, body: bytes) -> None:
        if self.path == f"{_INVOCATION}next":
            if run.ready.is_set():
                run.idle.set()  # without a response: the process waits until it is ended
                return
            run.ready.set()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 60) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:bench",
                "Content-Type": "application/json",
            }
            self._send(200, headers, json.dumps(run.event).encode())
            return
        run.answer, run.failed = body, not self.path.endswith("/response")
        self._send(202, {}, b"{}")
        run.over.set()

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is logged."""


_HOP = frozenset({"content-length", "connection", "transfer-encoding", "date", "server"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    run: Run

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores the connections of processes that were killed."""


class Canned:
    """The server; ``play`` sets the responses for the process that starts next."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.address = f"127.0.0.1:{server.server_address[1]}"

    def play(self, run: Run) -> None:
        """Serves ``run`` from now on."""
        self._server.run = run


@contextmanager
def canned() -> Iterator[Canned]:
    """Runs a server on loopback."""
    server = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Canned(server)
    finally:
        server.shutdown()
        server.server_close()
