"""Sends HTTP requests with retries."""

from __future__ import annotations

import email.utils
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlsplit

import requests

from likeness_client.errors import (
    ConnectionFailedError,
    ForeignAnswerError,
    LikenessApiError,
    LikenessError,
    UnexpectedAnswerError,
    code_without_document,
    error_class,
)
from likeness_client.models import Problem
from likeness_client.reading import read

#: Seconds to connect, and to wait for a response. API Gateway has a timeout of 29 seconds.
Timeout = float | tuple[float, float]
#: The least timeout of a request at the end of a wait.
_LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Retry:
    """The retry policy: the maximum number of requests, and the pauses between them.

    The pause before the n-th retry is uniformly random between 0 and ``base_seconds`` · 2ⁿ⁻¹, at most
    ``longest_seconds``, plus a Retry-After. No retry starts later than ``budget_seconds`` after the first request: with
    a longer Retry-After there is no retry.
    """

    attempts: int = 4
    base_seconds: float = 0.5
    longest_seconds: float = 20.0
    budget_seconds: float = 60.0

    def pause(self, tried: int, retry_after: float | None) -> float:
        """Returns the seconds to wait after ``tried`` requests."""
        longest = min(self.longest_seconds, self.base_seconds * 2 ** (tried - 1))
        # Jitter needs no secure random numbers.
        return (retry_after or 0.0) + random.uniform(0.0, longest)  # noqa: S311


@dataclass(frozen=True)
class Request:
    """One request. GET, and POST with an idempotency key, can be retried."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    idempotency_key: str | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether sending it twice has the same effect as sending it once."""
        return self.method == "GET" or self.idempotency_key is not None


class Transport:
    """Sends requests with one credential. It follows no redirects, because the credential is for one origin."""

    def __init__(
        self, base_url: str, credential: str, http: requests.Session, timeout: Timeout, retry: Retry, user_agent: str
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("base_url must be an http(s) URL without user, password and query")
        if not re.fullmatch(r"[!-~]+", credential):
            raise ValueError("api_key must be printable ASCII without spaces")
        self._base_url = base_url.rstrip("/")
        self._headers = {"x-api-key": credential, "Accept": "application/json", "User-Agent": user_agent}
        self._http = http
        self._timeout = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        self._retry = retry

    def send(self, request: Request, deadline: float | None = None) -> object:
        """Returns the JSON of the response. ``deadline`` (of time.monotonic) also limits the retries.

        Raises LikenessApiError or a subclass, ConnectionFailedError, or UnexpectedAnswerError.
        """
        ends = time.monotonic() + self._retry.budget_seconds
        if deadline is not None:
            ends = min(ends, deadline)
        for tried in count(1):
            try:
                return self._send_once(request, deadline)
            except LikenessError as error:
                pause = self._retry.pause(tried, error.retry_after)
                spent = tried >= self._retry.attempts or time.monotonic() + pause > ends
                if spent or not error.is_passing or not request.may_be_repeated:
                    raise
            time.sleep(pause)
        raise AssertionError("count() does not end")

    def _send_once(self, request: Request, deadline: float | None) -> object:
        headers = dict(self._headers)
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        try:
            answer = self._http.request(
                request.method,
                self._base_url + request.path,
                params=request.query,
                json=request.body,
                headers=headers,
                timeout=self._timeouts(deadline),
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            raise ConnectionFailedError(f"{request.method} {request.path}: {type(exc).__name__}") from exc
        return _content(answer, f"{request.method} {request.path}")

    def _timeouts(self, deadline: float | None) -> tuple[float, float]:
        if deadline is None:
            return self._timeout
        left = max(deadline - time.monotonic(), _LEAST_SECONDS)
        connect, answer = self._timeout
        return min(connect, left), min(answer, left)


def _content(answer: requests.Response, what: str) -> object:
    """Returns the JSON of a successful response; raises an error for any other."""
    if answer.status_code >= 400:
        raise _api_error(answer)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if answer.status_code >= 300 or kind != "application/json":
        raise ForeignAnswerError(f"{what}: returned {answer.status_code} with {kind or 'no content type'}")
    try:
        return answer.json()
    except ValueError:
        raise UnexpectedAnswerError(f"{what}: the response is not JSON") from None


def _api_error(answer: requests.Response) -> LikenessApiError:
    """Returns the error for a response; without a problem document, the code is derived from the status."""
    status = answer.status_code
    try:
        problem = read(Problem, answer.json())
    except (ValueError, UnexpectedAnswerError):
        problem = Problem(title=f"HTTP {status} without a problem document", code=code_without_document(status))
    return error_class(status)(
        status,
        problem.code,
        problem.title,
        problem.detail,
        problem.field,
        problem.request_id or answer.headers.get("x-amzn-RequestId"),
        parse_retry_after(answer.headers.get("Retry-After")),
        problem.upstream_errors,
        problem.asset_id,
    )


def parse_retry_after(text: str | None) -> float | None:
    """Returns the seconds from now for a number or an HTTP date; None for anything else."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
