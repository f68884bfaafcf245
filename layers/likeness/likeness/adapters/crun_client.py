"""crun.ai over HTTPS: one kept-alive connection, bounded waits, no redirects."""

from __future__ import annotations

import calendar
import math
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from likeness.contracts.crun import read_asset_report, read_balance, read_envelope, read_id, read_link
from likeness.errors import RateLimited, UpstreamAmbiguous, UpstreamDeferred, UpstreamError, UpstreamRefused
from likeness.ports import AssetReport, H5Session, UpstreamProblem

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 12.0
_LARGEST_ANSWER = 1 << 20
_PARALLEL = 8
_SECONDS = re.compile("[0-9]+")
_LONGEST_WAIT_SECONDS = 3600
#: No further batch of questions begins after this: with one slow batch it still fits into the function's minute.
_REPORTS_SECONDS = 25.0


class _ReadyAdapter(HTTPAdapter):
    """Reads the certificate authorities while the function starts, once: requests does it in each new connection."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        context = create_urllib3_context()
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        super().init_poolmanager(*args, **options, ssl_context=context)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """See HTTPAdapter. The context knows the authorities already; a bundle of the user's is read as ever."""
        if verify is True:
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


class CrunClient:
    """The port ``Crun``. ``api_key(fresh=True)`` fetches the key anew: after a 401 it may have been rotated.

    ``admit(n)`` is the rate governor: it returns, perhaps after a while, how many of ``n`` calls may go out now, or
    raises RateLimited. ``read_timeout`` in seconds, between two bytes.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Callable[[bool], str],
        admit: Callable[[int], int],
        *,
        trust_env: bool = False,
        read_timeout: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        self._base = base_url.rstrip("/") + "/api/v1/client/"
        self._api_key = api_key
        self._admit = admit
        self._timeouts = (CONNECT_TIMEOUT_SECONDS, read_timeout)
        self._http = requests.Session()
        self._http.trust_env = trust_env
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, _ReadyAdapter(pool_maxsize=_PARALLEL, max_retries=0))

    def create_validation(self, callback_url: str) -> H5Session:
        """See the port. Who asks for a link has its place already: the governor must know which client it is for."""
        data = self._call("POST", "job/visual-validate-session", "BytedToken", json={"callback_url": callback_url})
        return H5Session(read_id(data, "BytedToken", longest=4096), read_link(data, "H5Link"))

    def group_of(self, byted_token: str) -> str:
        """See the port."""
        self._admit(1)
        query = f"job/visual-validate-result?byted_token={quote(byted_token, safe='')}"
        return read_id(self._call("GET", query, "GroupId"), "GroupId")

    def upload_asset(self, *, name: str, asset_type: str, asset_url: str, group_id: str) -> str:
        """See the port."""
        self._admit(1)
        body = {"name": name, "asset_type": asset_type, "asset_url": asset_url, "group_id": group_id}
        return read_id(self._call("POST", "job/asset-upload", "AssetId", json=body), "AssetId")

    def asset_reports(self, crun_asset_ids: Sequence[str]) -> dict[str, AssetReport | UpstreamProblem]:
        """See the port."""
        found: dict[str, AssetReport | UpstreamProblem] = {}
        waiting = list(crun_asset_ids)
        until = time.monotonic() + _REPORTS_SECONDS
        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            while waiting:
                try:
                    if time.monotonic() > until:
                        raise RateLimited(retry_after=1)
                    admitted = self._admit(min(len(waiting), _PARALLEL))
                except RateLimited as problem:
                    return found | dict.fromkeys(waiting, problem)
                batch, waiting = waiting[:admitted], waiting[admitted:]
                found |= zip(batch, pool.map(self._report, batch), strict=True)
        return found

    def balance(self) -> float:
        """See the port."""
        self._admit(1)
        return read_balance(self._call("GET", "account/balance", "balance"))

    def _report(self, crun_asset_id: str) -> AssetReport | UpstreamProblem:
        try:
            return read_asset_report(
                self._call("GET", f"job/asset-info?asset_id={quote(crun_asset_id, safe='')}", "Status")
            )
        except UpstreamError as problem:
            return problem

    def _call(self, method: str, path: str, promised: str, json: dict[str, Any] | None = None) -> Any:
        try:
            return self._send(method, path, promised, json, fresh_key=False)
        except UpstreamRefused as refusal:
            if refusal.upstream_code != requests.codes.unauthorized:
                raise
            return self._send(method, path, promised, json, fresh_key=True)

    def _send(self, method: str, path: str, promised: str, json: dict[str, Any] | None, *, fresh_key: bool) -> Any:
        try:
            with self._http.request(
                method,
                self._base + path,
                json=json,
                headers={"x-api-key": self._api_key(fresh_key)},
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = response.raw.read(_LARGEST_ANSWER, decode_content=True)
                retry_after = response.headers.get("Retry-After", "")
        except requests.ConnectTimeout:
            raise UpstreamDeferred(retry_after=10) from None
        except requests.ConnectionError as exc:
            # urllib3 says NewConnectionError or NameResolutionError when nothing was sent.
            if "NewConnectionError" in repr(exc) or "NameResolutionError" in repr(exc):
                raise UpstreamDeferred(retry_after=10) from None
            raise UpstreamAmbiguous(retry_after=10) from None
        except (requests.RequestException, OSError, ValueError) as exc:
            # from None: the text of these errors holds the URL, and that holds the byted token.
            raise UpstreamAmbiguous(f"crun's answer was lost ({type(exc).__name__})", retry_after=10) from None
        except Exception as exc:
            if type(exc).__module__.startswith("urllib3"):
                raise UpstreamAmbiguous(f"crun's answer was lost ({type(exc).__name__})", retry_after=10) from None
            raise
        return read_envelope(
            response.status_code,
            body,
            promised=promised,
            retry_after=_seconds_to_wait(retry_after.strip(), time.time()),
        )


def _seconds_to_wait(retry_after: str, now: float) -> int | None:
    """What a Retry-After header asks for, in seconds or as a date (RFC 9110, 10.2.3); None when it says nothing."""
    if _SECONDS.fullmatch(retry_after):
        seconds = int(retry_after[:9])
    else:
        try:
            # A date without a zone is GMT, as all dates of HTTP are, whatever this machine's own zone is.
            seconds = math.ceil(calendar.timegm(parsedate_to_datetime(retry_after).utctimetuple()) - now)
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0), _LONGEST_WAIT_SECONDS)
