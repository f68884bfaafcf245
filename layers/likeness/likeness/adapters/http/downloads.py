"""Downloads files from untrusted URLs: public addresses only at every redirect, bounded in bytes and time."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema, SSLError
from urllib3.exceptions import HTTPError, ReadTimeoutError

from likeness.adapters.http import untrusted_http
from likeness.domain.files import Download

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 10.0
MAX_REDIRECTS = 3
_CHUNK = 64 << 10
_HEADERS = {**untrusted_http.HEADERS, "User-Agent": "Likeness"}
_RETRYABLE = frozenset({"timeout", "no_connection", "no_answer", "incomplete"})
#: In addition to 5xx. 425 is Too Early.
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
#: Characters allowed in a URL. All others in a Location header are percent-encoded, as browsers do.
_URL_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"


class HttpDownloads:
    """The port ``Downloads``, for one file at a time. ``loopback`` also allows loopback addresses, for local stacks."""

    def __init__(
        self,
        *,
        loopback: bool,
        connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
        read_timeout: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        self._timeouts = (connect_timeout, read_timeout)
        self._http = untrusted_http.UntrustedSession()
        adapter = untrusted_http.PublicAdapter(self._http.watch, loopback=loopback)
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, adapter)

    def fetch(self, url: str, limit_bytes: int, seconds: float) -> Download:
        """See the port. Only the name resolution is not bounded by ``seconds``: it depends on the system's resolver."""
        content = BytesIO()
        outcome = self.write(url, content, limit_bytes, seconds)
        return outcome if outcome.problem else Download(content.getvalue())

    def write(self, url: str, target: BinaryIO, limit_bytes: int, seconds: float) -> Download:
        """Writes the file into ``target`` instead; the returned Download has no content, but the same problems.

        After a problem, ``target`` may have a part of the file. Raises OSError of ``target``.
        """
        with self._http.within(seconds) as deadline:
            try:
                download = self._follow(url, target, limit_bytes, deadline)
            except _TargetFailed as failed:
                raise failed.cause from None
            except Exception as exc:
                problem = _problem(exc)
                if problem is None:
                    raise
                download = _failed(problem)
        # A response that the deadline cut off looks like one that is complete.
        return _failed("timeout") if deadline.over.is_set() else download

    def _follow(self, url: str, target: BinaryIO, limit_bytes: int, deadline: untrusted_http.Deadline) -> Download:
        for _ in range(1 + MAX_REDIRECTS):
            with self._get(url, deadline) as response:
                if not response.is_redirect:
                    return _read(response, target, limit_bytes)
                url = _target(response)
        return _failed("too_many_redirects")

    def _get(self, url: str, deadline: untrusted_http.Deadline) -> requests.Response:
        """Sends one request that depends on its URL only: nothing sent to one host is sent to the next."""
        try:
            request = self._http.prepare_request(requests.Request("GET", url, headers=_HEADERS))
        except ValueError as exc:  # a port of six digits, half a surrogate pair in a password, ...
            raise InvalidURL from exc
        connect, read = (min(each, deadline.left) for each in self._timeouts)
        return self._http.send(request, timeout=(connect, read), allow_redirects=False, stream=True)


def _target(response: requests.Response) -> str:
    """Returns the target of a redirect. Raises InvalidURL when it is not a URL, SSLError from https to http.

    An https URL promises that nobody can read or replace the file in transit.
    """
    try:
        # http.client decodes headers as Latin-1.
        location = quote(response.headers["Location"].encode("latin-1"), safe=_URL_CHARACTERS)
        here, there = urlsplit(response.url), urlsplit(urljoin(response.url, location))
    except ValueError as exc:
        raise InvalidURL from exc
    if (here.scheme, there.scheme) == ("https", "http"):
        raise SSLError
    if (here.scheme, here.netloc.rpartition("@")[2]) == (there.scheme, there.netloc):
        there = there._replace(netloc=here.netloc)  # the same server: keep the user and password
    return there.geturl()


class _TargetFailed(Exception):
    """When the target of a download cannot be written, which is not the server's problem."""

    def __init__(self, cause: OSError) -> None:
        super().__init__()
        self.cause = cause


def _read(response: requests.Response, target: BinaryIO, limit_bytes: int) -> Download:
    status, body = response.status_code, response.raw
    if status != 200:
        return Download(problem="status", retryable=status in _RETRYABLE_STATUSES or status >= 500)
    if (body.length_remaining or 0) > limit_bytes:  # from Content-Length
        return _failed("too_large")
    left = limit_bytes + 1  # one byte more than the limit, to detect a longer file
    try:
        while left and (chunk := body.read(min(left, _CHUNK))):
            _write(target, chunk)
            left -= len(chunk)
    except ReadTimeoutError:
        return _failed("timeout")
    except (HTTPError, OSError):
        return _failed("incomplete")
    return Download() if left else _failed("too_large")


def _write(target: BinaryIO, chunk: bytes) -> None:
    try:
        target.write(chunk)
    except OSError as exc:
        raise _TargetFailed(exc) from exc


def _failed(problem: str) -> Download:
    return Download(problem=problem, retryable=problem in _RETRYABLE)


def _problem(error: Exception) -> str | None:
    """Returns a code without secrets, None for a bug."""
    if isinstance(error, InvalidSchema | InvalidURL | MissingSchema):
        return "not_http"
    return untrusted_http.problem_of(error)
