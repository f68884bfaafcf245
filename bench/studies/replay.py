"""Warm invocations with recorded responses, which another process serves over loopback.

The measured process pays for its own work and for the client's part of each call, and for nothing else.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from multiprocessing.connection import Connection
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest
import urllib3
from botocore import xform_name
from botocore.exceptions import ClientError

from bench.studies.recording import Exchange, Recording
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger
from tests.faults.fault_injection import CRUN_CALLS
from tests.functions import REGION, cold_start, invoke

_PRESIGNS = ("generate_presigned_post", "generate_presigned_url")
_USE_PATH, _MISSED_PATH = "/use/", "/missed"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
_HOP = frozenset({"content-length", "connection", "transfer-encoding", "date", "server"})


# -- the responses, in their own process ----------------------------------------------------------------------------


def _subject(body: Mapping[str, Any]) -> str:
    """Returns the kind of item that a call to DynamoDB reads or writes: a session's, the rate limiter's and so on."""
    values = body.get("ExpressionAttributeValues") or {}
    key = body.get("Key") or body.get("Item") or ({"pk": values[":pk"]} if ":pk" in values else {})
    parts = (str(value.get("S", "")).partition("#")[0] for name, value in sorted(key.items()) if name in ("pk", "sk"))
    return "/".join(parts)


def _place(service: str, operation: str, body: Mapping[str, Any]) -> str:
    return f"{service}.{operation}.{_subject(body) if service == 'dynamodb' else ''}"


def _place_of(exchange: Exchange) -> str:
    if exchange.service == "s3":
        return f"s3.{_S3_METHODS.get(exchange.operation, 'GET')}"
    return _place(exchange.service, exchange.operation, exchange.parameters)


_S3_METHODS = {"DeleteObject": "DELETE", "PutObject": "PUT"}
_TARGETS = {
    "DynamoDB_20120810": "dynamodb",
    "AmazonSQS": "sqs",
    "AWSStepFunctions": "stepfunctions",
    "AWSEvents": "events",
}
#: Responses to calls that only a replay makes: a recording is some hours old by then, so executions are looked up.
_LATER = {
    "stepfunctions.DescribeExecution.": Exchange(
        *("stepfunctions", "DescribeExecution", {}, 400, {"content-type": "application/x-amz-json-1.0"}),
        b'{"__type": "ExecutionDoesNotExist"}',
    )
}
#: The response to any other call. The SDK does not repeat it, as it would a 500, with pauses in real time.
_NOT_RECORDED = Exchange("", "", {}, 400, {"content-type": "application/x-amz-json-1.0"}, b'{"__type": "NotRecorded"}')


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(_USE_PATH):
            self.server.answers.use(self.path.removeprefix(_USE_PATH))
            self._send(Exchange("", "", {}, 200, {}, b""))
            return
        if self.path == _MISSED_PATH:
            self._send(Exchange("", "", {}, 200, {}, json.dumps(sorted(self.server.answers.missed)).encode()))
            return
        self._send(self.server.answers.answer(self._place(body)))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _place(self, body: bytes) -> str:
        target, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
        if target:
            return _place(_TARGETS.get(target, target), operation, json.loads(body))
        if CRUN_CALLS in self.path:
            return _place("crun", self.path.partition("?")[0].rpartition("/")[2], {})
        return f"s3.{self.command}"

    def _send(self, exchange: Exchange) -> None:
        lines = [f"HTTP/1.1 {exchange.status} -"]
        lines += [f"{name}: {value}" for name, value in exchange.headers.items() if name not in _HOP]
        lines += [f"Content-Length: {len(exchange.body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode() + exchange.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is logged."""


