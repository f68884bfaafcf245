"""What the clients of other people's servers share."""

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


class OwnSession(Session):
    """A session that takes a redirect for an answer like any other.

    requests reads the body of one whole, without any bound, even where it is told not to follow it.
    """

    def get_redirect_target(self, resp: Response) -> None:
        """Nowhere."""


def seconds_to_wait(retry_after: str, now: float, longest: int) -> int | None:
    """What a Retry-After header asks for, in seconds or as a date (RFC 9110, 10.2.3), from 0 to ``longest``.

    None when it says nothing.
    """
    if _SECONDS.fullmatch(retry_after):
        seconds = int(retry_after[:9])
    else:
        try:
            # A date without a zone is GMT, as all dates of HTTP are, whatever this machine's own zone is.
            seconds = math.ceil(calendar.timegm(parsedate_to_datetime(retry_after).utctimetuple()) - now)
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0), longest)
