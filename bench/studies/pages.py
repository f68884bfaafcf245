"""The person's page and the operator's console in Chromium: requests, bytes, and the time until they can be used.

The browser is slowed to 1.6 Mbit/s and 150 ms for each request. Between it and the stack is a server that lets requests
wait as Lambda does: for a function without an idle process, as long as its measured cold start. The emulator's own
processes have started before. The floor is one page of as many bytes that makes one call to the same API.
"""

from __future__ import annotations

import http.client
import os
import re
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.studies import memory
from bench.table import Row
from local.processes import free_port
from local.stack import Options, running_stack
from tests.browser.conftest import _FLAGS, DESKTOP, PHONE, chromium
from tests.integration.conftest import Api, Canaries
from tests.template_file import RESOURCES

PART = "pages"
REPETITIONS = 3
_LATENCY_MS, _BYTES_PER_SECOND = 150, 1_600_000 / 8
_TIMEOUT_MS = 60_000
_STATIC = "serve_pages"
_FLOOR = "/v1/floor"
_FLOOR_PAGE = """<!doctype html><html lang="en"><title>floor</title>
<main data-place="floor"><div class="step"></div></main><script>
fetch({api!r}, {{headers: {{"x-api-key": location.hash.slice(1)}}}}).then((answer) => answer.text()).then((text) => {{
const button = document.createElement("button");
button.textContent = text;
document.querySelector(".step").append(button);
}});</script><!--{padding}-->"""
#: Returns the milliseconds since the navigation began, once the view's first button can be pressed.
_HAS_BUTTON = """() => {
  const button = document.querySelector("main[data-place] .step > button");
  return button && button.getClientRects().length > 0 && performance.now();
}"""
_HAS_TEXT = "(text) => document.body.innerText.includes(text) && performance.now()"
_LOCAL_NOTE = "Time on one machine, on which the emulator starts a process for each concurrent request."


@dataclass(frozen=True)
class Seen:
    """A request that has reached the server: the function that answers it, and the bytes of the response's body."""

    function: str
    size: int


@dataclass
class Lambda:
    """Lets each request wait for a process of its function, as on Lambda: an idle one, or a new one."""

    cold_seconds: dict[str, float] = field(default_factory=dict)
    idle: Counter[str] = field(default_factory=Counter)
    #: Credentials of which API Gateway has the authorizer's answer.
    known: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Ends all processes."""
        with self._lock:
            self.idle.clear()
            self.known.clear()

    @contextmanager
    def process(self, function: str) -> Iterator[None]:
        """Waits for a process of ``function``, which is idle after the block."""
        with self._lock:
            cold = self.idle[function] <= 0
            self.idle[function] -= not cold
        time.sleep(self.cold_seconds.get(function, 0.0) if cold else 0.0)
        try:
            yield
        finally:
            with self._lock:
                self.idle[function] += 1

    def authorize(self, credential: str) -> None:
        """Waits for the authorizer, if API Gateway does not have its answer."""
        if credential and credential not in self.known:
            with self.process("authorize"):
                self.known.add(credential)


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if path == _FLOOR:
            with self.server.functions.process(_STATIC):
                self._send(200, {"Content-Type": "text/html"}, self.server.floor)
            return
        function = _function_of(self.command, path)
        self.server.functions.authorize(self.headers.get("x-api-key", ""))
        with self.server.functions.process(function):
            status, headers, content = self.server.forward(self.command, self.path, dict(self.headers.items()), body)
        self.server.seen.append(Seen(function, len(content)))
        self._send(status, headers, content)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is logged."""


