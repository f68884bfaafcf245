"""crun's answers, read tolerantly: fields may be new, missing, null or of another type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from likeness.errors import RateLimited, UpstreamAmbiguous, UpstreamDeferred, UpstreamRefused
from likeness.ports import AssetReport

_OK = 200
_ID = re.compile(r"[\x21-\x7e]+")
_LINK = re.compile(r"https?://[\w.:\[\]-]+([/?#][\x21-\x5b\x5d-\x7e]*)?", re.ASCII)
_LONGEST_LINK = 8192
_RATE_LIMITED, _MAINTENANCE = 429, 455
#: Codes above this are a server's trouble, but for these two, which are answers (source: the vendor's code list).
_ANSWERS_ABOVE_500 = frozenset({501, 505})


def read_envelope(status: int, body: bytes, *, promised: str, retry_after: int | None = None) -> Mapping[str, Any]:
    """The ``data`` of a successful answer.

    A call succeeded only when the HTTP status is 2xx *and* ``code`` is 200 *and* the promised field is there;
    otherwise the first of (body code, HTTP status) that is not a success decides. Raises UpstreamRefused,
    UpstreamDeferred or UpstreamAmbiguous.
    """
    envelope = _json_object(body)
    code = _integer(envelope.get("code")) if envelope else None
    decisive = next((each for each in (code, status) if each is not None and not _is_success(each)), None)
    if decisive is not None:
        raise _error(decisive, _text(envelope.get("message")) if envelope else None, retry_after)
    data = envelope.get("data") if envelope else None
    if code != _OK or not isinstance(data, dict) or not _text(data.get(promised)):
        raise UpstreamAmbiguous(f"crun's answer lacks {promised}", upstream_code=code or status)
    return data


def read_id(data: Mapping[str, Any], name: str, longest: int = 256) -> str:
    """An id of crun's: visible ASCII, of bounded length. UpstreamAmbiguous otherwise: nothing else may travel on."""
    text = _text(data.get(name)) or ""
    if len(text) > longest or not _ID.fullmatch(text):
        raise UpstreamAmbiguous(f"crun's {name} is not of the form of an id")
    return text


def read_link(data: Mapping[str, Any], name: str) -> str:
    """A link that a browser is sent to, byte for byte. UpstreamAmbiguous when it is none."""
    link = data.get(name)
    if not isinstance(link, str) or len(link) > _LONGEST_LINK or not _LINK.fullmatch(link):
        raise UpstreamAmbiguous(f"crun's {name} is not a link")
    return link


def _is_success(code: int) -> bool:
    return _OK <= code < 300


def _error(code: int, message: str | None, retry_after: int | None) -> Exception:
    if code == _RATE_LIMITED:
        return RateLimited(upstream_code=code, retry_after=retry_after or 10)
    if code == _MAINTENANCE:
        return UpstreamDeferred(upstream_code=code, retry_after=retry_after or 60)
    if code >= 500 and code not in _ANSWERS_ABOVE_500:
        return UpstreamAmbiguous(upstream_code=code, retry_after=retry_after or 10)
    return UpstreamRefused(code, (message or "")[:200])


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return str(value)[:4096] if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None


def read_asset_report(data: Mapping[str, Any]) -> AssetReport:
    """An asset's status and, where it failed, why: crun's page shows no error field, so every known shape is read."""
    for name in ("Error", "error"):
        error = data.get(name)
        if isinstance(error, dict):
            code = _text(error.get("Code")) or _text(error.get("code"))
            message = _text(error.get("Message")) or _text(error.get("message"))
            if code or message:
                return AssetReport(str(data["Status"]), code, message)
        elif _text(error):
            return AssetReport(str(data["Status"]), *_split(str(error)))
    for name in ("ErrorMessage", "FailedReason"):
        text = _text(data.get(name))
        if text:
            return AssetReport(str(data["Status"]), *_split(text))
    return AssetReport(str(data["Status"]))


def _split(text: str) -> tuple[str | None, str]:
    """``FaceMismatch: the face …`` → code and message; a text without a code is all message."""
    head, colon, rest = text.partition(":")
    if head.strip().isidentifier():
        return head.strip(), rest.strip() if colon else text
    return None, text
