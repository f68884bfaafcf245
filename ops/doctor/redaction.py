"""Removes secrets from the doctor's output and recordings.

Every value that is not known to be harmless is replaced, because crun may return unknown fields. A placeholder has the
length, the separators and the alphabet of the value, and is derived from a number alone. The same value always has the
same placeholder, so that a recording shows which values are equal.
"""

from __future__ import annotations

import json
import math
import random
import re
import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, unquote_plus, urlsplit

#: Fields with values for people, or from a known list: only secrets within them are replaced.
_WORDS = frozenset(
    {"message", "status", "assettype", "asset_type", "detail", "msg", "error", "code", "errormessage", "failedreason"}
)
_TIMES = frozenset({"createtime", "updatetime"})
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"
_TIME = re.compile(rf"{_ISO}|\d{{9,13}}(?:\.\d{{1,9}})?", re.ASCII)
#: A time, or a long run of characters with a digit, which is not a word of any language.
_OPAQUE = re.compile(rf"(?P<time>{_ISO})|(?=[\w%+~-]*\d)[\w%+~-]{{12,}}", re.ASCII)
_URL = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)
#: The parts of a value that are replaced, and escapes of punctuation, which are not.
_RUN = re.compile(r"%(?:2[0-9A-F]|3[A-F]|5[B-F]|7[B-E])|[^\W_]+", re.IGNORECASE)
_KIND = re.compile(r"(?:asset|group)-")
#: Parameters of a link whose values identify nobody.
_PLAIN_PARAMETERS = frozenset({"lng"})
_LONGEST_TEXT = 2000
#: Deeper than any meaningful response, and well below the recursion limit.
_DEEPEST = 50


