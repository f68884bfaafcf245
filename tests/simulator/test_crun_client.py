"""The application's crun client over real connections: to the simulator, and to a server that sends arbitrary bytes.

ASVS 5.0: 1.3.6 (redirects are not followed, responses are bounded), 14.2.1 and 16.2.5 (errors contain neither the key
nor the byted token nor a URL).
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from likeness.adapters.http.crun_client import CrunClient
from likeness.adapters.secrets import Secret
from likeness.domain.crun import CrunCall
from likeness.errors import RateLimited, UpstreamAmbiguous, UpstreamDeferred, UpstreamError, UpstreamRefused
from local.simulator import FaultRule
from tests.aws import isolated_aws_environment
from tests.simulator.conftest import API_KEY, CALLBACK, Crun

KEY, TOKEN = "canary-key", "canary-token"
GOOD = json.dumps({"code": 200, "message": "success", "data": {"GroupId": "group-1"}}).encode()
NOWHERE = "http://nowhere.invalid"
Speak = Callable[[socket.socket], None]


@dataclass
class Server:
    """A server on loopback whose responses ``speak`` writes. ``requests_seen`` counts the requests."""

    speak: Speak
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    requests_seen: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    while b"\r\n\r\n" not in connection.recv(65536):
                        pass
                    self.requests_seen += 1
                    self.speak(connection)
                except OSError:
                    pass  # the client closed the connection


@contextmanager
def server(speak: Speak) -> Iterator[Server]:
    running = Server(speak)
    thread = threading.Thread(target=running.serve)
    thread.start()
    try:
        yield running
    finally:
        running.listener.shutdown(socket.SHUT_RDWR)
        running.listener.close()
        thread.join(timeout=15)


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode("latin-1") + body


def answering(answer: bytes) -> Speak:
    return lambda connection: connection.sendall(answer)


def client(url: str, **options: Any) -> CrunClient:
    return CrunClient(url, lambda _: KEY, lambda wanted: wanted, **options)


def problem_of(call: Callable[[], object]) -> UpstreamError:
    """Returns the error of a call, after checking that nothing loggable in it contains a secret."""
    with pytest.raises(UpstreamError) as caught:
        call()
    printed = "".join(traceback.format_exception(caught.value)) + str(vars(caught.value))
    for secret in (KEY, TOKEN, API_KEY, "http://", "127.0.0.1", "byted_token="):
        assert secret not in printed
    return caught.value


def answer_to(speak: Speak) -> UpstreamError:
    with server(speak) as running:
        return problem_of(lambda: client(running.url, read_timeout=5).group_of(TOKEN))


# -- responses of every shape -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"\x16\x03\x01" * 50,
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GOOD, http(GOOD[:30]), http(GOOD[:-1]), http(b""),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"co",
        http(GOOD, headers="Content-Encoding: gzip\r\n"),
        http(gzip.compress(GOOD)[:20], headers="Content-Encoding: gzip\r\n"),
        http(GOOD, headers="Content-Encoding: deflate\r\n"),
        http(b"<!doctype html><title>Wartung</title>", headers="Content-Type: text/html\r\n"),
        http(b'{"code": 200, "data": {"GroupId": "\\ud800"}}'), http(b'{"code": 200, "data": {"GroupId": "a\\r\\nb"}}'),
        http(b"<html>", "500 Oops"), http(b"", "599 Network"), http(b'{"code": 500}'), http(b"<html>", "999 Denied"),
    ],
)  # fmt: skip
def test_a_response_that_breaks_the_contract_is_ambiguous(answer: bytes) -> None:
    assert type(answer_to(answering(answer))) is UpstreamAmbiguous


def test_a_valid_response_is_read_plain_compressed_and_chunked() -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    for answer in (http(GOOD), http(gzip.compress(GOOD), headers="Content-Encoding: gzip\r\n"), chunks):
        with server(answering(answer)) as running:
            assert client(running.url).group_of(TOKEN) == "group-1"


@settings(max_examples=60)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_response_damaged_anywhere_is_data_or_an_upstream_error(at: int, rubbish: bytes) -> None:
    answer = http(GOOD)
    at %= len(answer)
    with server(answering(answer[:at] + rubbish + answer[at + len(rubbish) :])) as running:
        try:
            group = client(running.url, read_timeout=5).group_of(TOKEN)
        except UpstreamError as problem:
            assert TOKEN not in "".join(traceback.format_exception(problem))  # noqa: PT017
        else:
            assert group.isascii()
            assert group.isprintable()


def _endless(head: bytes, part: bytes) -> Speak:
    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return speak


@pytest.mark.parametrize(
    "speak",
    [
        _endless(b"HTTP/1.1 200 OK\r\n\r\n", b'{"code": 200, ' + b" " * 65_000),
        _endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        _endless(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b" " * 8_000_000)),
        _endless(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b" " * 65_000),
        answering(http(gzip.compress(b" " * 64_000_000 + GOOD), headers="Content-Encoding: gzip\r\n")),
        answering(http(gzip.compress(gzip.compress(b" " * 64_000_000)), headers="Content-Encoding: gzip, gzip\r\n")),
    ],
    ids=["endless", "endless-chunks", "endless-gzip", "endless-redirect", "gzip-bomb", "gzip-bomb-in-gzip"],
)
def test_an_endless_response_uses_little_memory(speak: Speak) -> None:
    tracemalloc.start()
    try:
        problem = answer_to(speak)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert type(problem) is UpstreamAmbiguous
    assert peak < 24_000_000


def test_fifty_megabytes_from_the_simulator_are_not_read(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="result", kind="oversize", size_bytes=50_000_000))
    assert type(problem_of(lambda: _of(crun).group_of(TOKEN))) is UpstreamAmbiguous


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with server(answering(http(GOOD))) as elsewhere:
        location = f"Location: {elsewhere.url}/latest/meta-data/\r\n"
        problem = answer_to(answering(http(b"", f"{status} Moved", location)))
        assert (type(problem), problem.upstream_code) == (UpstreamAmbiguous, status)
        assert elsewhere.requests_seen == 0


def test_a_redirect_to_the_metadata_service_is_ambiguous(crun: Crun) -> None:
    crun.simulator.add_faults(FaultRule(call="session", kind="redirect"))
    problem = problem_of(lambda: _of(crun).create_validation(CALLBACK))
    assert (type(problem), problem.upstream_code) == (UpstreamAmbiguous, 302)


# -- Retry-After ------------------------------------------------------------------------------------------------------


def _header(given: str | timedelta) -> str:
    """Returns the header's value; a time from now becomes a date."""
    return given if isinstance(given, str) else format_datetime(datetime.now(UTC) + given, usegmt=True)


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ("7", 7, 7), ("0007", 7, 7), ("3600", 3600, 3600), ("99999", 3600, 3600), ("9" * 5000, 3600, 3600),
        (timedelta(days=400), 3600, 3600), (timedelta(days=-1), 10, 10), (timedelta(seconds=900), 500, 901),
        # not a time: the default
        ("0", 10, 10), ("-5", 10, 10), ("+5", 10, 10), ("1.5", 10, 10), ("1e3", 10, 10), ("soon", 10, 10), ("", 10, 10),
        ("7, 8", 10, 10), ("0x10", 10, 10), ("Tue, 99 Foo 2026", 10, 10), ("Fri, 31 Dec 99999 23:59:59 GMT", 10, 10),
        ("\xb2", 10, 10), (" 7 ", 7, 7),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_every_form_and_bounded(given: str | timedelta, low: int, high: int) -> None:
    problem = answer_to(answering(http(b'{"code": 429}', "429 Slow down", f"Retry-After: {_header(given)}\r\n")))
    assert type(problem) is RateLimited
    assert low <= (problem.retry_after or 0) <= high


