"""Shared parts of the HTTP clients."""

from __future__ import annotations

import calendar
import math
import re
import ssl
from email.utils import parsedate_to_datetime
from pathlib import Path

import certifi
from urllib3.util.ssl_ import create_urllib3_context

#: certifi's CA certificates. The layer's build puts a folder ``roots`` beside them (layers/dependencies/hash_roots.py).
CA_BUNDLE = certifi.where()
_SECONDS = re.compile("[0-9]+")


def trusting_context() -> ssl.SSLContext:
    """Returns a context that trusts certifi's CA certificates, for all connections of a client.

    From the folder of roots, OpenSSL reads the one that a server needs during the handshake. Reading all of them takes
    a fifth of a function's start, so that a bundle without the folder is read once, and not for each new connection.
    """
    context = create_urllib3_context()
    roots = Path(CA_BUNDLE).with_name("roots")
    if roots.is_dir():
        context.load_verify_locations(capath=roots)
    else:
        context.load_verify_locations(CA_BUNDLE)
    return context


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
