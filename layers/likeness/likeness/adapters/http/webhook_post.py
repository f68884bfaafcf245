"""Sends webhooks to untrusted hosts over HTTPS: public addresses only, no redirects, bounded waits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import requests

from likeness.adapters.http import untrusted_http
from likeness.adapters.http.https import seconds_to_wait
from likeness.domain.webhooks import LONGEST_PAUSE_SECONDS, WebhookAnswer

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 10.0
#: The limit for a whole delivery, because a read timeout starts again with every byte.
TOTAL_SECONDS = 15.0
#: The body is read, so that the receiver can finish its response, and discarded. Only the status counts.
_LARGEST_ANSWER = 64 << 10
_CHUNK = 4 << 10


class HttpWebhookPost:
    """The port ``WebhookPost``, for one delivery at a time. ``private`` also allows http and private addresses."""

    def __init__(
        self, *, private: bool, read_timeout: float = READ_TIMEOUT_SECONDS, total: float = TOTAL_SECONDS
    ) -> None:
        self._timeouts, self._total = (CONNECT_TIMEOUT_SECONDS, read_timeout), total
        self._http = untrusted_http.UntrustedSession()
        if private:
            adapter = untrusted_http.WatchedAdapter(self._http.watch)
            self._http.mount("http://", adapter)
        else:
            adapter = untrusted_http.PublicAdapter(self._http.watch)
        self._http.mount("https://", adapter)

    def __call__(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        """See the port."""
        with self._http.within(self._total) as deadline:
            try:
                return self._post(url, headers, body, deadline)
            except Exception as exc:
                problem = _problem(exc)
                if problem is None:
                    raise
                return WebhookAnswer(problem="timeout" if deadline.over.is_set() else problem)

    def _post(
        self, url: str, headers: Mapping[str, str], body: str, deadline: untrusted_http.Deadline
    ) -> WebhookAnswer:
        with self._http.post(
            url,
            data=body.encode(),
            headers={**untrusted_http.HEADERS, **headers},
            timeout=self._timeouts,
            allow_redirects=False,
            stream=True,
        ) as response:
            if deadline.over.is_set():
                raise requests.ReadTimeout  # headers that the deadline cut off look like complete ones
            asked = response.headers.get("Retry-After", "").strip()
            # Errors in the body do not matter, because the status is known.
            with suppress(Exception):
                self._read(response)
        return WebhookAnswer(response.status_code, seconds_to_wait(asked, time.time(), LONGEST_PAUSE_SECONDS) or 0)

    def _read(self, response: requests.Response) -> None:
        left = _LARGEST_ANSWER
        while left > 0 and (chunk := response.raw.read(_CHUNK)):
            left -= len(chunk)


def _problem(error: Exception) -> str | None:
    """Returns a code without secrets, None for a bug."""
    return "not_https" if isinstance(error, requests.exceptions.InvalidSchema) else untrusted_http.problem_of(error)