# -- time -------------------------------------------------------------------------------------------------------------


def _of(crun: Crun, **options: Any) -> CrunClient:
    return CrunClient(crun.simulator.url, lambda _: API_KEY, lambda wanted: wanted, **options)


def _passed(crun: Crun) -> str:
    data = crun.create()
    assert crun.check(data["H5Link"], outcome="pass").status_code == 303
    return data["BytedToken"]


def test_a_response_before_the_timeout_counts_and_a_later_one_is_ambiguous(crun: Crun) -> None:
    token = _passed(crun)
    crun.simulator.add_faults(FaultRule(call="session", kind="hang", seconds=0.3))
    crun.simulator.add_faults(FaultRule(call="result", kind="hang", seconds=30))
    slow = _of(crun, read_timeout=5)
    assert slow.create_validation(CALLBACK).h5_link.startswith(crun.simulator.url)
    assert type(problem_of(lambda: _of(crun, read_timeout=0.5).group_of(token))) is UpstreamAmbiguous
    assert problem_of(lambda: slow.group_of(token)).upstream_code == 404, "the lost response consumed the token"


def test_a_failed_connection_means_that_the_call_had_no_effect() -> None:
    with server(answering(b"")) as running:
        url = running.url
    assert type(problem_of(lambda: client(url).group_of(TOKEN))) is UpstreamDeferred
    assert type(problem_of(lambda: client(NOWHERE).group_of(TOKEN))) is UpstreamDeferred


