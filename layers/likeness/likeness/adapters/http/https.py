"""Shared parts of the HTTP clients."""

from __future__ import annotations

import calendar
import math
import re
from email.utils import parsedate_to_datetime
from typing import Any

from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

_SECONDS = re.compile("[0-9]+")


class ReadyAdapter(HTTPAdapter):
    """Reads the CA certificates once, while the function starts: requests reads them for each new connection."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        context = create_urllib3_context()
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        super().init_poolmanager(*args, **options, ssl_context=context)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """See HTTPAdapter. The context already has the CA certificates. A custom bundle is read as usual."""
        if verify is True:
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


class OwnSession(Session):
    """A session that treats a redirect like any other response.

    requests would read the whole body of a redirect, without a limit, even with ``allow_redirects=False``.
    """

    def get_redirect_target(self, resp: Response) -> None:
        """Returns None, so that no response counts as a redirect."""


def seconds_to_wait(retry_after: str, now: float, longest: int) -> int | None:
    """Returns the seconds of a Retry-After header (RFC 9110, 10.2.3), from 0 to ``longest``.

    Returns None when the header is neither a number of seconds nor a date.
    """
    if _SECONDS.fullmatch(retry_after):
        seconds = int(retry_after[:9])
    else:
        try:
            # A date without a time zone is GMT, like all dates of HTTP.
            seconds = math.ceil(calendar.timegm(parsedate_to_datetime(retry_after).utctimetuple()) - now)
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0), longest)
