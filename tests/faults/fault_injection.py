"""Numbers every call of the functions to another service, and injects the faults of a plan.

AWS calls are intercepted with botocore's events, calls to crun in the HTTP library: the application runs unchanged.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from typing import Any

import requests
import urllib3
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto.core.models import botocore_stubber

CRUN_CALLS = "/api/v1/client/"
#: The downloads of a generation's media, which are no calls of the API.
MEDIA = "/media/"
_THROTTLED = b'{"code": 429, "message": "rate limited", "data": null}'


class Fault(StrEnum):
    """What happens to a call."""

    FAILS = "fails before it happens"
    LOST = "happens, the response is lost"
    DIES = "happens, the process stops right after"
    #: The same, and the step fails for hours: its retries and every other invocation.
    USED_UP = "happens, the process stops, every retry too"
    #: AWS: the SDK's own retry makes the call a second time. crun: a 429 without any effect.
    REPEATED = "repeated by the SDK, or throttled"


#: The faults after which a retry succeeds.
MOMENTARY = tuple(each for each in Fault if each is not Fault.USED_UP)


class Killed(BaseException):
    """Ends the invocation as a time-out does: no ``except Exception`` catches it."""


class LostByAws(Exception):
    """When the state machine's own integration gets no response."""


@dataclass(frozen=True)
class Call:
    """One numbered call. ``by`` names the function, or the state machine."""

    number: int
    service: str
    operation: str
    by: str

    def __str__(self) -> str:
        return f"{self.by}: {self.service}.{self.operation}"


