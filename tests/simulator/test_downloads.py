"""Downloads from untrusted URLs over real connections: addresses, limits of size and time, and no leaks.

ASVS 5.0: 1.3.6 (private addresses and redirects), 13.2.6 (bounded waits), 16.2.5 (no URL in a log).
"""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.adapters.http.downloads import MAX_REDIRECTS, HttpDownloads
from likeness.domain.files import Download
from likeness.ports.files import Downloads
from local.processes import free_port
from tests.untrusted_hosts import LONG_WAIT_SECONDS, NAME, PUBLIC, certificate, drip, flood, speaking

pytestmark = pytest.mark.slow

SECRET = "opens-something"  # in every URL, and must not appear anywhere else
FILE = b"\xff\xd8" + bytes(range(256)) * 4
LIMIT = len(FILE)
METADATA = "169.254.169.254"
Resolve = Callable[..., None]


def fetched(
    url: str, *, limit: int = LIMIT, seconds: float = 20.0, loopback: bool = True, read_timeout: float = 5.0
) -> Download:
    return downloads(loopback, read_timeout).fetch(url, limit, seconds)


@cache
def downloads(loopback: bool = True, read_timeout: float = 5.0) -> Downloads:
    """Returns one adapter for all tests, as a function has one for all files: downloads must not affect each other."""
    return HttpDownloads(loopback=loopback, read_timeout=read_timeout)


def failed(problem: str) -> Download:
    return Download(problem=problem, retryable=problem in ("timeout", "no_connection", "no_answer", "incomplete"))


