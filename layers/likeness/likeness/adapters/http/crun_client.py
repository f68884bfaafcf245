"""The client of crun's API: keep-alive connections, bounded waits, no redirects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import requests

from likeness.adapters.http.https import OwnSession, ReadyAdapter, seconds_to_wait
from likeness.contracts.crun import read_asset_report, read_balance, read_envelope, read_id, read_link
from likeness.domain.crun import AssetReport, CrunCall, H5Session, UpstreamProblem
from likeness.errors import RateLimited, UpstreamAmbiguous, UpstreamDeferred, UpstreamError, UpstreamRefused

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 12.0
#: Not part of crun's contract. It helps to find a call in crun's logs.
_CORRELATION_HEADER = "X-Correlation-Id"
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
        trust_env: bool = False,
        read_timeout: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        self._base = base_url.rstrip("/") + "/api/v1/client/"
        self._api_key = api_key
        self._admit = admit
        self._called = called
        self._timeouts = (CONNECT_TIMEOUT_SECONDS, read_timeout)
        self._http = OwnSession()
        self._http.trust_env = trust_env
        # One adapter for both schemes, because it reads the CA certificates.
        ready = ReadyAdapter(pool_maxsize=_PARALLEL, max_retries=0)
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, ready)

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
        return read_balance(self._call("GET", "account/balance", "balance"))

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
        json: dict[str, Any] | None = None,
        sent: Sequence[str] = (),
    ) -> Any:
        traced = {_CORRELATION_HEADER: correlation_id} if correlation_id else {}

        def once(*, fresh_key: bool) -> Any:
            key = self._api_key(fresh_key)
            headers = {"x-api-key": key, **traced}
            with self._reported(path.partition("?")[0].rpartition("/")[2], correlation_id):
                return self._send(method, path, promised, headers, json, [*sent, key])

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
        json: dict[str, Any] | None,
        sent: Sequence[str],
    ) -> Any:
        try:
            with self._http.request(
                method,
                self._base + path,
                json=json,
                headers=headers,
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = response.raw.read(_LARGEST_ANSWER, decode_content=True)
                retry_after = response.headers.get("Retry-After", "")
        except requests.ConnectTimeout:
            raise UpstreamDeferred(retry_after=10) from None
        except requests.ConnectionError as exc:
            # urllib3 raises NewConnectionError or NameResolutionError when nothing was sent.
            if "NewConnectionError" in repr(exc) or "NameResolutionError" in repr(exc):
                raise UpstreamDeferred(retry_after=10) from None
            raise UpstreamAmbiguous(retry_after=10) from None
        except (requests.RequestException, OSError, ValueError) as exc:
            # from None: the text of these errors contains the URL, which contains the byted token.
            raise UpstreamAmbiguous(f"crun's answer was lost ({type(exc).__name__})", retry_after=10) from None
        except Exception as exc:
            if type(exc).__module__.startswith("urllib3"):
                raise UpstreamAmbiguous(f"crun's answer was lost ({type(exc).__name__})", retry_after=10) from None
            raise
        return read_envelope(
            response.status_code,
            body,
            promised=promised,
            retry_after=seconds_to_wait(retry_after.strip(), time.time(), _LONGEST_WAIT_SECONDS),
            sent=sent,
        )


def _outcome(problem: UpstreamError | None) -> str:
    if isinstance(problem, UpstreamRefused):
        return "refused"
    return "deferred" if isinstance(problem, UpstreamDeferred) else "ambiguous"
