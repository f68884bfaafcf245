"""URLs: the language of an H5 link, the query of a callback, and the URLs that a browser may be redirected to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from likeness.domain.session import Language

_LNG = re.compile(r"(?<=[?&])lng=[^&#]*")
#: The maximum length of a URL that a browser is redirected to, in characters.
LONGEST_URL = 2048
_SCHEME = re.compile("https?://", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f]|[^\x21-\x7e]")
_PASSED = "10000"
_MAX_FIELDS = 50
_LONGEST_VALUE = 32
#: The parameters that the H5 page adds besides the token, in its order (source: crun's documentation).
_REPORTED = ("resultCode", "algorithmBaseRespCode", "reqMeasureInfoValue", "verify_type")


def with_language(h5_link: str, language: Language) -> str:
    """``h5_link`` with its ``lng`` parameter set to ``language``, and every other byte unchanged.

    Works on the text, not on a parsed query, because some links have signatures with an encoding that must not change.
    Replaces the first ``lng`` and removes repeated ones; without one, appends it before the fragment.
    """
    link, hash_sign, fragment = h5_link.partition("#")
    setting = f"lng={language.value}"
    if _LNG.search(link):
        first, *rest = _LNG.finditer(link)
        for extra in reversed(rest):
            link = link[: extra.start() - 1] + link[extra.end() :]
        link = link[: first.start()] + setting + link[first.end() :]
    else:
        separator = "" if link.endswith(("?", "&")) else "&" if "?" in link else "?"
        link += separator + setting
    return link + hash_sign + fragment


class CallbackResult(NamedTuple):
    """The parameters of a callback. They come from a browser and are no proof, only a reason to get the result.

    ``reported`` has the H5 page's parameters, each value shortened and on one line: they are stored, shown and passed
    on.
    """

    reported: Mapping[str, str]
    passed: bool

    @property
    def result_code(self) -> str | None:
        """The result code, if the page sent one."""
        return self.reported.get("resultCode") or None

    @property
    def stopped(self) -> bool:
        """Whether the check ended before it was complete, for example because the person pressed Cancel.

        crun publishes no result code for that, but a check that was not complete is not billed.
        """
        return not self.passed and self.reported.get("reqMeasureInfoValue") == "0"


def read_callback(parameters: dict[str, list[str]]) -> CallbackResult:
    """The H5 page's parameters, from the query as API Gateway parsed it.

    A second ``?`` counts as ``&``, because it is unknown whether the page checks for an existing query. A parameter
    with two different values, or a query with too many fields, is ignored.
    """
    values: dict[str, set[str]] = {each: set() for each in _REPORTED}
    for name, found in parameters.items():
        for value in found:
            try:
                pairs = parse_qsl(
                    f"{name}={value}".replace("?", "&"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
                )
            except ValueError:
                return CallbackResult({}, passed=False)
            for key, each in pairs:
                if key in values:
                    values[key].add(each.strip())
    reported = {key: _of_one_line(*each) for key, each in values.items() if len(each) == 1}
    return CallbackResult(reported, passed=values["resultCode"] == {_PASSED})


def _of_one_line(value: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in value[:_LONGEST_VALUE])


def origin_of(url: str) -> str | None:
    """``scheme://host[:port]`` of a URL that a browser may be redirected to, as browsers normalise it, or None.

    Scheme and host are in lower case, and a default port is left out. Accepts https, or http to the same machine,
    without user info, backslash, white space, control or non-ASCII characters: browsers and parsers disagree on those,
    and a disagreement is an open redirect.
    """
    if len(url) > LONGEST_URL or _UNSAFE.search(url) or not _SCHEME.match(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host, _, written = parts.netloc.rpartition(":") if port is not None else (parts.netloc, "", "")
    # Browsers rewrite a port with leading zeros or with digits of another script.
    if not host or "@" in parts.netloc or parts.netloc.endswith(":") or (port is not None and written != str(port)):
        return None
    host = host.lower()
    if parts.scheme == "http" and host not in _LOOPBACK:
        return None
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def is_registered(url: str, origins: Sequence[str]) -> bool:
    """Whether the origin of ``url`` is on the client's list; both are normalised."""
    origin = origin_of(url)
    return origin is not None and origin in map(origin_of, origins)


def may_return_to(url: str, origins: Sequence[str]) -> bool:
    """Whether the origin of ``url`` is on the client's list, and the URL has no fragment."""
    return why_not_return_to(url, origins) is None


def why_not_return_to(url: str, origins: Sequence[str]) -> str | None:
    """Why a browser may not be redirected to ``url``, without quoting it; None when it may be."""
    if "#" in url:
        return "must not have a fragment (#)"
    return why_not_registered(url, origins)


def why_not_registered(url: str, origins: Sequence[str]) -> str | None:
    """Why ``url`` is not on a client's list of origins, without quoting it; None when it is."""
    if origin_of(url) is None:
        return (
            "must be an https URL without user info, white space, backslashes or non-ASCII characters"
            " (http is accepted for localhost, 127.0.0.1 and [::1] only)"
        )
    return None if is_registered(url, origins) else "the origin is not on the client's list of return origins"


def return_location(url: str, session_id: str, status: str) -> str:
    """``url`` with ``session_id`` and ``status`` added to its query."""
    return f"{url}{'&' if '?' in url else '?'}session_id={session_id}&status={status}"
