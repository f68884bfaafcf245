"""The client of crun's API: keep-alive connections, bounded waits, no redirects.

It uses urllib3, which botocore has loaded already: requests would add a twelfth to the start of each function that
calls crun, for cookies, proxies and the detection of character sets, which crun's API does not need.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from likeness.adapters.http.https import seconds_to_wait, trusting_context
from likeness.contracts.crun import read_asset_report, read_credits, read_envelope, read_id, read_link
from likeness.domain.crun import AssetReport, CrunCall, H5Session, UpstreamProblem
from likeness.errors import RateLimited, UpstreamAmbiguous, UpstreamDeferred, UpstreamError, UpstreamRefused

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 12.0
#: Not part of crun's contract. It helps to find a call in crun's logs.
_CORRELATION_HEADER = "X-Correlation-Id"
_HEADERS = {"User-Agent": "Likeness", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
#: The key may have been rotated: it is read again, and the call is repeated once.
_KEY_REFUSED = frozenset({401, 403})
_LARGEST_ANSWER = 1 << 20
_PARALLEL = 8
_LONGEST_WAIT_SECONDS = 3600
#: No batch of reports starts later than this. One slow batch then still fits into the function's 60 s timeout.
_REPORTS_SECONDS = 25.0


class CrunClient:
    """The port ``Crun``. ``api_key(fresh=True)`` reads the key again: after a 401 or 403 it may have been rotated.

    ``admit(n)``, or ``admit(n, client_id)`` on behalf of a client, is the rate limiter: it returns, possibly after a
    wait, how many of ``n`` calls may be sent now, or raises RateLimited. ``called`` is called for every request sent,
    possibly from several threads concurrently. ``read_timeout`` is in seconds, between two bytes.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Callable[[bool], str],
        admit: Callable[..., int],
        *,
        called: Callable[[CrunCall], None] = lambda _: None,
        read_timeout: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        self._base = base_url.rstrip("/") + "/api/v1/client/"
        self._api_key = api_key
        self._admit = admit
        self._called = called
        self._http = PoolManager(
            maxsize=_PARALLEL,
            ssl_context=trusting_context(),
            cert_reqs="CERT_REQUIRED",
            timeout=Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=read_timeout),
            retries=False,
        )

    def create_validation(self, callback_url: str, correlation_id: str | None = None) -> H5Session:
        """See the port. The caller has already acquired a permit on behalf of its client."""
        body = {"callback_url": callback_url}
        data = self._call("POST", "job/visual-validate-session", "BytedToken", correlation_id, body, [callback_url])
        return H5Session(read_id(data, "BytedToken", longest=4096), read_link(data, "H5Link"))

    def group_of(self, byted_token: str, correlation_id: str | None = None, client_id: str | None = None) -> str:
        """See the port."""
        self._take(1, client_id)
        query = f"job/visual-validate-result?byted_token={quote(byted_token, safe='')}"
        return read_id(self._call("GET", query, "GroupId", correlation_id, sent=[byted_token]), "GroupId")

    def upload_asset(
        self,
        *,
        name: str,
        asset_type: str,
        asset_url: str,
        group_id: str,
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> str:
        """See the port."""
        self._take(1, client_id)
        body = {"name": name, "asset_type": asset_type, "asset_url": asset_url, "group_id": group_id}
        sent = [name, asset_url, group_id]
        return read_id(self._call("POST", "job/asset-upload", "AssetId", correlation_id, body, sent), "AssetId")

    def asset_reports(
        self, crun_asset_ids: Sequence[str], correlation_id: str | None = None, client_id: str | None = None
    ) -> dict[str, AssetReport | UpstreamProblem]:
        """See the port."""
        found: dict[str, AssetReport | UpstreamProblem] = {}
        waiting = list(crun_asset_ids)
        until = time.monotonic() + _REPORTS_SECONDS
        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            while waiting:
                try:
                    if time.monotonic() > until:
                        raise RateLimited(retry_after=1)
                    admitted = self._take(min(len(waiting), _PARALLEL), client_id)
                except RateLimited as problem:
                    return found | dict.fromkeys(waiting, problem)
                batch, waiting = waiting[:admitted], waiting[admitted:]
                found |= zip(batch, pool.map(partial(self._report, correlation_id), batch), strict=True)
        return found

    def balance(self) -> float:
        """See the port. The call is not made on behalf of a client."""
        self._take(1, None)
        return read_credits(self._call("GET", "account/balance", "balance"), "balance")

    def _take(self, calls: int, client_id: str | None) -> int:
        return self._admit(calls, client_id) if client_id else self._admit(calls)

    def _report(self, correlation_id: str | None, crun_asset_id: str) -> AssetReport | UpstreamProblem:
        query = f"job/asset-info?asset_id={quote(crun_asset_id, safe='')}"
        try:
            return read_asset_report(self._call("GET", query, "Status", correlation_id, sent=[crun_asset_id]))
        except UpstreamError as problem:
            return problem

    def _call(
        self,
        method: str,
        path: str,
        promised: str,
        correlation_id: str | None = None,
        content: dict[str, Any] | None = None,
        sent: Sequence[str] = (),
    ) -> Any:
        traced = {_CORRELATION_HEADER: correlation_id} if correlation_id else {}

        def once(*, fresh_key: bool) -> Any:
            key = self._api_key(fresh_key)
            headers = {"x-api-key": key, **traced}
            with self._reported(path.partition("?")[0].rpartition("/")[2], correlation_id):
                return self._send(method, path, promised, headers, content, [*sent, key])

        try:
            return once(fresh_key=False)
        except UpstreamRefused as refusal:
            if refusal.upstream_code not in _KEY_REFUSED:
                raise
            return once(fresh_key=True)

    @contextmanager
    def _reported(self, call: str, correlation_id: str | None) -> Iterator[None]:
        """Reports the duration and outcome of the call in the block."""
        began, outcome, code = time.monotonic(), "ok", None
        errors: tuple[str, ...] = ()
        try:
            yield
        except UpstreamError as problem:
            outcome, code = _outcome(problem), problem.upstream_code
            errors = problem.errors if isinstance(problem, UpstreamRefused) else ()
            raise
        except BaseException:
            outcome = _outcome(None)  # a bug, after the request may have been sent
            raise
        finally:
            self._called(CrunCall(call, outcome, time.monotonic() - began, code, correlation_id, errors))

    def _send(
        self,
        method: str,
        path: str,
        promised: str,
        headers: dict[str, str],
        content: dict[str, Any] | None,
        sent: Sequence[str],
    ) -> Any:
        headers = {**_HEADERS, **headers}
        if content is not None:
            headers["Content-Type"] = "application/json"
        payload = None if content is None else json.dumps(content).encode()
        # from None: the text of these errors contains the URL, which contains the byted token.
        try:
            response = self._http.urlopen(
                method, self._base + path, body=payload, headers=headers, redirect=False, preload_content=False
            )
        except (ConnectTimeoutError, NewConnectionError):  # nothing was sent
            raise UpstreamDeferred(retry_after=10) from None
        except (ProtocolError, SSLError, ClosedPoolError, OSError):
            raise UpstreamAmbiguous(retry_after=10) from None
        except ReadTimeoutError:
            raise _answer_lost("ReadTimeout") from None
        except (HTTPError, ValueError) as exc:
            raise _answer_lost(type(exc).__name__) from None
        try:
            body = response.read(_LARGEST_ANSWER, decode_content=True)
        except (HTTPError, OSError, ValueError) as exc:
            raise _answer_lost(type(exc).__name__) from None
        finally:
            response.close()  # has no effect on a connection whose response was read to its end
            response.release_conn()
        retry_after = response.headers.get("Retry-After", "")
        return read_envelope(
            response.status,
            body,
            promised=promised,
            retry_after=seconds_to_wait(retry_after.strip(), time.time(), _LONGEST_WAIT_SECONDS),
            sent=sent,
        )


def _answer_lost(cause: str) -> UpstreamAmbiguous:
    return UpstreamAmbiguous(f"crun's answer was lost ({cause})", retry_after=10)


def _outcome(problem: UpstreamError | None) -> str:
    if isinstance(problem, UpstreamRefused):
        return "refused"
    return "deferred" if isinstance(problem, UpstreamDeferred) else "ambiguous"