class Front(ThreadingHTTPServer):
    """The server between browser and gateway; ``seen`` are the requests, ``floor`` is the floor's page."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, gateway: int) -> None:
        super().__init__(("127.0.0.1", port), _Front)
        self.functions, self.seen, self.floor, self._gateway = Lambda(), list[Seen](), b"", gateway

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Returns status, headers and body of the gateway's response."""
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores connections that the browser has closed."""


_HOP = frozenset({"connection", "content-length", "transfer-encoding", "date", "server"})


def _routes() -> list[tuple[str, re.Pattern[str], str]]:
    found = []
    for each in RESOURCES.values():
        if each["Type"] != "AWS::Serverless::Function":
            continue
        name = each["Properties"]["CodeUri"].rpartition("/")[2]
        for event in each["Properties"].get("Events", {}).values():
            if event["Type"] == "Api":
                path = event["Properties"]["Path"]
                pattern = re.compile("/v1" + re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\w+\+\}", ".+", path)))
                found.append((event["Properties"]["Method"].upper(), pattern, name))
    # A route with fewer variables is more specific; one that takes the rest of a path comes last.
    return sorted(found, key=lambda route: (".+" in route[1].pattern, route[1].pattern.count("[^/]+")))


_ROUTES = _routes()


def _function_of(method: str, path: str) -> str:
    """Returns the function that API Gateway invokes for a request."""
    matching = (name for verb, pattern, name in _ROUTES if verb in (method, "ANY") and pattern.fullmatch(path))
    return next(matching, _STATIC)


# -- the measurements ---------------------------------------------------------------------------------------------


@dataclass
class View:
    """One view of a page: seconds until it could be used, and the requests that had been answered by then."""

    seconds: float
    seen: list[Seen]

    @property
    def static(self) -> list[Seen]:
        """The requests for the page itself."""
        return [each for each in self.seen if each.function == _STATIC]

    @property
    def calls(self) -> int:
        """The number of calls to the API."""
        return len(self.seen) - len(self.static)


@dataclass
class Visitor:
    """Opens pages through the front."""

    browser: Browser
    front: Front

    def context(self, device: dict[str, Any]) -> BrowserContext:
        """Returns a browser that has cached nothing."""
        context = self.browser.new_context(**device, locale="en-US")
        context.set_default_timeout(_TIMEOUT_MS)
        return context

    def view(
        self,
        context: BrowserContext,
        url: str,
        usable: Callable[[Page], float],
        *,
        slowed: bool = True,
        until_quiet: bool = False,
    ) -> View:
        """Opens ``url`` in a new tab. With ``until_quiet``, also counts what the page requests afterwards."""
        page = context.new_page()
        if slowed:
            tools = context.new_cdp_session(page)
            tools.send("Network.enable")
            speed = {"downloadThroughput": _BYTES_PER_SECOND, "uploadThroughput": _BYTES_PER_SECOND}
            tools.send("Network.emulateNetworkConditions", {"offline": False, "latency": _LATENCY_MS, **speed})
        self.front.seen.clear()
        page.goto(url, wait_until="commit")
        seconds = usable(page) / 1000
        if until_quiet:
            page.wait_for_load_state("networkidle")
        found = View(seconds, list(self.front.seen))
        page.close()
        return found

    def cold(self, device: dict[str, Any], url: str, usable: Callable[[Page], float]) -> float:
        """Returns the median seconds of first views, in which all functions are cold."""
        seconds = []
        for _ in range(REPETITIONS):
            self.front.functions.forget()
            context = self.context(device)
            seconds.append(self.view(context, url, usable).seconds)
            context.close()
        return statistics.median(seconds)


def _button(page: Page) -> float:
    return float(page.wait_for_function(_HAS_BUTTON).json_value())


def _shows(text: str) -> Callable[[Page], float]:
    return lambda page: float(page.wait_for_function(_HAS_TEXT, arg=text).json_value())


def _signs_in(key: str, text: str) -> Callable[[Page], float]:
    def usable(page: Page) -> float:
        page.get_by_label("Client key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        return _shows(text)(page)

    return usable


def rows() -> list[Row]:
    """Returns the figures of the person's page and of the console."""
    cold = {name: each.latency(memory.memory_size(name)) for name, each in _footprints().items()}
    port, gateway = free_port(), free_port()
    options = Options(
        Path(".local/bench.json"), gateway, free_port(), parameters=(f"PublicBaseUrl=http://127.0.0.1:{port}/v1",)
    )
    front = Front(port, gateway)
    threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        with running_stack(options, lambda _: None) as stack, sync_playwright() as running:
            browser = running.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
            api = Api(stack, stack.api_key, Canaries())
            made = api.session(start="on_open", language="en")
            visitor = Visitor(browser, front)
            found = [*_person(visitor, made, cold), *_console(visitor, str(stack.api_key), made["id"], cold)]
            browser.close()
            return found
    finally:
        front.shutdown()
        front.server_close()


