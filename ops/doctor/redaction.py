"""Keeps secrets out of what the doctor shows and writes.

What is not known to be harmless is replaced: crun may answer with fields that nobody has seen yet. A placeholder has
the length, the separators and the alphabet of what it stands for, is made of nothing but a number, and is the same
wherever the same value comes, so that a recording still shows which values belong together.
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

#: Fields whose values are words for people or of a known list: searched for secrets, otherwise left.
_WORDS = frozenset(
    {"message", "status", "assettype", "asset_type", "detail", "msg", "error", "code", "errormessage", "failedreason"}
)
_TIMES = frozenset({"createtime", "updatetime"})
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"
_TIME = re.compile(rf"{_ISO}|\d{{9,13}}(?:\.\d{{1,9}})?", re.ASCII)
#: A time, or a run so long and with a digit in it that it is no word of any language.
_OPAQUE = re.compile(rf"(?P<time>{_ISO})|(?=[\w%+~-]*\d)[\w%+~-]{{12,}}", re.ASCII)
_URL = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)
#: What is replaced in a value, and the escapes of punctuation, which are left.
_RUN = re.compile(r"%(?:2[0-9A-F]|3[A-F]|5[B-F]|7[B-E])|[^\W_]+", re.IGNORECASE)
_KIND = re.compile(r"(?:asset|group)-")
#: Parameters of a link whose values say nothing of anybody.
_PLAIN_PARAMETERS = frozenset({"lng"})
_LONGEST_TEXT = 2000
#: Deeper than any answer that means something, and far from what recursion can bear.
_DEEPEST = 50


class Redactor:
    """Remembers what must not be shown, and what stands for it."""

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        self._made: set[str] = set()
        self._certain: set[str] = set()

    def secret(self, secret: str) -> str:
        """The placeholder of what is certainly a secret: it is replaced wherever it stands, whatever it looks like."""
        if secret and secret not in self._made:
            self._certain.add(secret)
        return self.hide(secret)

    def hide(self, secret: str) -> str:
        """The placeholder of a value; from now on it is replaced wherever it stands, unless it looks like a word."""
        if not secret or secret in self._made:
            return secret
        if secret not in self._placeholders:
            self._keep(secret, _alike(secret, len(self._placeholders)))
        return self._placeholders[secret]

    def hide_url(self, url: str) -> str:
        """The same for a URL that is a secret as a whole, with its host: a callback's, a file's."""
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
        """A URL with its host and path, the names of its parameters and the language; no other value of its query."""
        if url in self._placeholders or url in self._made:
            return self._placeholders.get(url, url)
        rest, hash_sign, fragment = url.partition("#")
        address, mark, query = rest.partition("?")
        scheme, slashes, place = address.partition("://")
        shown = self._opaque(place.rpartition("@")[2])
        return f"{scheme}{slashes}{shown}{mark}{self._query(query)}{hash_sign}{self.hide(fragment)}"

    def text(self, text: str) -> str:
        """Free text on one line, without what is known to be secret, values in URLs, and long opaque runs."""
        found = _beginning(self._known(text))
        pieces, end = [], 0
        for url in _URL.finditer(found):
            pieces += [self._opaque(found[end : url.start()]), self.link(url[0])]
            end = url.end()
        shown = "".join([*pieces, self._opaque(found[end:])])
        return "".join(each if each.isprintable() else " " for each in shown)

    def json(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """A JSON value as it may be kept. ``name`` is the field that it stands in; what nests too deep is left out."""
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
        """A last look at what is about to be written: nothing that is known to be secret, in whatever encoding."""
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
        if kind == "balance":  # what the account has is nobody's business
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
        """A secret as it may be written in a text, and what to write there. What looks like a word may be one."""
        placeholder = self._placeholders[secret]
        # JSON may hold halves of surrogate pairs, which no encoding has.
        quoted = (quote(secret, safe=safe, errors="surrogatepass") for safe in ("", "/"))
        texts = (secret, *quoted, unquote(secret), unquote_plus(secret))
        forms = dict.fromkeys(texts, placeholder) | {json.dumps(secret)[1:-1]: json.dumps(placeholder)[1:-1]}
        for form, stands_for in forms.items():
            no_word = len(form) >= 16 or (len(form) >= 6 and any(each.isdigit() for each in form))
            if form and (secret in self._certain or no_word):
                yield form, stands_for

    def _opaque(self, text: str) -> str:
        def shown(found: re.Match[str]) -> str:
            harmless = found["time"] or any(found[0] in each for each in self._made)
            return found[0] if harmless else self.hide(found[0])

        return _OPAQUE.sub(shown, text)


def _beginning(text: str) -> str:
    """No more of a text than is worth showing, and no half of a word: half a secret is not known for one."""
    return text if len(text) <= _LONGEST_TEXT else re.sub(r"\S+\Z", "…", text[:_LONGEST_TEXT])


def _alike(secret: str, number: int) -> str:
    """Something of the same shape, made of ``number`` alone. What kind of id it is stays in front."""
    kind = _KIND.match(secret)
    head = kind[0] if kind else ""
    for again in range(100):
        chance = random.Random(f"{number}:{again}")  # noqa: S311 - it stands for a secret and is none
        made, end = [head], len(head)
        for run in _RUN.finditer(secret, end):
            made += [secret[end : run.start()], run[0] if run[0].startswith("%") else _run(run[0], chance)]
            end = run.end()
        if (placeholder := "".join([*made, secret[end:]])) != secret:
            return placeholder
    return "-" * len(secret)


def _run(run: str, chance: random.Random) -> str:
    """Letters and digits of the same alphabet; hexadecimal ones stay hexadecimal, a number has no zero in front."""
    upper = {each for each in run if each.isupper()}
    lower = {each for each in run if not each.isupper() and not each.isdigit()}
    digits = string.digits if any(each.isdigit() for each in run) else ""
    alphabet = digits
    for found, full in ((upper, string.ascii_uppercase), (lower, string.ascii_lowercase)):
        if found:
            alphabet += full[:6] if digits and found <= set(full[:6]) else full
    first = digits[1:] if alphabet == digits else alphabet
    return chance.choice(first) + "".join(chance.choice(alphabet) for _ in run[1:])
