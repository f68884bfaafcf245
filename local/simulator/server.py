"""The HTTP server, and `Simulator`, which puts the parts together."""

import contextlib
import hmac
import socket
import socketserver
import struct
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from local.simulator import control, h5
from local.simulator.assets import AssetWorker
from local.simulator.contract import ROUTES, Contract
from local.simulator.faults import FaultBook, FaultRule, spoil
from local.simulator.messages import Answer, Reply, Request, invalid
from local.simulator.settings import SimulatorSettings
from local.simulator.state import Clock, LogEntry, Store

_MAX_BODY_BYTES = 1_000_000
_IDLE_SECONDS = 30.0
_RATE_WINDOW_SECONDS = 10.0


class Simulator:
    """crun.ai on this machine: start it, point `CrunBaseUrl` at `.url`, read `.state()` and `.log()`.

    `public_base_url` is what H5 links start with when a gateway stands in front; by default the server's own
    address. Ports: 0 takes a free one. All methods may be called while it runs, from any thread.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str,
        public_base_url: str | None = None,
        settings: SimulatorSettings | None = None,
        faults: tuple[FaultRule, ...] = (),
        verbose: bool = False,
    ) -> None:
        self._address = (host, port)
        self._api_key = api_key
        self._public_base_url = public_base_url
        self._settings = settings or SimulatorSettings()
        self.verbose = verbose
        self.clock = Clock()
        self.store = Store(self.clock)
        self.faults = FaultBook()
        self.faults.add(list(faults))
        self._worker = AssetWorker(self.store, lambda: self._settings)
        self._contract = Contract(
            self.store, self.clock, self._worker, lambda: self._settings, lambda: self.public_base_url
        )
        self._h5 = h5.H5(self.store, self.clock, lambda: self._settings)
        self._control = control.Control(self)
        self._recent: deque[float] = deque()
        self._recent_lock = threading.Lock()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Bind and serve on background threads. Raises OSError when the port is taken."""
        self.stopping.clear()
        self._server = _Server(self._address, self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="crun", daemon=True
        )
        self._thread.start()
        self._worker.start()
        return self

    def stop(self) -> None:
        """End the server, its open connections and the asset checks. Harmless when it is not running."""
        self.stopping.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.close_connections()
        self._server.server_close()
        self._server = self._thread = None
        self._worker.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's own base URL."""
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def public_base_url(self) -> str:
        """What H5 links start with."""
        return (self._public_base_url or self.url).rstrip("/")

    # -- control: the same as over HTTP under /_sim/ --------------------------------------------------

    @property
    def settings(self) -> SimulatorSettings:
        """The settings in force."""
        return self._settings

    def update_settings(self, **changes: object) -> SimulatorSettings:
        """Replace some settings; raises `pydantic.ValidationError`."""
        self._settings = self._settings.updated(changes)
        return self._settings

    def add_faults(self, *rules: FaultRule) -> None:
        """Put fault rules in force."""
        self.faults.add(list(rules))

    def clear_faults(self) -> None:
        """Take all fault rules out of force."""
        self.faults.clear()

    def set_clock(self, offset_seconds: float) -> None:
        """Set the simulated time to the real one plus this; links and tokens age by it."""
        self.clock.offset_seconds = offset_seconds

    def advance(self, seconds: float) -> None:
        """Age links and tokens by some more seconds."""
        self.clock.offset_seconds += seconds

    def change_key(self, api_key: str) -> None:
        """Accept another API key from now on, and the old one no more."""
        self._api_key = api_key

    def reset(self) -> None:
        """Forget sessions, groups, assets, log, faults and clock; settings and key stay."""
        self._worker.clear()
        self.faults.clear()
        self.set_clock(0.0)
        with self._recent_lock:
            self._recent.clear()
        self.store.clear()

    def log(self) -> list[LogEntry]:
        """Return the API calls received."""
        return self.store.log()

    def state(self) -> dict[str, object]:
        """Return the counts of sessions, lookups per hashed token, uploads, and assets per group."""
        return self.store.summary()

    # -- requests -----------------------------------------------------------------------------------

    def handle(self, request: Request) -> Reply:
        """Answer one request, from whichever part of the simulator it is for."""
        if request.path.startswith(control.PREFIX):
            return self._control.handle(request)
        if request.path == h5.PATH and request.method in ("GET", "HEAD", "POST"):
            return self._h5.handle(request)
        return self._api(request)

    def _api(self, request: Request) -> Reply:
        received = time.monotonic()
        method, call = ROUTES.get(request.path, (None, None))
        rule = self.faults.pick(call) if call else None

        def work() -> Answer:
            refusal = self._refusal(request)
            if refusal is not None:
                return refusal
            if call is None or request.method != method:
                return Answer(404, "no such endpoint")
            return self._contract.answer(call, request)

        style = self._settings.refusal_style
        reply = spoil(rule, work, style) if rule else work().render(style)
        self.store.record(
            request.method,
            call or "unknown",
            received,
            status=None if reply.delivery == "reset" else reply.status,
            code=reply.outcome,
            fault=rule.kind if rule else None,
            asset_id=reply.asset_id,
            token_hash=reply.token_hash,
            correlation_id=request.headers.get("x-correlation-id"),
        )
        return reply

    def _refusal(self, request: Request) -> Answer | None:
        """Return what is refused before the call is looked at: a wrong or disabled key, too many calls."""
        given = request.headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            return Answer(401, "invalid API key")
        settings = self._settings
        if settings.key_disabled:
            return Answer(403, "API key disabled")
        if settings.rate_limit_per_10s is None:
            return None
        now = time.monotonic()
        with self._recent_lock:
            while self._recent and self._recent[0] <= now - _RATE_WINDOW_SECONDS:
                self._recent.popleft()
            if len(self._recent) >= settings.rate_limit_per_10s:
                return Answer(429, "rate limit exceeded", retry_after=settings.rate_limit_retry_after)
            self._recent.append(now)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        self._connections: set[socket.socket] = set()
        self._aborted: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of HTTPServer, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        if request in self._aborted:  # an orderly shutdown would send FIN before the reset
            self._aborted.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def abort(self, connection: socket.socket) -> None:
        """Have a connection end with RST instead of FIN."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._aborted.add(connection)

    def close_connections(self) -> None:
        """Wake the threads that wait on kept-alive connections, which close them on their way out."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 2
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.005)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - inherited
        """Say the error's class alone: its text and its frames may hold tokens and links."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"crun simulator: {type(error).__name__}", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "crun-simulator"
    sys_version = ""
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # one segment for headers and body

    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        simulator = server.simulator
        path, _, query = self.path.partition("?")
        body = self._body()
        if body is None:
            reply = invalid("body: missing length, or too long").render(simulator.settings.refusal_style)
            self.close_connection = True
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            host = str(self.client_address[0])
            reply = simulator.handle(Request(self.command, path, query, headers, body, host))
        if reply.delay_seconds and simulator.stopping.wait(reply.delay_seconds):
            reply.delivery = "reset"
        if simulator.verbose:
            route = path if path in ROUTES or path == h5.PATH else path[:6]
            print(f"crun simulator: {self.command} {route} {reply.status}", file=sys.stderr, flush=True)
        if reply.delivery == "reset":
            server.abort(self.connection)
            self.close_connection = True
        else:
            self._send(reply)

    def _body(self) -> bytes | None:
        """Read the body; None when its length is not announced or too long."""
        if "Transfer-Encoding" in self.headers:
            return None
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _MAX_BODY_BYTES:
            return None
        return self.rfile.read(int(length))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        body = reply.body
        if reply.delivery == "half":
            body = body[: len(body) // 2]
            self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = do_PATCH = _serve  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
        """Say nothing: request lines hold tokens."""