def _footprints() -> dict[str, memory.Footprint]:
    return memory.measure(1, only=frozenset({_STATIC, "authorize", "get_session", "get_stats", "record_consent"}))


def _person(visitor: Visitor, made: dict[str, Any], cold: dict[str, float]) -> list[Row]:
    url = made["invite_url"]
    context = visitor.context(PHONE)
    fresh = visitor.view(context, url, _button, slowed=False)
    context.close()
    context = visitor.context(PHONE)
    until_button = visitor.view(context, url, _button, slowed=False).calls  # no process starts, so nothing is retried
    context.close()
    context = visitor.context(PHONE)
    first = visitor.view(context, url, _button, slowed=False, until_quiet=True)
    second = visitor.view(context, url, _button, slowed=False, until_quiet=True)
    context.close()
    size = sum(each.size for each in first.static)
    visitor.front.functions.cold_seconds = cold
    token, path = url.partition("#")[2], urlsplit(url).path
    measured = visitor.cold(PHONE, url, _button)
    answer = f"/v1/sessions/{made['id']}?consent_text=session"
    floor = _floor(visitor, url, size, answer, token, PHONE, _button)
    visitor.front.functions.cold_seconds = {}
    what = path.rpartition("/")[2]
    return [
        Row(PART, f"{what}: static requests, first view", len(first.static), "requests", goal=2),
        Row(PART, f"{what}: static bytes, first view", size / 1000, "KB", goal=30),
        Row(PART, f"{what}: static requests, second view", len(second.static), "requests", goal=1),
        Row(PART, f"{what}: API calls before the button works", until_button, "calls", goal=1),
        Row(PART, f"{what}: working button, first view, all functions cold", measured, "s", floor, 1.3),
        Row(PART, f"{what}: working button on a fresh local stack", fresh.seconds, "s", goal=2, note=_LOCAL_NOTE),
    ]


def _console(visitor: Visitor, key: str, session_id: str, cold: dict[str, float]) -> list[Row]:
    url = f"http://127.0.0.1:{visitor.front.server_address[1]}/v1/console"
    usable = _signs_in(key, session_id[-8:])
    context = visitor.context(DESKTOP)
    visitor.view(context, url, usable, slowed=False)
    context.close()
    context = visitor.context(DESKTOP)
    first = visitor.view(context, url, usable, slowed=False, until_quiet=True)
    context.close()
    size = sum(each.size for each in first.static)
    visitor.front.functions.cold_seconds = cold
    measured = visitor.cold(DESKTOP, url, usable)
    floor = _floor(visitor, url, size, "/v1/sessions", key, DESKTOP, _shows(session_id[-8:]))
    return [
        Row(PART, "console: static requests, first view", len(first.static), "requests"),
        Row(PART, "console: static bytes, first view", size / 1000, "KB"),
        Row(PART, "console: the list, first view, all functions cold", measured, "s", floor, 1.5),
    ]


def _floor(
    visitor: Visitor, url: str, size: int, api: str, key: str, device: dict[str, Any], usable: Callable[[Page], float]
) -> float:
    bare = len(_FLOOR_PAGE.format(api=api, padding=""))
    padding = os.urandom(max(0, size - bare) // 2 + 1).hex()
    visitor.front.floor = _FLOOR_PAGE.format(api=api, padding=padding)[: max(size, bare)].encode()
    parts = urlsplit(url)
    return visitor.cold(device, f"{parts.scheme}://{parts.netloc}{_FLOOR}#{key}", usable)
