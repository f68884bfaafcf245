"""The ``errors`` that crun lists with a 422, as they may be shown and logged.

Its ``message`` is always the same there ("Missing Params or Type Error", crun's page), so the list is the news.
Such a list quotes what it complains of: a callback URL with our signature, a presigned URL, a token, a person's name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote

#: So many are shown, and so many characters of each.
MAX_ERRORS, LONGEST_ERROR = 8, 160
_READ = 600
_GONE = "[…]"
#: A URL in any of its spellings, as far as the next space or quotation mark.
_URL = re.compile(r"[^\s\"']*(?::(?:\\?/){2}|%3a%2f%2f)[^\s\"']*", re.IGNORECASE)
#: A run so long and with a digit in it that it is no word of any language: a token, an id, a signature.
_OPAQUE = re.compile(r"(?=[\w%+/=~-]*\d)[\w%+/=~-]{12,}", re.ASCII)
#: Of what we have sent, so long a beginning is recognised where the rest was cut off.
_BEGINNING = 8


def read_errors(given: object, sent: Collection[str] = ()) -> tuple[str, ...]:
    """The texts of ``given``, each on one line, short, and without URLs, tokens and what is in ``sent``."""
    if not isinstance(given, list):
        return ()
    texts = [each for each in given[:MAX_ERRORS] if isinstance(each, str)]
    return tuple(shown for each in texts if (shown := _shown(each, sent)))


def _shown(text: str, sent: Collection[str]) -> str:
    # Cut at a space, so that no half of a secret is left that nothing recognises.
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
    """``text`` without ``secret``, and without the beginning of a long one. A short word is no part of another."""
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