class Redactor:
    """Stores the values that must not be shown, with their placeholders."""

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        self._made: set[str] = set()
        self._certain: set[str] = set()

    def secret(self, secret: str) -> str:
        """Returns the placeholder of a certain secret, which is replaced everywhere, even if it looks like a word."""
        if secret and secret not in self._made:
            self._certain.add(secret)
        return self.hide(secret)

    def hide(self, secret: str) -> str:
        """Returns the placeholder of a value, which is replaced everywhere from now on, unless it looks like a word."""
        if not secret or secret in self._made:
            return secret
        if secret not in self._placeholders:
            self._keep(secret, _alike(secret, len(self._placeholders)))
        return self._placeholders[secret]

    def hide_url(self, url: str) -> str:
        """Returns the placeholder of a URL that is secret including its host, such as a callback's or a file's."""
        if url and url not in self._placeholders and url not in self._made:
            self._certain.add(url)
            number = len(self._placeholders)
            try:
                parts = urlsplit(url)
            except ValueError:
                return self.hide(url)
            rest = url[url.index("//") + 2 + len(parts.netloc) :] if parts.netloc else url
            self._keep(url, f"{parts.scheme or 'https'}://host-{number}.example{_alike(rest, number)}")
        return self._placeholders.get(url, url)

    def link(self, url: str) -> str:
        """Returns a URL with its host, path, parameter names and language, but no other value of its query."""
        if url in self._placeholders or url in self._made:
            return self._placeholders.get(url, url)
        rest, hash_sign, fragment = url.partition("#")
        address, mark, query = rest.partition("?")
        scheme, slashes, place = address.partition("://")
        shown = self._opaque(place.rpartition("@")[2])
        return f"{scheme}{slashes}{shown}{mark}{self._query(query)}{hash_sign}{self.hide(fragment)}"

    def text(self, text: str) -> str:
        """Returns free text on one line, without known secrets, values in URLs, and long opaque runs."""
        found = _beginning(self._known(text))
        pieces, end = [], 0
        for url in _URL.finditer(found):
            pieces += [self._opaque(found[end : url.start()]), self.link(url[0])]
            end = url.end()
        shown = "".join([*pieces, self._opaque(found[end:])])
        return "".join(each if each.isprintable() else " " for each in shown)

    def json(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """Returns a JSON value without secrets. ``name`` is its field; deeply nested values are removed."""
        kind = name.lower()
        if isinstance(value, (dict, list)) and depth > _DEEPEST:
            return None
        if isinstance(value, dict):
            return {self.text(key): self.json(each, key, depth + 1) for key, each in value.items()}
        if isinstance(value, list):
            return [self.json(each, name, depth + 1) for each in value]
        if isinstance(value, str):
            return self._string(value, kind)
        return self._number(value, kind)

    def final(self, text: str) -> str:
        """Returns ``text`` without any known secret, in any encoding: the last step before it is written."""
        return self._known(text)

    def _string(self, value: str, kind: str) -> str:
        if kind in _TIMES and _TIME.fullmatch(value):
            return value
        if kind in _WORDS:
            return self.text(value)
        return self.link(value) if _URL.fullmatch(value) else self.hide(value)

    def _number(self, value: float | None, kind: str) -> float | None:
        if value is None or isinstance(value, bool) or kind == "code" or kind in _TIMES:
            return value
        if isinstance(value, float) and not math.isfinite(value):
            return value
        if kind == "balance":  # the account's credits are private
            return type(value)(1000)
        return type(value)(self.hide(str(abs(int(value)))))

    def _query(self, query: str) -> str:
        pairs = (each.partition("=") for each in query.split("&"))
        return "&".join(
            f"{name}={value}" if name in _PLAIN_PARAMETERS and len(value) < 10 else f"{name}{mark}{self.hide(value)}"
            for name, mark, value in pairs
        )

    def _keep(self, secret: str, placeholder: str) -> None:
        self._placeholders[secret] = placeholder
        self._made.add(placeholder)

    def _known(self, text: str) -> str:
        for secret in sorted(self._placeholders, key=len, reverse=True):
            for form, placeholder in self._forms(secret):
                text = text.replace(form, placeholder)
        return text

    def _forms(self, secret: str) -> Iterator[tuple[str, str]]:
        """Yields the forms in which a text may contain a secret, with their placeholders; words are not replaced."""
        placeholder = self._placeholders[secret]
        # JSON may contain lone surrogates, which cannot be encoded.
        quoted = (quote(secret, safe=safe, errors="surrogatepass") for safe in ("", "/"))
        texts = (secret, *quoted, unquote(secret), unquote_plus(secret))
        forms = dict.fromkeys(texts, placeholder) | {json.dumps(secret)[1:-1]: json.dumps(placeholder)[1:-1]}
        for form, replacement in forms.items():
            no_word = len(form) >= 16 or (len(form) >= 6 and any(each.isdigit() for each in form))
            if form and (secret in self._certain or no_word):
                yield form, replacement

    def _opaque(self, text: str) -> str:
        def shown(found: re.Match[str]) -> str:
            harmless = found["time"] or any(found[0] in each for each in self._made)
            return found[0] if harmless else self.hide(found[0])

        return _OPAQUE.sub(shown, text)


def _beginning(text: str) -> str:
    """Returns the beginning of a long text, cut between words: a part of a secret would not be recognised."""
    return text if len(text) <= _LONGEST_TEXT else re.sub(r"\S+\Z", "…", text[:_LONGEST_TEXT])


def _alike(secret: str, number: int) -> str:
    """Returns a placeholder of the same shape, derived from ``number`` alone; the prefix of an id stays."""
    kind = _KIND.match(secret)
    head = kind[0] if kind else ""
    for again in range(100):
        chance = random.Random(f"{number}:{again}")  # noqa: S311 - a placeholder is not a secret
        made, end = [head], len(head)
        for run in _RUN.finditer(secret, end):
            made += [secret[end : run.start()], run[0] if run[0].startswith("%") else _run(run[0], chance)]
            end = run.end()
        if (placeholder := "".join([*made, secret[end:]])) != secret:
            return placeholder
    return "-" * len(secret)


def _run(run: str, chance: random.Random) -> str:
    """Returns random characters of the same alphabet: hexadecimal stays hexadecimal, a number has no leading zero."""
    upper = {each for each in run if each.isupper()}
    lower = {each for each in run if not each.isupper() and not each.isdigit()}
    digits = string.digits if any(each.isdigit() for each in run) else ""
    alphabet = digits
    for found, full in ((upper, string.ascii_uppercase), (lower, string.ascii_lowercase)):
        if found:
            alphabet += full[:6] if digits and found <= set(full[:6]) else full
    first = digits[1:] if alphabet == digits else alphabet
    return chance.choice(first) + "".join(chance.choice(alphabet) for _ in run[1:])