def ok(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


def whole(body: bytes) -> bytes:
    return ok(body, f"Content-Length: {len(body)}")


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return ok(b"%x\r\n%s\r\n" % (len(body), body) + end, "Transfer-Encoding: chunked")


def to(location: str | bytes, status: int = 302, body: bytes = b"") -> bytes:
    target = location.encode() if isinstance(location, str) else location
    return b"HTTP/1.1 %d Elsewhere\r\nContent-Length: %d\r\nLocation: %s\r\n\r\n" % (status, len(body), target) + body


@dataclass
class Site:
    """A server: host and port of its URL, and its raw requests."""

    place: str
    received: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    @property
    def port(self) -> int:
        return int(self.place.partition(":")[2])

    @property
    def paths(self) -> list[str]:
        return [each.split(b" ")[1].decode() for each in self.received]

    def headers(self, number: int) -> dict[str, str]:
        """Returns a request's headers, with lower-case names."""
        lines = self.received[number].decode().split("\r\n")[1:-2]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@contextmanager
def site(pages: Mapping[str, bytes], context: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Runs a server at 127.0.0.1 that returns ``pages`` by path."""
    here = Site("")

    def speak(connection: socket.socket) -> None:
        connection.sendall(pages[here.paths[-1]])

    with speaking(speak, context, here.received) as port:
        here.place = f"127.0.0.1:{port}"
        yield here


def fetched_answer(what: bytes, **options: Any) -> Download:
    """Returns the result of a download from a server that sends ``what`` and closes."""
    with speaking(lambda connection: connection.sendall(what)) as port:
        return fetched(f"http://127.0.0.1:{port}/{SECRET}", **options)


# -- files -------------------------------------------------------------------------------------------------------

PACKED = gzip.compress(b"\0" * 1_000_000)  # shorter than LIMIT, unlike its content


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (whole(FILE), FILE),
        (ok(FILE, "Content-Length: 1_0x"), FILE),
        (ok(FILE, f"Content-Length: {LIMIT}", f"Content-Length: {LIMIT}"), FILE),
        (ok(FILE + b"more", f"Content-Length: {LIMIT}"), FILE),
        (ok(FILE), FILE),
        (b"HTTP/1.0 200 OK\r\n\r\n" + FILE, FILE),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + whole(FILE), FILE),
        (chunked(FILE), FILE),
        (chunked(FILE, b"0\r\nA-Trailer: 1\r\n\r\n"), FILE),
        (chunked(b"", b""), b""),
        (whole(b""), b""),
        (ok(b""), b""),
        (ok(PACKED, f"Content-Length: {len(PACKED)}", "Content-Encoding: gzip"), PACKED),
        (ok(PACKED, "Content-Encoding: gzip"), PACKED),
        (ok(b"no gzip", "Content-Encoding: gzip"), b"no gzip"),
        (ok(FILE, "Content-Type: text/html; charset=nonsense"), FILE),
    ],
    ids=[
        "of a known length", "of an invalid length", "with its length twice", "with more after its end",
        "of an unknown length", "HTTP/1.0", "after 100 Continue", "in chunks", "in chunks with a trailer",
        "in no chunks", "empty", "empty, of an unknown length", "packed", "packed, of an unknown length",
        "falsely called packed", "of an unusual type",
    ],
)  # fmt: skip
def test_a_file_is_returned_unchanged(answer: bytes, content: bytes) -> None:
    assert fetched_answer(answer) == Download(content)


def test_the_request_contains_only_what_is_needed() -> None:
    with site({f"/{SECRET}?a=%2F&b=c": whole(FILE)}) as here:
        assert fetched(f"{here.url}/{SECRET}?a=%2F&b=c#part") == Download(FILE)
        assert here.received[0].startswith(b"GET ")
        assert here.headers(0) == {
            "host": here.place,
            "user-agent": "Likeness",
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
        }


# -- bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [whole, ok, chunked], ids=["announced", "until the end", "in chunks"])
@pytest.mark.parametrize("limit", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_the_limit_itself_is_allowed_and_a_byte_more_is_not(limit: int, frame: Callable[[bytes], bytes]) -> None:
    if limit:  # an empty chunk is the last one
        assert fetched_answer(frame(b"x" * limit), limit=limit) == Download(b"x" * limit)
    assert fetched_answer(frame(b"x" * (limit + 1)), limit=limit) == failed("too_large")


@pytest.mark.parametrize("announced", [str(LIMIT + 1), "9" * 30, f"{LIMIT + 1}, {LIMIT + 1}"])
def test_a_file_announced_as_too_large_is_refused_immediately(announced: str) -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(ok(b"", f"Content-Length: {announced}"))
        connection.recv(1)  # until the client closes

    with speaking(speak) as port:
        assert fetched(f"http://127.0.0.1:{port}/") == failed("too_large")


@pytest.mark.parametrize(
    "head",
    [ok(b""), ok(b"", "Content-Length: " + "9" * 5000), ok(b"fffffffff\r\n", "Transfer-Encoding: chunked")],
    ids=["of no length", "of a length beyond numbers", "in an endless chunk"],
)
def test_an_endless_file_is_too_large(head: bytes) -> None:
    read: list[int] = []
    with speaking(lambda connection: flood(connection, head, read)) as port:
        assert fetched(f"http://127.0.0.1:{port}/") == failed("too_large")
    assert sum(read) < 50 << 20  # the size of the machine's buffers


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "status"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "too_many_redirects"),
    ],
)
def test_the_body_of_an_error_or_redirect_is_not_read(head: bytes, problem: str) -> None:
    read: list[int] = []
    with speaking(lambda connection: flood(connection, head, read)) as port:
        assert fetched(f"http://127.0.0.1:{port}/") == failed(problem)
    assert sum(read) < 50 << 20


def reset(connection: socket.socket) -> None:
    connection.sendall(ok(FILE[:9], f"Content-Length: {LIMIT}"))
    time.sleep(0.2)  # otherwise the reset overtakes the bytes
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    "answer",
    [
        ok(FILE[:-1], f"Content-Length: {LIMIT}"),
        ok(b"", f"Content-Length: {LIMIT}"),
        chunked(FILE, b"")[:-9],
        chunked(FILE, b""),
        chunked(FILE, b"zz\r\n"),
    ],
    ids=["a byte short", "nothing", "in the middle of a chunk", "between chunks", "no chunk"],
)
def test_a_file_that_ends_too_early_is_incomplete(answer: bytes) -> None:
    assert fetched_answer(answer) == failed("incomplete")


def test_a_file_whose_connection_breaks_is_incomplete() -> None:
    with speaking(reset) as port:
        assert fetched(f"http://127.0.0.1:{port}/") == failed("incomplete")


# -- responses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        *((each, False) for each in (201, 202, 204, 206, 300, 301, 304, 307, 400, 401, 403, 404, 405, 410, 416, 451)),
        *((each, True) for each in (408, 425, 429, 500, 501, 502, 503, 504, 599)),
    ],
)
def test_every_status_except_200_is_a_failure(status: int, retryable: bool) -> None:
    answer = b"HTTP/1.1 %d So\r\nContent-Length: %d\r\n\r\n" % (status, LIMIT) + FILE
    assert fetched_answer(answer) == Download(problem="status", retryable=retryable)


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"HTTP/1.1", b"what?\r\n\r\n", b"\0" * 4096, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200,
        b"HTTP/1.1 999999 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000, b"SSH-2.0-OpenSSH_9.7\r\n",
        ok(FILE, "Content-Length: 1", "Content-Length: 2"),
    ],
    ids=["nothing", "half", "no HTTP", "zeros", "headers", "status", "long line", "SSH", "two lengths"],
)  # fmt: skip
def test_an_invalid_response_is_retryable(answer: bytes) -> None:
    assert fetched_answer(answer) in (failed("no_answer"), failed("no_connection"))


def test_a_closed_port_is_no_connection() -> None:
    assert fetched(f"http://127.0.0.1:{free_port()}/") == failed("no_connection")


def test_an_unknown_name_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert fetched(f"https://{NAME}/") == failed("no_connection")


# -- waits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head", [b"", ok(FILE[:9]), whole(FILE)[:-1], chunked(FILE)[:-9]], ids=["head", "rest", "last byte", "chunk"]
)
def test_a_response_that_stalls_times_out(head: bytes) -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        connection.recv(1)

    with speaking(speak) as port:
        assert fetched(f"http://127.0.0.1:{port}/", read_timeout=0.2) == failed("timeout")
        assert fetched(f"http://127.0.0.1:{port}/", read_timeout=LONG_WAIT_SECONDS, seconds=0.2) == failed("timeout")


@pytest.mark.parametrize(
    "head",
    [
        b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nA: ", ok(b""), ok(b"", f"Content-Length: {LIMIT}"),
        ok(b"", "Transfer-Encoding: chunked"), ok(b"9;", "Transfer-Encoding: chunked"), chunked(FILE, b"0\r\nA: "),
    ],
    ids=["status", "name", "value", "file", "announced file", "length of a chunk", "extension", "trailer"],
)  # fmt: skip
def test_a_slow_response_times_out(head: bytes) -> None:
    began = time.monotonic()
    with speaking(drip(head)) as port:
        assert fetched(f"http://127.0.0.1:{port}/", seconds=0.5) == failed("timeout")
    assert time.monotonic() - began < LONG_WAIT_SECONDS


def test_endless_100_continue_times_out() -> None:
    def speak(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.01)

    with speaking(speak) as port:
        assert fetched(f"http://127.0.0.1:{port}/", seconds=0.5) == failed("timeout")


def test_redirects_do_not_restart_the_time_limit() -> None:
    def speak(connection: socket.socket) -> None:
        time.sleep(0.4)
        connection.sendall(to("/", 307) if len(received) <= MAX_REDIRECTS else whole(FILE))

    received: list[bytes] = []
    with speaking(speak, received=received) as port:
        assert fetched(f"http://127.0.0.1:{port}/", seconds=1.0) == failed("timeout")
    assert len(received) <= MAX_REDIRECTS


def test_a_server_that_does_not_accept_the_connection_times_out() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # Linux drops connections when the queue is full
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert HttpDownloads(loopback=True, connect_timeout=0.2).fetch(url, LIMIT, 20) == failed("timeout")
        began = time.monotonic()
        downloads = HttpDownloads(loopback=True, connect_timeout=3 * LONG_WAIT_SECONDS)
        assert downloads.fetch(url, LIMIT, 0.2) == failed("timeout")
        assert time.monotonic() - began < LONG_WAIT_SECONDS


def test_a_timeout_does_not_shorten_the_next_download() -> None:
    with speaking(drip(ok(b""))) as port, site({"/": whole(FILE)}) as here:
        for _ in range(2):
            assert fetched(f"http://127.0.0.1:{port}/", seconds=0.3) == failed("timeout")
            assert fetched(here.url) == Download(FILE)


def test_a_kept_connection_is_not_reused() -> None:
    def keep(connection: socket.socket) -> None:
        connection.sendall(whole(FILE))
        connection.recv(65_536)  # further requests on it get no response

    with speaking(keep) as port:
        for _ in range(2):
            assert fetched(f"http://127.0.0.1:{port}/") == Download(FILE)


# -- addresses ---------------------------------------------------------------------------------------------------

LOOPBACK = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "127.255.255.254",
    "localhost", "LOCALHOST", "[::1]", "[0:0::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "%31%32%37.0.0.1",
    "user:password@127.0.0.1", "93.184.215.14@127.0.0.1",
]  # fmt: skip
PRIVATE = [
    "0.0.0.0", "0", "10.0.0.1", "167772161", "0xa000001", "012.0.0.1", "172.16.0.1", "192.168.1.1", METADATA,  # noqa: S104
    "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.170.2", "100.64.0.1", "192.0.0.1", "198.18.0.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::]", "[::127.0.0.1]", "[::7f00:1]", "[::ffff:10.0.0.1]",
    "[::ffff:a9fe:a9fe]", "[fe80::1]", "[fec0::1]", "[fd00::1]", "[fd00:ec2::254]", "[ff02::1]", "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::1]", "[2001:db8::1]", "[100::1]",
    f"user:password@{METADATA}", f"93.184.215.14@{METADATA}", f"93.184.215.14%40@{METADATA}",
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("host", "loopback"),
    [*((each, False) for each in LOOPBACK), *((each, allowed) for each in PRIVATE for allowed in (False, True))],
)
def test_private_addresses_are_refused_before_anything_is_sent(
    host: str, loopback: bool, scheme: str, connected: list[Any]
) -> None:
    assert fetched(f"{scheme}://{host}:9/{SECRET}", loopback=loopback) == failed("private_address")
    assert connected == []


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_local_stack_reaches_loopback(host: str, connected: list[Any]) -> None:
    assert fetched(f"http://{host}:9/") == failed("no_connection")
    ((address, *_),) = connected
    assert address.startswith("127.") or address == "::1"


@pytest.mark.parametrize("host", ["93.184.215.13", "1572394766", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]"])
@pytest.mark.parametrize("loopback", [False, True])
def test_public_addresses_are_reached(host: str, loopback: bool, resolve: Resolve, connected: list[Any]) -> None:
    resolve()
    assert fetched(f"http://{host}/", loopback=loopback) == failed("no_connection")
    assert len(connected) == 1


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        *((each, False) for each in ("127.0.0.1", "::1")),
        *((each, allowed) for allowed in (False, True) for each in (
            METADATA, "10.0.0.1", "100.64.0.1", "::ffff:10.0.0.1", "::7f00:1", "fec0::1", "fd00::1",
        )),
    ],
)  # fmt: skip
def test_a_name_that_resolves_to_a_private_address_is_refused(
    address: str, loopback: bool, resolve: Resolve, connected: list[Any]
) -> None:
    resolve(address, PUBLIC)
    assert fetched(f"https://{NAME}/{SECRET}", loopback=loopback) == failed("private_address")
    assert connected == []


def test_only_the_address_that_was_checked_is_tried(resolve: Resolve, connected: list[Any]) -> None:
    resolve(PUBLIC, METADATA)
    assert fetched(f"http://{NAME}/", loopback=False) == failed("no_connection")
    assert connected == [("127.0.0.1", 9)], "the target of a connection to PUBLIC"


def test_a_name_is_resolved_once_for_each_connection(resolve: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with site({"/": whole(FILE)}) as here:
        resolve(PUBLIC, port=here.port)
        look_up = socket.getaddrinfo

        def rebinding(host: Any, *rest: Any, **options: Any) -> Any:
            asked.append(host)
            return look_up(METADATA if asked.count(NAME) > 1 else host, *rest, **options)

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        assert fetched(f"http://{NAME}/", loopback=False) == Download(FILE)
        assert asked == [NAME, PUBLIC]
        assert here.headers(0)["host"] == NAME
        # The next connection resolves the name again, and checks the new address.
        assert fetched(f"http://{NAME}/", loopback=False) == failed("private_address")


@pytest.mark.parametrize(
    "url",
    [
        "", SECRET, f"//{NAME}/", f"ftp://{NAME}/", "file:///etc/passwd", "file:/etc/passwd", "data:,x", "s3://b/key",
        f"httpx://{NAME}/", f"http+unix://{NAME}/", "http:", "http:/x", "http://", "http:///x", "http://?x",
        "http://@/", f"http://{NAME}:0x50/", f"http://{NAME}:99999/", "http://[::1", "http://[127.0.0.1]/", "http://::1/",
        "http://.example/", "http://*.example/", "http://a..example/", "http://exam\0ple/",
        f"http://{'a' * 64}.example/", f"http://a:\ud800@{NAME}/", "http://\ud800/", "http://127。0。0。1/", "http://１２７.0.0.1/",  # noqa: RUF001
    ],
)  # fmt: skip
def test_a_url_that_is_not_http_is_refused(url: str, resolve: Resolve, connected: list[Any]) -> None:
    resolve(PUBLIC)
    assert fetched(url) == failed("not_http")
    assert connected == []


def _private(host: Any, port: Any, *_: Any, **__: Any) -> Any:
    """Resolves every name to a private address, with the usual encoding of names and without a network."""
    if isinstance(host, str):
        host.encode("idna")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (METADATA, 0))]


_ODD = st.text(st.sampled_from("htps:/@[]%?#\\.:0189afx-_~ \t\r\n\0é。\u2100\ud800"), max_size=30)


@settings(max_examples=300)
@given(st.one_of(st.text(), _ODD, _ODD.map("http://{}".format), _ODD.map("https://a:b@{}".format)))
def test_any_url_is_refused_without_an_exception(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", _private)
        assert fetched(url) in (failed("not_http"), failed("private_address"))


# -- redirects ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/b?c#d", "/b?c"),
        ("b", "/a/b"),
        ("../b", "/b"),
        ("?c", "/a/?c"),
        ("//{place}/b", "/b"),
        ("http://{place}", "/"),
    ],
)
def test_redirects_are_followed(location: str, path: str, status: int) -> None:
    pages = {path: whole(FILE)}
    with site(pages) as here:
        pages["/a/"] = to(location.format(place=here.place), status, b"moved")
        assert fetched(f"{here.url}/a/") == Download(FILE)
        assert here.paths == ["/a/", path]


@pytest.mark.parametrize("hops", range(MAX_REDIRECTS + 2))
def test_the_number_of_redirects_is_limited(hops: int) -> None:
    pages = {f"/{each}": to(f"/{each + 1}") for each in range(hops)} | {f"/{hops}": whole(FILE)}
    with site(pages) as here:
        allowed = hops <= MAX_REDIRECTS
        assert fetched(f"{here.url}/0") == (Download(FILE) if allowed else failed("too_many_redirects"))
        assert len(here.received) == 1 + min(hops, MAX_REDIRECTS)


@pytest.mark.parametrize("location", ["/", "", "#again", "http://"])
def test_a_redirect_loop_ends(location: str) -> None:
    with site({"/": to(location)}) as here:
        assert fetched(here.url) == failed("too_many_redirects")


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        (f"http://{METADATA}/latest/meta-data/", "private_address"),
        (f"//{METADATA}/", "private_address"),
        (f"https://{METADATA}/", "private_address"),
        ("http://10.0.0.1/", "private_address"),
        ("http://0xa000001/", "private_address"),
        ("http://[fd00::1]/", "private_address"),
        ("http://[::ffff:10.0.0.1]/", "private_address"),
        (f"http://{NAME}/", "private_address"),
        (f"http://127.0.0.1@{METADATA}/", "private_address"),
        ("file:///etc/passwd", "not_http"),
        ("ftp://127.0.0.1/", "not_http"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "not_http"),
        ("data:,x", "not_http"),
        ("http://[", "not_http"),
        ("http://127.0.0.1:x/", "not_http"),
        ("http://127.0.0.1:99999/", "not_http"),
        ("HTTP://[::1/", "not_http"),
    ],
)
@pytest.mark.parametrize("after", [1, MAX_REDIRECTS])
def test_every_redirect_is_checked_like_the_first_url(
    after: int, location: str, problem: str, resolve: Resolve
) -> None:
    resolve("192.168.0.1")
    pages = {f"/{each}": to(f"/{each + 1}") for each in range(after - 1)} | {f"/{after - 1}": to(location)}
    with site(pages) as here:
        assert fetched(f"{here.url}/0") == failed(problem)
        assert len(here.received) == after


def test_a_public_server_cannot_redirect_to_loopback(resolve: Resolve) -> None:
    pages = {"/file": whole(FILE)}
    with site(pages) as here:
        pages["/"] = to(f"{here.url}/file")
        resolve(PUBLIC, port=here.port)
        assert fetched(f"http://{NAME}/", loopback=False) == failed("private_address")
        assert here.paths == ["/"]


def test_a_name_that_becomes_private_between_redirects_is_refused(resolve: Resolve) -> None:
    received: list[bytes] = []

    def speak(connection: socket.socket) -> None:
        resolve("10.0.0.1")
        connection.sendall(to("/again"))

    with speaking(speak, received=received) as port:
        resolve(PUBLIC, port=port)
        assert fetched(f"http://{NAME}/", loopback=False) == failed("private_address")
    assert len(received) == 1


@settings(max_examples=100)
@given(st.one_of(st.binary(max_size=50), _ODD.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_redirect_target_fails_without_an_exception(location: bytes) -> None:
    target = location.replace(b"\r", b"").replace(b"\n", b"")
    with speaking(lambda connection: connection.sendall(to(target))) as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", _only_this_machine)
        answer = fetched(f"http://127.0.0.1:{port}/")
    # A relative target leads back to the same server.
    assert answer.problem in ("not_http", "private_address", "too_many_redirects", "no_connection", "no_answer")


_REAL_LOOK_UP = socket.getaddrinfo


def _only_this_machine(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
    return (_REAL_LOOK_UP if host == "127.0.0.1" else _private)(host, port, *rest, **options)


# -- secrets -----------------------------------------------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("location", "authorization"),
    [
        ("/b", basic("user", "pass/word")),
        ("http://{here}/b", basic("user", "pass/word")),
        ("//{here}/b", basic("user", "pass/word")),
        ("http://another:one@{here}/b", basic("another", "one")),
        ("http://{there}/b", None),
        ("//{there}/b", None),
        (f"http://{NAME}:{{port}}/b", None),
    ],
)
def test_a_urls_password_is_sent_to_its_own_server_only(
    location: str, authorization: str | None, resolve: Resolve
) -> None:
    resolve("127.0.0.1")
    pages = {"/b": whole(FILE)}
    with site(pages) as here, site(pages) as there:
        pages["/a"] = to(location.format(here=here.place, there=there.place, port=here.port))
        assert fetched(f"http://user:pass%2Fword@{here.place}/a") == Download(FILE)
        assert here.headers(0)["authorization"] == basic("user", "pass/word")
        last = there.headers(-1) if there.received else here.headers(-1)
        assert last.get("authorization") == authorization
        assert not {"referer", "cookie"} & last.keys()


def test_no_cookie_is_kept() -> None:
    pages = {"/": to("/b").replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n"), "/b": whole(FILE)}
    with site(pages) as here:
        for _ in range(2):
            assert fetched(here.url) == Download(FILE)
        assert [number for number in range(4) if "cookie" in here.headers(number)] == []


def test_the_environments_proxy_and_netrc_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with site({"/": whole(FILE)}) as here:
        assert fetched(here.url) == Download(FILE)
        assert "authorization" not in here.headers(0)


def test_no_log_contains_a_url_or_a_host(resolve: Resolve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    resolve(METADATA)
    answers = [
        fetched(f"https://{NAME}/{SECRET}"),
        fetched(f"gopher://{NAME}/{SECRET}"),
        fetched(f"http://127.0.0.1:{free_port()}/{SECRET}"),
        fetched_answer(b"HTTP/1.1 200 OK\r\nnot a header\r\n\r\n"),
        fetched_answer(chunked(FILE, b"zz\r\n")),
        fetched_answer(ok(FILE, "Content-Length: 9", "Transfer-Encoding: chunked")),
        fetched_answer(to(f"http://[{SECRET}")),
    ]
    assert [each.problem for each in answers] == [
        "private_address", "not_http", "no_connection", None, "incomplete", "incomplete", "not_http",
    ]  # fmt: skip
    assert caplog.records == []


# -- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ssl.SSLContext]]:
    """Returns a function that creates a TLS server context for a name, signed by a trusted authority."""

    def make(name: str) -> ssl.SSLContext:
        context = certificate(tmp_path, name)
        monkeypatch.setattr("likeness.adapters.http.https.CA_BUNDLE", str(tmp_path / "ca.pem"))
        downloads.cache_clear()
        return context

    yield make
    downloads.cache_clear()


@pytest.mark.parametrize(
    ("of", "answer"),
    [(NAME, Download(FILE)), ("other.example", failed("tls")), (PUBLIC, failed("tls"))],
    ids=["good", "another name", "the address instead of the name"],
)
def test_the_certificate_must_match_the_name(
    of: str, answer: Download, trusted: Callable[[str], ssl.SSLContext], resolve: Resolve
) -> None:
    with site({f"/{SECRET}": whole(FILE)}, trusted(of)) as here:
        resolve(PUBLIC, port=here.port)
        assert fetched(f"https://{NAME}/{SECRET}", loopback=False) == answer


def test_the_certificate_must_be_signed_by_a_trusted_authority(tmp_path: Path) -> None:
    with site({"/": whole(FILE)}, certificate(tmp_path, "127.0.0.1")) as here:
        assert fetched(f"https://{here.place}/") == failed("tls")


def test_plain_http_instead_of_tls_fails() -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(whole(FILE))
            connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer)
        server.start()
        assert fetched(f"https://127.0.0.1:{listener.getsockname()[1]}/") == failed("tls")
        server.join()


def test_a_redirect_to_https_is_followed_and_one_to_http_is_not(trusted: Callable[[str], ssl.SSLContext]) -> None:
    plain = {"/file": whole(FILE)}
    with site({"/file": whole(FILE)}, trusted("127.0.0.1")) as safe, site(plain) as here:
        plain["/"] = to(f"https://{safe.place}/file")
        assert fetched(here.url) == Download(FILE)
    for location in ("http://{place}/file", "HTTP://{place}/file", "http://user@{place}/file"):
        with site(plain) as here:
            target = to(location.format(place=here.place))
            with site({"/": target}, trusted("127.0.0.1")) as safe:
                assert fetched(f"https://{safe.place}/") == failed("tls")
            assert here.received == []


def test_a_slow_response_over_tls_times_out(trusted: Callable[[str], ssl.SSLContext]) -> None:
    for head in (b"HTTP/1.1 2", ok(b"")):
        with speaking(drip(head), trusted("127.0.0.1")) as port:
            assert fetched(f"https://127.0.0.1:{port}/", seconds=0.5) == failed("timeout")


def test_an_unfinished_handshake_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert fetched(url, seconds=0.2, read_timeout=LONG_WAIT_SECONDS) == failed("timeout")
        assert HttpDownloads(loopback=True, connect_timeout=0.2).fetch(url, LIMIT, 20) == failed("timeout")


def test_a_file_that_ends_too_early_over_tls_is_incomplete(trusted: Callable[[str], ssl.SSLContext]) -> None:
    with site({"/": ok(FILE[:9], f"Content-Length: {LIMIT}")}, trusted("127.0.0.1")) as here:
        assert fetched(f"https://{here.place}/") == failed("incomplete")
