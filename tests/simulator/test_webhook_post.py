"""Webhooks over real connections: allowed addresses, bounded waits, and no leaks.

ASVS 5.0: 1.3.6 (private addresses and redirects), 13.2.6 (bounded waits), 16.2.5 (no URL in a log).
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from likeness.adapters.http.webhook_post import HttpWebhookPost
from likeness.domain.webhooks import WebhookAnswer
from local.processes import free_port
from local.receiver import Received, Receiver, Reply
from tests.untrusted_hosts import LONG_WAIT_SECONDS, NAME, PUBLIC, certificate, drip, flood, speaking

pytestmark = pytest.mark.slow

TOKEN = "opens-something"  # in every path, and must not appear anywhere else
BODY = '{"type":"likeness.webhook.test"}'
HEADERS = {"Content-Type": "application/json", "webhook-id": "evt_1"}


def sent(url: str, *, private: bool = True, read_timeout: float = 5.0, total: float = 20.0) -> WebhookAnswer:
    return HttpWebhookPost(private=private, read_timeout=read_timeout, total=total)(url, HEADERS, BODY)


def test_the_request_is_as_given() -> None:
    with Receiver() as receiver:
        assert sent(f"{receiver.url}/{TOKEN}?q=1") == WebhookAnswer(204)
        (request,) = receiver.received
    assert (request.path, request.body) == (f"/{TOKEN}?q=1", BODY.encode())
    assert request.headers["webhook-id"] == "evt_1"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with Receiver() as elsewhere, Receiver(lambda _: Reply(status, {"Location": elsewhere.url})) as receiver:
        assert sent(receiver.url) == WebhookAnswer(status)
        assert (len(receiver.received), elsewhere.received) == (1, [])


def test_the_body_of_a_redirect_is_not_read() -> None:
    read: list[int] = []
    head = b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"
    with speaking(lambda connection: flood(connection, head, read)) as port:
        assert sent(f"http://127.0.0.1:{port}/") == WebhookAnswer(302)
    assert sum(read) < 50 << 20  # the size of the machine's buffers


@pytest.mark.parametrize("location", [b"http://[", b"http://a:b/", b"\xff\xfe", b""])
def test_the_target_of_a_redirect_does_not_matter(location: bytes) -> None:
    raw = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with speaking(lambda connection: connection.sendall(raw)) as port:
        assert sent(f"http://127.0.0.1:{port}/") == WebhookAnswer(302)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [("7", 7), ("0", 0), ("-1", 0), ("soon", 0), ("99999999999", 43_000), ("Fri, 31 Dec 2100 23:59:59 GMT", 43_000)],
)
def test_retry_after_is_read_within_bounds(raw: str, seconds: int) -> None:
    with Receiver(lambda _: Reply(503, {"Retry-After": raw})) as receiver:
        assert sent(receiver.url) == WebhookAnswer(503, seconds)


# -- waits -------------------------------------------------------------------------------------------------------


def test_a_silent_receiver_times_out() -> None:
    with Receiver(lambda _: Reply(seconds=LONG_WAIT_SECONDS)) as receiver:
        assert sent(receiver.url, read_timeout=0.2) == WebhookAnswer(problem="timeout")


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nA: "], ids=["status", "name", "value"]
)
def test_slow_response_headers_time_out(head: bytes) -> None:
    began = time.monotonic()
    with speaking(drip(head)) as port:
        assert sent(f"http://127.0.0.1:{port}/", total=0.5) == WebhookAnswer(problem="timeout")
    assert time.monotonic() - began < LONG_WAIT_SECONDS


def test_a_slow_response_body_does_not_matter() -> None:
    with speaking(drip(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        assert sent(f"http://127.0.0.1:{port}/", total=1.0) == WebhookAnswer(200)


def test_a_kept_connection_is_not_reused() -> None:
    def keep(connection: socket.socket) -> None:
        answer_200(connection)
        connection.recv(65_536)  # further requests on it get no response

    with speaking(keep) as port:
        post = HttpWebhookPost(private=True)
        for _ in range(2):
            assert post(f"http://127.0.0.1:{port}/", HEADERS, BODY) == WebhookAnswer(200)


def test_an_endless_response_is_not_read() -> None:
    read: list[int] = []

    with speaking(lambda connection: flood(connection, b"HTTP/1.1 200 OK\r\n\r\n", read)) as port:
        assert sent(f"http://127.0.0.1:{port}/") == WebhookAnswer(200)
    assert sum(read) < 50 << 20  # the size of the machine's buffers


@pytest.mark.parametrize(
    "raw",
    [b"", b"HTTP/1.1", b"what?\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, b"\x00" * 4096],
    ids=["nothing", "half", "no HTTP", "too many headers", "zeros"],
)
def test_an_invalid_response_is_a_failure(raw: bytes) -> None:
    with speaking(lambda connection: connection.sendall(raw)) as port:
        answer = sent(f"http://127.0.0.1:{port}/")
    assert answer.status is None
    assert answer.problem in ("no_connection", "no_answer")


def test_a_closed_port_is_no_connection() -> None:
    assert sent(f"http://127.0.0.1:{free_port()}/") == WebhookAnswer(problem="no_connection")


# -- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "localhost", "10.0.0.1",  # noqa: S104
        "172.16.0.1", "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "224.0.0.1", "255.255.255.255",
        "[::1]", "[::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[fe80::1]", "[fec0::1]",
        "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_before_anything_is_sent(host: str, connected: list[Any]) -> None:
    assert sent(f"https://{host}:9/{TOKEN}", private=False) == WebhookAnswer(problem="private_address")
    assert connected == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "::ffff:10.0.0.1", "::7f00:1", "fec0::1", "fd00::1"],
)
def test_a_name_that_resolves_to_a_private_address_is_refused(
    address: str, resolve: Callable[..., None], connected: list[Any]
) -> None:
    resolve(address)
    assert sent(f"https://{NAME}/{TOKEN}", private=False) == WebhookAnswer(problem="private_address")
    assert connected == []


def test_the_address_that_was_checked_is_the_one_that_is_used(
    resolve: Callable[..., None], connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(PUBLIC)
    first = socket.getaddrinfo
    asked: list[str] = []

    def changing(host: Any, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return first(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    assert sent(f"https://{NAME}/", private=False) == WebhookAnswer(problem="no_connection")
    assert asked.count(NAME) == 1, "a second resolution might return another address"
    assert asked.count(PUBLIC) == 1
    assert len(connected) == 1


def test_an_unknown_name_is_no_connection(resolve: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert sent(f"https://{NAME}/", private=False) == WebhookAnswer(problem="no_connection")


@pytest.mark.parametrize("url", [f"http://{NAME}/", f"http://{PUBLIC}/", f"ftp://{NAME}/", "file:///etc/passwd"])
def test_only_https_is_used(url: str, resolve: Callable[..., None], connected: list[Any]) -> None:
    resolve(PUBLIC)
    assert sent(url, private=False) == WebhookAnswer(problem="not_https")
    assert connected == []


# -- TLS ---------------------------------------------------------------------------------------------------------


def answer_200(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("of", "trusted", "answer"),
    [
        (NAME, True, WebhookAnswer(200)),
        ("other.example", True, WebhookAnswer(problem="tls")),
        (PUBLIC, True, WebhookAnswer(problem="tls")),
        (NAME, False, WebhookAnswer(problem="tls")),
    ],
    ids=["good", "another name", "the address instead of the name", "an untrusted authority"],
)
def test_the_certificate_must_match_the_name(
    tmp_path: Path,
    resolve: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    of: str,
    trusted: bool,
    answer: WebhookAnswer,
) -> None:
    context = certificate(tmp_path, of)
    if trusted:
        monkeypatch.setattr("likeness.adapters.http.https.CA_BUNDLE", str(tmp_path / "ca.pem"))
    with speaking(answer_200, context) as port:
        resolve(PUBLIC, port=port)
        assert sent(f"https://{NAME}/{TOKEN}", private=False) == answer


def test_slow_response_headers_over_tls_time_out(
    tmp_path: Path, resolve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certificate(tmp_path, NAME)
    monkeypatch.setattr("likeness.adapters.http.https.CA_BUNDLE", str(tmp_path / "ca.pem"))
    with speaking(drip(b"HTTP/1.1 2"), context) as port:
        resolve(PUBLIC, port=port)
        assert sent(f"https://{NAME}/", private=False, total=0.5) == WebhookAnswer(problem="timeout")


# -- logs --------------------------------------------------------------------------------------------------------


def test_no_library_logs_a_url_or_a_host(resolve: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    resolve("169.254.169.254")
    sent(f"https://{NAME}/{TOKEN}", private=False)
    with speaking(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nnot a header\r\n\r\n")) as port:
        assert sent(f"http://127.0.0.1:{port}/{TOKEN}").status == 200
    with Receiver(lambda _: Reply(500)) as receiver:
        sent(f"{receiver.url}/{TOKEN}")
    assert caplog.records == []


def test_deliveries_share_no_cookies() -> None:
    def reply(request: Received) -> Reply:
        return Reply(204, {"Set-Cookie": "a=b"})

    with Receiver(reply) as receiver:
        post = HttpWebhookPost(private=True)
        for _ in range(2):
            assert post(receiver.url, HEADERS, BODY) == WebhookAnswer(204)
        assert "cookie" not in receiver.received[1].headers