@dataclass
class FaultInjector:
    """Numbers calls from 1 and injects faults.

    ``plan`` maps the number of a call to its fault, ``outage(service, call)`` returns the fault of any other call, and
    ``fired`` lists the faults that occurred. ``happened(service, operation, body)`` is called after each AWS call that
    took effect, ``asking(call, url)`` before each call to crun, and ``needs(function, service, operation, parameters)``
    before each AWS call and for each presigned URL.
    """

    happened: Callable[[str, str, dict[str, Any]], None]
    asking: Callable[[str, str], None]
    needs: Callable[[str, str, str, dict[str, Any]], None] = lambda *_: None
    #: Returns a response in place of moto's, or None for moto's. ``used_up(function)`` is called when a step begins to
    #: fail for hours.
    answers: Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]] | None] = lambda *_: None
    used_up: Callable[[str], None] = lambda _: None
    #: Returns status and body in place of the simulator's response, or None for the simulator's.
    instead: Callable[[str], tuple[int, bytes] | None] = lambda _: None
    plan: Mapping[int, Fault] = field(default_factory=dict)
    outage: Callable[[str, str], Fault | None] = lambda *_: None
    calls: list[Call] = field(default_factory=list)
    fired: list[tuple[Call, Fault]] = field(default_factory=list)
    _by: str | None = None
    #: ``outage`` may make calls of its own.
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _again: threading.local = field(default_factory=threading.local)
    _send: Any = None

    def begin(self, plan: Mapping[int, Fault]) -> None:
        """Clears all records and numbers from 1 again."""
        self.plan, self.calls, self.fired = plan, [], []
        self.outage, self.instead = lambda *_: None, lambda _: None

    @property
    def caller(self) -> str | None:
        """Returns the function that is running."""
        return self._by

    @contextmanager
    def inside(self, function: str) -> Iterator[None]:
        """Attributes calls in the block to ``function``. Calls outside of any block are not counted."""
        before, self._by = self._by, function
        try:
            yield
        finally:
            self._by = before

    def _number(self, service: str, operation: str) -> Fault | None:
        with self._lock:
            call = Call(len(self.calls) + 1, service, operation, str(self._by))
            self.calls.append(call)
            fault = self.plan.get(call.number) or self.outage(service, operation)
            if fault:
                self.fired.append((call, fault))
            return fault

    # -- AWS --------------------------------------------------------------------------------------------------

    def watch(self, service: str, client: Any) -> None:
        """Intercepts the calls of a client of the functions."""
        events = client.meta.events
        events.register_first(f"provide-client-params.{service}", self._parameters)
        events.register_first(f"before-call.{service}", self._before_call)
        events.register_first(f"after-call.{service}", self._after_call)
        events.register_first(f"before-send.{service}", self._before_send)
        events.register_first(f"needs-retry.{service}", self._needs_retry)

    def _parameters(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        # botocore reports every presigned form as CreateBucket; SimulatedAws reads the form itself.
        if self._by and model.name != "CreateBucket":
            self.needs(self._by, model.service_model.service_name, model.name, params)

    def _before_call(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> Any:
        if self._by is None:
            return self._answered(model.name, params)
        service = model.service_model.service_name
        fault = self._number(service, model.name)
        context["likeness_call"] = (service, model.name, params.get("body"), fault)
        if fault is Fault.FAILS:
            raise EndpointConnectionError(endpoint_url="https://aws.test")
        if fault is Fault.REPEATED:
            self._again.due = True
        return self._answered(model.name, params)

    def _answered(self, operation: str, params: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        known = self.answers(operation, params)
        if known is None:
            return None
        self._again.due = False
        made = requests.Response()
        made.status_code = known[0]
        return made, known[1]

    def _before_send(self, event_name: str, request: Any, **_: Any) -> None:
        if getattr(self._again, "due", False):
            self._again.due, self._again.now = False, True
            botocore_stubber(event_name, request)
            raise ReadTimeoutError(endpoint_url="https://aws.test")

    def _needs_retry(self, **_: Any) -> float | None:
        if getattr(self._again, "now", False):
            self._again.now = False
            return 1e-9  # immediately: the SDK sleeps in real time
        return None

    def _after_call(self, http_response: Any, context: dict[str, Any], **_: Any) -> None:
        found = context.pop("likeness_call", None)
        if found is None:
            return
        service, operation, body, fault = found
        if http_response.status_code < 300:
            self.happened(service, operation, json.loads(body) if isinstance(body, bytes) and body[:1] == b"{" else {})
        if fault is Fault.LOST:
            raise ReadTimeoutError(endpoint_url="https://aws.test")
        self._die(fault)

    def _die(self, fault: Fault | None) -> None:
        if fault is Fault.USED_UP:
            self.used_up(str(self._by))
        if fault in (Fault.DIES, Fault.USED_UP):
            raise Killed

    def integration(self, operation: str, call: Callable[[], Any]) -> Any:
        """Makes a call of the state machine itself, which cannot stop: DIES is a lost response too."""
        with self.inside("onboard_person"):
            fault = self._number("dynamodb", operation)
        if fault is Fault.FAILS:
            raise LostByAws
        for _ in range(2 if fault is Fault.REPEATED else 1):
            answer = call()
        if fault is Fault.USED_UP:
            self.used_up("onboard_person")
        if fault in (Fault.LOST, Fault.DIES, Fault.USED_UP):
            raise LostByAws
        return answer

    # -- crun -------------------------------------------------------------------------------------------------

    @contextmanager
    def over_http(self) -> Iterator[None]:
        """Numbers requests to crun, and downloads of its media, too, in the block."""
        real, download = urllib3.PoolManager.urlopen, urllib3.HTTPConnectionPool.urlopen

        def urlopen(pool: urllib3.PoolManager, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
            if self._by is None or CRUN_CALLS not in url:
                return real(pool, method, url, **options)
            return self._crun(lambda: real(pool, method, url, **options), url)

        def downloaded(
            pool: urllib3.HTTPConnectionPool, method: str, url: str, *more: Any, **options: Any
        ) -> urllib3.BaseHTTPResponse:
            if self._by is None or not url.startswith(MEDIA):
                return download(pool, method, url, *more, **options)
            return self._crun(lambda: download(pool, method, url, *more, **options), MEDIA)

        urllib3.PoolManager.urlopen = urlopen  # type: ignore[assignment, method-assign]
        urllib3.HTTPConnectionPool.urlopen = downloaded  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            urllib3.PoolManager.urlopen = real  # type: ignore[method-assign]
            urllib3.HTTPConnectionPool.urlopen = download  # type: ignore[method-assign]

    def _crun(self, real: Callable[[], urllib3.BaseHTTPResponse], url: str) -> urllib3.BaseHTTPResponse:
        operation = url.partition("?")[0].rstrip("/").rpartition("/")[2]
        fault = self._number("crun", operation)
        if fault is Fault.FAILS:
            raise urllib3.exceptions.ConnectTimeoutError
        if fault is Fault.REPEATED:
            return _answer(429, _THROTTLED)
        self.asking(operation, url)
        other = self.instead(operation)
        answer = _answer(*other) if other else real()
        if fault is Fault.LOST:
            answer.close()
            raise urllib3.exceptions.ReadTimeoutError(None, url, "the response is lost")  # type: ignore[arg-type]
        if fault in (Fault.DIES, Fault.USED_UP):
            answer.close()
            self._die(fault)
        return answer


def _answer(status: int, content: bytes) -> urllib3.BaseHTTPResponse:
    """Returns a response that no server sent."""
    return urllib3.HTTPResponse(BytesIO(content), status=status, preload_content=False)
