"""Receives the signed webhooks of a local stack, keeps them, and forwards them to a developer's server."""

from __future__ import annotations

import http.client
import json
import os
import queue
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook, WebhookVerificationError

from likeness.domain.webhooks import new_secret
from ops.webhooks import NoSuchEndpoint, Webhooks

#: The newest events are kept.
MOST_KEPT = 200
#: No webhook is as large; ours are below 1 KiB.
_MOST_BYTES = 262_144
_FORWARD_SECONDS = 10
#: Headers of the connection, which each connection sets itself.
_OF_THE_CONNECTION = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


@dataclass(frozen=True)
class Received:
    """A verified webhook: its headers, with lower-case names, and its body as text."""

    headers: Mapping[str, str]
    body: str

    @property
    def id(self) -> str:
        """The event's id."""
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        """The event's type."""
        return str(json.loads(self.body)["type"])

    def signed_again(self, secret: str) -> Received:
        """The webhook with a signature of the present time, as a later try has: the id and the body are the same."""
        now = datetime.now(UTC)
        signature = Webhook(secret).sign(self.id, now, self.body)
        stamp = {"webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        return replace(self, headers={**self.headers, **stamp})


class Kept:
    """The file with what `listen` keeps for a stack, for the owner alone: the secret, the endpoints, the events.

    The secret is the same in every run, so that a server needs it once. It is worth nothing outside of this machine.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        found: dict[str, Any] = {}
        with suppress(FileNotFoundError, ValueError):
            found = json.loads(file.read_text())
        self.secret: str = found.get("secret") or new_secret(secrets.token_bytes(32))
        self.endpoints: list[str] = found.get("endpoints", [])
        self.events = [Received(**each) for each in found.get("events", ())]

    def add(self, event: Received) -> None:
        """Keeps an event, and drops the oldest ones beyond MOST_KEPT. A duplicate replaces the earlier one."""
        self.events = [*(each for each in self.events if each.id != event.id), event][-MOST_KEPT:]
        self.save()

    def save(self) -> None:
        """Writes the file, whole or not at all."""
        values = {"secret": self.secret, "endpoints": self.endpoints, "events": [asdict(each) for each in self.events]}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp creates a file that only its owner can read.
        descriptor, written = tempfile.mkstemp(dir=self.file.parent, prefix=self.file.name)
        with os.fdopen(descriptor, "w") as out:
            json.dump(values, out)
        os.replace(written, self.file)

    def chosen(self, which: str) -> list[Received]:
        """Returns the kept events that ``evt_…``, ``last`` or ``last N`` names, the oldest first. Raises ValueError."""
        if which.startswith("evt_"):
            found = [each for each in self.events if each.id == which]
        else:
            word, _, count = which.replace(":", " ").partition(" ")
            if word != "last" or not (count or "1").isdecimal() or int(count or 1) < 1:
                raise ValueError("--replay takes evt_…, last, or 'last N'")
            found = self.events[-int(count or 1) :]
        if not found:
            raise ValueError(f"no kept event is {which}; the newest {MOST_KEPT} are kept in {self.file}")
        return found


@contextmanager
def endpoints(webhooks: Webhooks, kept: Kept, clients: Sequence[str], url: str, types: Sequence[str]) -> Iterator[None]:
    """Registers ``url`` as an endpoint of each client, and removes these endpoints when the block ends.

    Endpoints that a run has left behind because it was killed are removed first. Raises ValueError.
    """
    _remove(webhooks, kept)
    try:
        for client_id in clients:
            made = webhooks.add(client_id, url, types, secret=kept.secret)
            kept.endpoints.append(made.id)
            kept.save()
        yield
    finally:
        _remove(webhooks, kept)


def _remove(webhooks: Webhooks, kept: Kept) -> None:
    for each in kept.endpoints:
        with suppress(NoSuchEndpoint):
            webhooks.remove(each)
    kept.endpoints = []
    kept.save()


class Listener:
    """Listens on loopback in the block. It accepts what is signed with ``secret``; others get 400."""

    def __init__(self, secret: str) -> None:
        self._received: queue.Queue[Received] = queue.Queue()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.accept = self._accept
        self._webhook = Webhook(secret)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Listener:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def events(self) -> Iterable[Received]:
        """Yields verified webhooks as they arrive, without an end."""
        while True:
            with suppress(queue.Empty):
                yield self._received.get(timeout=0.5)

    def _accept(self, headers: Mapping[str, str], body: bytes) -> int:
        try:
            self._webhook.verify(body, dict(headers))
        except (WebhookVerificationError, ValueError):
            return 400
        self._received.put(Received(headers, body.decode()))
        return 204


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    accept: Any


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 15

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        status = 413
        if length.isdecimal() and int(length) <= _MOST_BYTES:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = self.server.accept(headers, self.rfile.read(int(length)))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing: `listen` prints a line for each event."""


def forward(event: Received, url: str) -> str:
    """Posts an event with its headers and body unchanged. Returns the status, or why there is none.

    Follows no redirect, as Likeness itself, and uses no proxy.
    """
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=_FORWARD_SECONDS)
    headers = {name: value for name, value in event.headers.items() if name not in _OF_THE_CONNECTION}
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, event.body.encode(), headers)
        return str(connection.getresponse().status)
    except TimeoutError:
        return f"no response in {_FORWARD_SECONDS} s"
    except (OSError, http.client.HTTPException) as exc:
        return f"not reached ({type(exc).__name__})"
    finally:
        connection.close()
