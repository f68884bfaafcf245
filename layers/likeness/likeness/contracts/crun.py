"""crun's responses, parsed tolerantly: fields may be new, missing, null or of another type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from likeness.contracts.crun_errors import read_errors
from likeness.domain.crun import AssetReport
from likeness.errors import RateLimited, UpstreamAmbiguous, UpstreamDeferred, UpstreamIncomplete, UpstreamRefused

_OK = 200
_ID = re.compile(r"[\x21-\x7e]+")
_CODE = re.compile(r"-?[0-9]{1,6}", re.ASCII)
_LINK = re.compile(r"https?://[\w.:\[\]-]+([/?#][\x21-\x5b\x5d-\x7e]*)?", re.ASCII)
_LONGEST_LINK = 8192
_REQUEST_TIMEOUT, _RATE_LIMITED, _MAINTENANCE = 408, 429, 455
#: Codes from 500 on are server errors, except these two refusals (source: the code list in crun's documentation).
_ANSWERS_ABOVE_500 = frozenset({501, 505})
#: Codes that mean that our account is refused, even without crun's envelope.
_REFUSED_BY_ANYBODY = frozenset({401, 403})
#: Fields that show a success also without ``code``: CreateTask was seen to leave it out. A task exists by then.
_ENOUGH_WITHOUT_CODE = frozenset({"task_id"})


def read_envelope(
    status: int, body: bytes, *, promised: str, retry_after: int | None = None, sent: Collection[str] = ()
) -> Mapping[str, Any]:
    """Returns the ``data`` of a successful response.

    A request succeeded only when the HTTP status is 2xx *and* ``code`` is 200 *and* the promised field is present. A
    ``task_id`` needs no ``code``.
    Otherwise the first of (body code, HTTP status) that is not a success decides. Only a response with crun's envelope
    counts as a refusal by crun (docs/architecture.md, "Errors of crun"). Raises UpstreamRefused, UpstreamDeferred or
    UpstreamAmbiguous. ``sent``: values of the request, which errors must not repeat.
    """
    envelope = _json_object(body)
    code = _integer(envelope.get("code"))
    decisive = next((each for each in (code, status) if each is not None and not _is_success(each)), None)
    if decisive is not None:
        # crun never redirects, so a redirect comes from another server, and its body does not count.
        is_word = code is not None and (decisive == code or not 300 <= status < 400)
        _raise(decisive, envelope, retry_after, sent, is_word=is_word)
    data = envelope.get("data")
    if code == _OK and (not data or (isinstance(data, dict) and data.get(promised) in (None, ""))):
        raise UpstreamIncomplete(f"crun's response lacks {promised}", upstream_code=code)
    is_success = code == _OK or (code is None and promised in _ENOUGH_WITHOUT_CODE)
    if (
        not is_success
        or not isinstance(data, dict)
        or not (one_line(data.get(promised)) or isinstance(data.get(promised), float))
    ):
        raise UpstreamAmbiguous(f"crun's response lacks {promised}", upstream_code=code or status)
    return data


def read_code(body: bytes) -> int | None:
    """The ``code`` of crun's envelope; None when the body has none, such as a proxy's page or a partial response."""
    return _integer(_json_object(body).get("code"))


def read_id(data: Mapping[str, Any], name: str, longest: int = 256) -> str:
    """Returns an id of crun. Raises UpstreamAmbiguous unless it is visible ASCII of bounded length."""
    given = data.get(name)
    text = str(given) if isinstance(given, (str, int)) and not isinstance(given, bool) else ""
    if len(text) > longest or not _ID.fullmatch(text):
        raise UpstreamAmbiguous(f"crun's {name} is not a valid id")
    return text


def read_link(data: Mapping[str, Any], name: str) -> str:
    """Returns a link for the browser, unchanged. Raises UpstreamAmbiguous when it is not valid."""
    link = data.get(name)
    if not isinstance(link, str) or len(link) > _LONGEST_LINK or not _LINK.fullmatch(link):
        raise UpstreamAmbiguous(f"crun's {name} is not a link")
    return link


def read_credits(data: Mapping[str, Any], name: str) -> float:
    """Returns credits, from a number or a text. Raises UpstreamAmbiguous when they are neither."""
    given = data.get(name)
    try:
        if isinstance(given, (int, float, str)) and not isinstance(given, bool) and math.isfinite(float(given)):
            return float(given)
    except (ValueError, OverflowError):
        pass
    raise UpstreamAmbiguous(f"crun's {name} is not a number")


def _is_success(code: int) -> bool:
    return _OK <= code < 300


def _raise(
    code: int, envelope: Mapping[str, Any], retry_after: int | None, sent: Collection[str], *, is_word: bool
) -> NoReturn:
    """Raises the error for ``code``. Without ``is_word``, it is an HTTP status that may not come from crun."""
    if code == _RATE_LIMITED:
        raise RateLimited(upstream_code=code, retry_after=retry_after or 10, asked_to_wait=retry_after)
    if code == _MAINTENANCE:
        raise UpstreamDeferred(upstream_code=code, retry_after=retry_after or 60, asked_to_wait=retry_after)
    if (is_word and _is_refusal(code)) or code in _REFUSED_BY_ANYBODY:
        message = (one_line(envelope.get("message")) or "")[:200]
        raise UpstreamRefused(code, message, read_errors(envelope.get("errors"), sent))
    raise UpstreamAmbiguous(upstream_code=code, retry_after=retry_after or 10, asked_to_wait=retry_after)


def _is_refusal(code: int) -> bool:
    return code != _REQUEST_TIMEOUT and (code < 500 or code in _ANSWERS_ABOVE_500)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value)
    # int() alone also accepts "2_00" and the digits of every script.
    return int(text) if _CODE.fullmatch(text) else None


def one_line(value: object) -> str | None:
    """A text of bounded length on one line, or None.

    Control characters, direction overrides and lone surrogates become spaces, because the text is stored, returned as
    JSON and shown to people.
    """
    if not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
        return None
    return "".join(each if each.isprintable() else " " for each in str(value)[:4096])


def read_asset_report(data: Mapping[str, Any]) -> AssetReport:
    """An asset's status and the cause of a failure, in every known form: crun does not document an error field."""
    status = one_line(data["Status"]) or ""
    for name in ("Error", "error"):
        error = data.get(name)
        if isinstance(error, dict):
            code = one_line(error.get("Code")) or one_line(error.get("code"))
            message = one_line(error.get("Message")) or one_line(error.get("message"))
            if code or message:
                return AssetReport(status, code, message)
        elif text := one_line(error):
            return AssetReport(status, *_split(text))
    for name in ("ErrorMessage", "FailedReason"):
        if text := one_line(data.get(name)):
            return AssetReport(status, *_split(text))
    return AssetReport(status)


def _split(text: str) -> tuple[str | None, str]:
    """Code and message of ``FaceMismatch: the face …``; a text without a code is only a message."""
    head, colon, rest = text.partition(":")
    if head.strip().isidentifier():
        return head.strip(), rest.strip() if colon else text
    return None, text
