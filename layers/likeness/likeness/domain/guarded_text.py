"""What the strings of a generation's input must not contain, in any spelling, where no asset is accepted.

crun may decode and trim what it gets, so each string is also read as crun might read it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from likeness.domain.ids import ASSET_ID

SCHEME = "asset:"
#: Why a string is refused that names an asset.
NO_ASSET_HERE = "an asset is not accepted here"
MAX_INPUT_BYTES = 65_536
MAX_DEPTH = 8
#: How often a string may be encoded. One that is encoded more often is refused.
_MOST_DECODINGS = 6
#: The largest number that is accepted: up to it, every reader of JSON keeps integers exactly.
_LARGEST_NUMBER = 2**53
# Characters that a reader may ignore: those that are not shown, and what stands for a byte that cannot be decoded.
# Control and format characters, and separators of lines and paragraphs, are found by category.
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\ufffd\U000e0000-\U000e0fff]"
)
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})
#: Browsers and HTTP clients read it as a dot in a host's name (UTS 46). Its compatibility form is itself.
_IDEOGRAPHIC_DOT = "\u3002"
#: A character as JSON and JavaScript escape it.
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|x([0-9a-f]{2}))", re.IGNORECASE)
#: The shape of crun's ids. Shorter strings, and those without a digit, are words, sizes and names of fields.
_ID = re.compile("(?=[^0-9]*[0-9])[A-Za-z0-9][A-Za-z0-9._:~-]{7,199}")
#: A field's name that may be part of a message.
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,39}")


def readings(text: str) -> tuple[list[str], bool]:
    """The text as it may be read: without invisible characters, in its compatibility form, and decoded.

    Percent-encoding is decoded, and so are the escapes of JSON and HTML: a text may be a document of its own. The flag
    is whether the last reading is decoded completely.
    """
    found: list[str] = []
    for _ in range(_MOST_DECODINGS):
        text = _plain(text)
        found.append(text)
        decoded = _decoded(text)
        if decoded == text:
            return found, True
        text = decoded
    return found, False


def _decoded(text: str) -> str:
    if "&" in text:
        from html import unescape  # rarely needed, and its table of names takes time to load

        text = unescape(text)
    return unquote(_ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text), errors="replace")


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text.strip()
    composed = _IGNORED.sub("", unicodedata.normalize("NFKC", text)).replace(_IDEOGRAPHIC_DOT, ".")
    return "".join(each for each in composed if unicodedata.category(each) not in _INVISIBLE).strip()


@dataclass(frozen=True)
class OwnAddresses:
    """The names of our bucket and of our API's hosts, in lower case. A host may have a port."""

    names: tuple[str, ...]
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compiles the names."""
        any_name = "|".join(re.escape(each.lower()) for each in self.names if each) or "(?!)"
        # Not a part of a longer label: host names and bucket names consist of these characters.
        object.__setattr__(self, "_pattern", re.compile(f"(?<![a-z0-9-])(?:{any_name})(?![a-z0-9-])"))

    def are_in(self, reading: str) -> bool:
        """Whether a reading, in lower case, contains one of the names: as a host, in a path, or in an ARN."""
        return self._pattern.search(reading) is not None


def why_refused(text: str, own: OwnAddresses) -> str | None:
    """Why a string is not accepted where no asset is accepted, without quoting it; None when it may be."""
    found, complete = readings(text)
    if not complete:
        return "is encoded too often"
    for reading in (each.casefold() for each in found):
        if SCHEME in reading or ASSET_ID.fullmatch(_as_id(reading)):
            return NO_ASSET_HERE
        if own.are_in(reading):
            return "a URL of this API or of its files is not accepted"
    return None


def _as_id(reading: str) -> str:
    prefix, separator, rest = reading.partition("_")
    return prefix + separator + rest.upper()


def possible_ids(text: str) -> tuple[str, ...]:
    """The ids that a string may be in whole, after it is decoded: as it is, and in lower case, as crun's ids are."""
    last = readings(text)[0][-1]
    return tuple(dict.fromkeys((last, last.lower()))) if _ID.fullmatch(last) else ()


def strings_of(content: Any, path: str = "input", depth: int = 1) -> Iterator[tuple[str, str]]:
    """Yields each string of a JSON value with its path, keys included, which have the path of their object.

    Raises ValueError with the path for a value that is nested too deeply, or that not every reader of JSON accepts.
    """
    if depth > MAX_DEPTH:
        raise ValueError(path)
    if isinstance(content, str):
        if not _is_unicode(content):
            raise ValueError(path)
        yield path, content
    elif isinstance(content, dict):
        for key, value in content.items():
            if not _is_unicode(key):
                raise ValueError(path)
            yield path, key
            yield from strings_of(value, f"{path}.{shown_name(key)}", depth + 1)
    elif isinstance(content, list):
        for position, value in enumerate(content):
            yield from strings_of(value, f"{path}[{position}]", depth + 1)
    elif isinstance(content, int | float) and not abs(content) <= _LARGEST_NUMBER:  # NaN is not comparable
        raise ValueError(path)


def shown_name(key: str) -> str:
    """A field's name for a message, or ``*`` for one that may be more than a name."""
    return key if _NAME.fullmatch(key) and not key.casefold().startswith("ast_") else "*"


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, which cannot be sent."""
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)
