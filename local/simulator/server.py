"""The HTTP server, and `Simulator`, which puts the parts together."""

import contextlib
import socket
import socketserver
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from local.simulator import control, h5
from local.simulator.contract import route_of
from local.simulator.crun import Crun
from local.simulator.faults import FaultRule
from local.simulator.messages import Reply, Request, invalid
from local.simulator.settings import SimulatorSettings

_MAX_BODY_BYTES = 1_000_000
_IDLE_SECONDS = 30.0


class Simulator(Crun):
    """crun.ai on this machine: start it, set `CrunBaseUrl` to `.url`, and read `.state()` and `.log()`.

    `public_base_url` is what H5 links and media links start with behind a gateway; by default it is the server's own
    URL. Port 0 uses a free port. All methods may be called from any thread while it runs.
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
        super().__init__(api_key, lambda: self.public_base_url, settings, faults)
        self._address = (host, port)
        self._public_base_url = public_base_url
        self.verbose = verbose
        self._control = control.Control(self, self._origins)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()

    def start(self) -> Self:
        """Bind and serve on background threads. Raises OSError when the port is taken."""
        self.stopping.clear()
        self._server = _Server(self._address, self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="crun", daemon=True
        )
        self._thread.start()
        self._worker.start()
        self.generation.start()
        return self

    def stop(self) -> None:
        """End the server, its open connections, the asset checks and the callbacks, if it is running."""
        self.stopping.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.close_connections()
        self._server.server_close()
        self._server = self._thread = None
        self._worker.stop()
        self.generation.stop()

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
        """The start of H5 links and media links."""
        return (self._public_base_url or self.url).rstrip("/")

    def _origins(self) -> set[str]:
        """Return the origins of the simulator's own page: its server and its gateway, by each name of this machine."""
        ports = {urlsplit(each).port for each in (self.url, self.public_base_url)}
        return {f"http://{host}:{port}" for host in ("127.0.0.1", "localhost") for port in ports}

    def handle(self, request: Request) -> Reply:
        """Returns the reply of the API, of the H5 page, or of the control API."""
        if f"{request.path}/".startswith(control.PREFIX):
            return self._control.handle(request)
        return super().handle(request)


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
        """Make a connection end with RST instead of FIN."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._aborted.add(connection)

    def close_connections(self) -> None:
        """Shut down kept-alive connections, so that their threads end."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 2
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.005)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - inherited
        """Print the error's class alone, because its text and frames may contain tokens and links."""
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
            route = path if route_of(path)[0] or path == h5.PATH else path[:6]
            print(f"crun simulator: {self.command} {route} {reply.status}", file=sys.stderr, flush=True)
        if reply.delivery == "reset":
            server.abort(self.connection)
            self.close_connection = True
        else:
            self._send(reply)

    def _body(self) -> bytes | None:
        """Return the body; None when its length is missing or too large."""
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
        """Log nothing, because request lines contain tokens."""