# -- key rotation while functions run (case 42) -----------------------------------------------------------------------


@dataclass
class Rotating:
    """crun's key in Secrets Manager, as a function caches it. ``fetched`` counts the calls to AWS."""

    arn: str
    aws: Any
    secret: Secret
    fetched: int = 0

    def count(self, **_: Any) -> None:
        self.fetched += 1


@pytest.fixture
def rotating() -> Iterator[Rotating]:
    with isolated_aws_environment(), mock_aws():
        aws = boto3.client("secretsmanager")
        arn = aws.create_secret(Name="crun", SecretString=API_KEY)["ARN"]
        made = Rotating(arn, aws, Secret(aws, arn))
        aws.meta.events.register("before-call.secretsmanager.GetSecretValue", made.count)
        yield made


def _with(rotating: Rotating, crun: Crun) -> CrunClient:
    return CrunClient(crun.simulator.url, rotating.secret.value, lambda wanted: wanted)


def test_a_rotated_key_is_fetched_once_and_the_call_succeeds(crun: Crun, rotating: Rotating) -> None:
    running = _with(rotating, crun)
    running.create_validation(CALLBACK)
    crun.simulator.change_key("the-next-key")
    rotating.aws.put_secret_value(SecretId=rotating.arn, SecretString="the-next-key")
    assert rotating.fetched == 1
    for _ in range(3):
        running.create_validation(CALLBACK)
    assert rotating.fetched == 2
    assert [each.status for each in crun.simulator.log()] == [200, 401, 200, 200, 200]
    assert crun.simulator.state()["sessions"] == 4


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("style", ["http", "html", "body", "both"])
def test_a_key_that_stays_wrong_is_refused_after_two_calls(
    crun: Crun, rotating: Rotating, style: Any, code: int
) -> None:
    crun.simulator.add_faults(FaultRule(call="any", kind=style, code=code, times=None))
    problem = problem_of(lambda: _with(rotating, crun).create_validation(CALLBACK))
    assert (type(problem), problem.upstream_code) == (UpstreamRefused, code)
    assert (rotating.fetched, len(crun.simulator.log())) == (2, 2)


def test_a_key_that_was_disabled_and_replaced_is_fetched_once(crun: Crun, rotating: Rotating) -> None:
    running = _with(rotating, crun)
    crun.simulator.add_faults(FaultRule(call="session", kind="both", code=403))
    running.create_validation(CALLBACK)
    assert ([each.status for each in crun.simulator.log()], rotating.fetched) == ([403, 200], 2)


def test_the_errors_of_a_422_are_kept_without_the_values_sent(crun: Crun) -> None:
    calls: list[CrunCall] = []
    running = _of(crun, called=calls.append)
    message = f"callback_url: {CALLBACK} and {CALLBACK[8:]} are not reachable with {API_KEY}"
    crun.simulator.add_faults(FaultRule(call="session", kind="both", code=422, message=message))
    problem = problem_of(lambda: running.create_validation(CALLBACK))
    assert isinstance(problem, UpstreamRefused)
    assert problem.errors == ("callback_url: […] and […] are not reachable with […]",)
    assert calls[-1].errors == problem.errors


def test_a_poll_of_several_assets_survives_a_rotation(crun: Crun, rotating: Rotating) -> None:
    running = _with(rotating, crun)
    running.create_validation(CALLBACK)
    crun.simulator.change_key("the-next-key")
    rotating.aws.put_secret_value(SecretId=rotating.arn, SecretString="the-next-key")
    reports = running.asset_reports([f"asset-{number}" for number in range(20)])
    assert {getattr(each, "upstream_code", None) for each in reports.values()} == {404}
    assert rotating.fetched <= 1 + 20, "at most one for each poll"
