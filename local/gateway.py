"""A reverse proxy: one origin for the emulator's API (/v1) and the simulator (/crun)."""

from __future__ import annotations

import argparse
import gzip
import http.client
import re
import signal
import sys
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import yaml

from local.processes import ROOT

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers",
        "transfer-encoding", "upgrade", "host", "content-length", "date", "server",
    }
)  # fmt: skip
_TIMEOUT_SECONDS = 35
_LARGEST_BODY = 10 * 1024 * 1024
#: The template's MinimumCompressionSize, which the emulator does not support.
_SMALLEST_COMPRESSED = 1024
_INDEX = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Likeness on one machine</title>
<body style="font:17px/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem"><h1>Likeness on one machine</h1>
<ul><li><a href="/v1/docs">The API</a></li>
<li><a href="/v1/console">The operator's console</a> (needs a client key)</li>
<li><a href="/v1/invite">The person's page</a> (needs an invite link)</li>
<li><a href="/crun/_sim">crun's simulator</a></li></ul></body></html>"""
#: Besides the words of routes, the log shows only ids of sessions, assets and generations in their places. Any other
#: part of a path may be a signature or a token.
_ID = re.compile(r"(sessions/ses|assets/ast|generations/gen)_[0-9A-HJKMNP-TV-Z]{26}")
_MASK = "***"


@cache
def _words() -> frozenset[str]:
    """Returns the words of all routes: the API's, from its OpenAPI document, and the simulator's."""
    api = yaml.load((ROOT / "layers" / "likeness" / "openapi.yaml").read_text("utf-8"), yaml.CSafeLoader)
    words = {each for path in api["paths"] for each in path.split("/") if not each.startswith("{")}
    return frozenset(words | {"", "v1", "crun", "h5", "validate", "media"})


def shown(path: str) -> str:
    """Returns a request's path without its query; a part that is neither a word of a route nor an id is masked."""
    parts = path.partition("?")[0].split("/")
    return "/".join(
        each if each in _words() or _ID.fullmatch(f"{before}/{each}") else _MASK
        for before, each in zip(["", *parts], parts, strict=False)
    )


class Gateway(BaseHTTPRequestHandler):
    """Forwards requests and returns the responses. It returns redirects as they are."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait 40 ms for the receipt of its headers
    # prefix → (origin, the path that replaces the prefix)
    targets: ClassVar[dict[str, tuple[str, str]]] = {}
    _began: float | None = None

    def _pass_on(self) -> None:
        self._began = time.monotonic()
        length = self.headers.get("Content-Length") or "0"
        refused = 0
        if "Transfer-Encoding" in self.headers:
            refused = 411
        elif not (length.isascii() and length.isdecimal()):
            refused = 400
        elif int(length) > _LARGEST_BODY:
            refused = 413
        if refused:
            # The body is not read: on a kept-alive connection it would be parsed as the next request.
            return self._answer(refused, {"Connection": "close"}, b"")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            # The client has ended. API Gateway forwards no part of a request either: an empty body can be a valid one.
            self.close_connection = True
            return None
        for prefix, (origin, path) in self.targets.items():
            if self.path == prefix or self.path.startswith((f"{prefix}/", f"{prefix}?")):
                return self._forward(origin, path + self.path[len(prefix) :], body)
        if self.path == "/":
            return self._answer(200, {"Content-Type": "text/html"}, _INDEX)
        return self._answer(404, {"Content-Type": "text/plain"}, b"Not found. See / for the links.\n")

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _pass_on  # noqa: N815

    def _forward(self, origin: str, path: str, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(self.command, path, body=body or None, headers=headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            return self._answer(
                502, {"Content-Type": "text/plain"}, b"The service behind this gateway does not respond.\n"
            )
        finally:
            connection.close()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
        film = response.headers.get_content_maintype() == "video"  # no storage compresses films
        if len(answer) >= _SMALLEST_COMPRESSED and "gzip" in self.headers.get("Accept-Encoding", "") and not film:
            answer = gzip.compress(answer, mtime=0)
            kept |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return self._answer(response.status, kept, answer)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing: the standard messages quote requests, which contain signatures and tokens."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        """Logs method, path, status and milliseconds. A request that cannot be parsed has only a status."""
        parsed = self._began is not None
        taken = f"{(time.monotonic() - self._began) * 1000:.0f} ms" if self._began is not None else "-"
        method, path = (self.command, shown(self.path)) if parsed else ("-", "-")
        sys.stderr.write(f"{method} {path} {int(code)} {taken}\n")
        self._began = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", action="append", default=[], help="prefix=origin/path", metavar="P=URL")
    options = parser.parse_args()
    for target in options.target:
        prefix, _, url = target.partition("=")
        parts = urlsplit(url)
        Gateway.targets[prefix] = (f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _Server(("127.0.0.1", options.port), Gateway) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
