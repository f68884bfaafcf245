"""The ``errors`` that crun lists with a 422, redacted so that they can be shown and logged.

Its ``message`` is always the same ("Missing Params or Type Error", crun's documentation), so only the list explains the
error. The list may quote values of the request: a callback URL with our signature, a presigned URL, a token, a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote

#: The maximum number of errors that are shown, and the maximum length of each.
MAX_ERRORS, LONGEST_ERROR = 8, 160
_READ = 600
_GONE = "[…]"
#: A URL in any encoding, up to the next space or quotation mark.
_URL = re.compile(r"[^\s\"']*(?::(?:\\?/){2}|%3a%2f%2f)[^\s\"']*", re.IGNORECASE)
#: A long run of characters with a digit, which is not a word but a token, an id or a signature.
_OPAQUE = re.compile(r"(?=[\w%+/=~-]*\d)[\w%+/=~-]{12,}", re.ASCII)
#: The length of the prefix by which a value of the request is recognised when the rest is cut off.
_BEGINNING = 8


def read_errors(given: object, sent: Collection[str] = ()) -> tuple[str, ...]:
    """The texts of ``given``, each short, on one line, and without URLs, tokens and the values in ``sent``."""
    if not isinstance(given, list):
        return ()
    texts = [each for each in given[:MAX_ERRORS] if isinstance(each, str)]
    return tuple(shown for each in texts if (shown := _shown(each, sent)))


def _shown(text: str, sent: Collection[str]) -> str:
    # Cut at a space, so that no part of a secret remains that is not recognised.
    kept = text if len(text) <= _READ else re.sub(r"\S+\Z", "", text[:_READ])
    forms = sorted((form for each in sent for form in _spellings(each)), key=len, reverse=True)
    for form in forms:
        kept = kept.replace(form, _GONE) if len(form) >= _BEGINNING else kept
    kept = _URL.sub(_GONE, kept)
    for form in forms:
        kept = _without(kept, form)
    kept = _OPAQUE.sub(_GONE, kept)
    line = " ".join("".join(each if each.isprintable() else " " for each in kept).split())
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 1]}…"


def _spellings(secret: str) -> tuple[str, ...]:
    quoted = (quote(secret, safe=safe, errors="replace") for safe in ("", "/"))
    return (secret, *quoted, secret.partition("://")[2])


def _without(text: str, secret: str) -> str:
    """``text`` without ``secret`` or a prefix of it. A short secret is only replaced as a whole word."""
    if len(secret) < _BEGINNING:
        edge = r"\b" if secret.isascii() and secret.isalnum() else ""
        return re.sub(f"{edge}{re.escape(secret)}{edge}", _GONE, text) if secret else text
    kept, at = [], 0
    while (found := text.find(secret[:_BEGINNING], at)) >= 0:
        end = found + _BEGINNING
        while end < len(text) and end - found < len(secret) and text[end] == secret[end - found]:
            end += 1
        kept += [text[at:found], _GONE]
        at = end
    return "".join([*kept, text[at:]])