class Answers:
    """The recorded responses of several functions, by name and place. ``use`` chooses the function."""

    def __init__(self, recorded: Mapping[str, Sequence[Exchange]]) -> None:
        self._recorded: dict[str, dict[str, list[Exchange]]] = {}
        for name, exchanges in recorded.items():
            places = self._recorded.setdefault(name, {})
            for each in exchanges:
                places.setdefault(_place_of(each), []).append(each)
        #: The calls since the last ``use`` that have no recorded response.
        self.missed: set[str] = set()
        self._places: dict[str, list[Exchange]] = {}
        self._asked: dict[str, Iterator[int]] = {}

    def use(self, name: str) -> None:
        """Serves the responses of this recording from now on."""
        self.missed.clear()
        self._places, self._asked = self._recorded[name], {place: count() for place in self._recorded[name]}

    def answer(self, place: str) -> Exchange:
        """Returns the next response of a place, and starts again after the last."""
        found = self._places.get(place)
        if found:
            return found[next(self._asked[place]) % len(found)]
        if place not in _LATER:
            self.missed.add(place)
        return _LATER.get(place, _NOT_RECORDED)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, recorded: Mapping[str, Sequence[Exchange]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = Answers(recorded)


def _run(recorded: Mapping[str, Sequence[Exchange]], ready: Connection) -> None:
    server = _Server(recorded)
    ready.send(server.server_address[1])
    server.serve_forever()


# -- the invocations ----------------------------------------------------------------------------------------------


@dataclass
class Player:
    """One function in a warm process, with its event and the response to it."""

    name: str
    use: Callable[[], object]
    handler: Callable[[], Any]
    event: object
    answer: object = None
    calls: list[Callable[[], object]] = field(default_factory=list)

    def floor(self) -> None:
        """Makes the calls of ``handler``, and converts the event and the response, as Lambda's runtime does."""
        _as_json(self.event)
        for each in self.calls:
            each()
        _as_json(self.answer)


def _as_json(value: object) -> None:
    json.loads(json.dumps(value))


@dataclass
class _Listener:
    """Records the calls that are made, and the presigned forms and URLs, so that they can be repeated."""

    address: str
    calls: list[Callable[[], object]] = field(default_factory=list)
    _parameters: dict[str, Any] = field(default_factory=dict)
    _http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def asked(self, params: dict[str, Any], **_: Any) -> None:
        self._parameters = dict(params)

    def called(self, model: Any, **_: Any) -> None:
        # Presigning a URL also emits the event of parameters, but not this one.
        service = {"sfn": "stepfunctions"}.get(model.service_model.service_name, model.service_model.service_name)
        method, parameters = getattr(bootstrap.client(service), xform_name(model.name)), self._parameters

        def again() -> None:
            with suppress(ClientError):  # a condition that failed when it was recorded
                answer = method(**parameters)
                if "Body" in answer:
                    answer["Body"].read()

        self.calls.append(again)

    def sent(self, method: str, url: str, **options: Any) -> None:
        if not url.startswith(self.address):
            return  # a person's own host, which no replay serves: the attempt to connect would be most of the floor

        def again() -> None:
            self._http.urlopen(method, url, **options).read(decode_content=True)

        self.calls.append(again)

    def presigning(self, presign: Callable[..., Any]) -> Callable[..., Any]:
        """Records a presigned form or URL: the client makes it without a call, but as much work as half a call."""

        def presigned(*given: Any, **options: Any) -> Any:
            self.calls.append(partial(presign, *given, **deepcopy(options)))
            return presign(*given, **options)

        return presigned

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Records the calls in the block."""
        clients, urlopen = list(bootstrap._clients.values()), urllib3.PoolManager.urlopen
        s3 = bootstrap._clients.get("s3")

        def opening(pool: urllib3.PoolManager, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
            self.sent(method, url, **options)
            return urlopen(pool, method, url, **options)

        for client in clients:
            client.meta.events.register("provide-client-params", self.asked)
            client.meta.events.register("before-call", self.called)
        urllib3.PoolManager.urlopen = opening  # type: ignore[assignment, method-assign]
        for name in _PRESIGNS if s3 else ():
            setattr(s3, name, self.presigning(getattr(s3, name)))
        try:
            yield
        finally:
            for name in _PRESIGNS if s3 else ():
                delattr(s3, name)  # the class's own method again
            urllib3.PoolManager.urlopen = urlopen  # type: ignore[method-assign]
            for client in clients:
                client.meta.events.unregister("provide-client-params", self.asked)
                client.meta.events.unregister("before-call", self.called)


class ReplayFailed(RuntimeError):
    """When a replayed function fails."""


def _player(name: str, recording: Recording, address: str) -> Player:
    app: ModuleType = cold_start(recording.function)
    player = Player(
        name,
        lambda: urlopen(f"{address}{_USE_PATH}{name}").read(),  # noqa: S310
        lambda: invoke(app, recording.event),
        recording.event,
    )
    for _ in range(2):  # the second one is warm: it has its secrets and leases
        player.use()
        listener = _Listener(address)
        with listener.listening():
            answer = player.handler()
        if isinstance(answer, dict) and answer.get("statusCode", 200) >= 400:
            raise ReplayFailed(f"{name}: {answer}")
        if missed := json.load(urlopen(f"{address}{_MISSED_PATH}")):  # noqa: S310
            raise ReplayFailed(f"{name}: no response was recorded for {', '.join(missed)}")
    player.calls, player.answer = listener.calls, answer
    return player


@contextmanager
def replay(recordings: Mapping[str, Recording], environment: Mapping[str, str]) -> Iterator[dict[str, Player]]:
    """Yields players by name. ``environment`` is that of the functions; their output is discarded."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    exchanges = {name: each.exchanges for name, each in recordings.items()}
    server = context.Process(target=_run, args=(exchanges, there), daemon=True)
    server.start()
    address = f"http://127.0.0.1:{here.recv()}"
    with pytest.MonkeyPatch.context() as patch, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        variables = {**environment, **_CREDENTIALS, "AWS_ENDPOINT_URL": address, "CRUN_BASE_URL": address}
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(bootstrap, "_clients", {})
        # bootstrap gives the steps their clock and their pauses: a step that pauses does so without waiting.
        patch.setattr(bootstrap, "time", SimpleNamespace(time=time.time, sleep=lambda _: None))
        _log_to(nowhere)
        try:
            yield {name: _player(name, each, address) for name, each in recordings.items()}
        finally:
            server.terminate()
            server.join()
            _log_to(sys.__stdout__)


def _log_to(stream: Any) -> None:
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)
