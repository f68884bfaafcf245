"""A real HTTP server on loopback with scripted responses: late, truncated or unexpected."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Answer:
    """The server's response to one request. ``body`` is sent as JSON unless it is bytes."""

    status: int = 200
    body: Any = None
    content_type: str | None = JSON
    headers: dict[str, str] = field(default_factory=dict)
    #: Bytes of the body that are announced but not sent. None closes the connection without a response.
    missing: int | None = 0
    #: Sends no response until the server stops.
    hangs: bool = False
    #: Sends the part that the header Range asks for, with 206.
    ranged: bool = False

    @property
    def content(self) -> bytes:
        """Returns the body as bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def part(self, wanted: str | None) -> Answer:
        """Returns the response to a request with this header Range."""
        if wanted is None or not self.ranged:
            return self
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        return replace(self, status=206, body=self.content[start:])


CUT = Answer(missing=None)
HANGS = Answer(hangs=True)


def problem(status: int, code: str, retry_after: str | None = None, **members: Any) -> Answer:
    """Returns a problem response of the API."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer(status, {"title": "No", "status": status, "code": code} | members, PROBLEM, headers)


@dataclass(frozen=True)
class Seen:
    """A received request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the body, parsed as JSON."""
        return json.loads(self.body)


@dataclass
class Script:
    """The remaining responses and the received requests. A request without a scripted response gets a 418."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def then(self, *answers: Answer) -> None:
        """Appends responses to the script."""
        self.answers += answers


def _handler(script: Script) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a body would wait 40 ms for the receipt of its headers

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            if len(body) < size:  # the client has given up
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.seen.append(Seen(self.command, self.path, headers, body))
            answer = script.answers.pop(0) if script.answers else Answer(418)
            answer = answer.part(headers.get("range"))
            if answer.hangs:
                script.over.wait(30)
            if answer.hangs or answer.missing is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            if answer.content_type:
                self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content) + answer.missing))
            self.end_headers()
            self.wfile.write(answer.content)
            self.close_connection = answer.missing > 0

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
            pass

    return Handler


@contextmanager
def scripted_server() -> Iterator[Script]:
    """Runs a server during the block."""
    script = Script()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(script)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield script
        script.over.set()
        server.shutdown()
        thread.join(timeout=5)
