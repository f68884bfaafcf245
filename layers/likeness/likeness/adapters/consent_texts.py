"""The operator's consent texts: a folder per version, a file per language, the title in its first line.

A text that was shown to anybody stays in its folder. A new text gets a new folder, which ``ConsentVersion`` names. The
folder's ``purposes.json`` has the purposes that sessions may name, each with a part of a sentence in each language;
``terms.json`` has the sentences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from likeness.domain.consent import ConsentText
from likeness.domain.session import Language
from likeness.domain.terms import ConsentTerms

_FOLDER = Path(__file__).parent.parent / "consent"
#: The operator's name and contact if the stack's parameters do not set them.
_DEFAULT_OPERATOR: Mapping[Language, tuple[str, str]] = {
    Language.EN: ("the operator of this service", "answer the message that brought you this link"),
    Language.ZH: ("本服务的运营方", "请回复向您发送此链接的消息"),
    Language.ZH_HANT: ("本服務的營運方", "請回覆向您傳送此連結的訊息"),
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@cache
def read_purposes(version: str) -> Mapping[str, Mapping[str, str]]:
    """Returns the part of a sentence for each purpose and language; empty when the folder has no purposes."""
    file = _FOLDER / version / "purposes.json"
    found: dict[str, dict[str, str]] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def purposes_of_all_versions() -> frozenset[str]:
    """Returns the purposes of every folder, for a program that does not know the stack's ``ConsentVersion``."""
    return frozenset(each for file in _FOLDER.glob("*/purposes.json") for each in read_purposes(file.parent.name))


@cache
def _sentences() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((_FOLDER / "terms.json").read_text("utf-8"))
    return found


class ConsentTexts:
    """The port ``ConsentTexts`` over the files of ``version``. ``days`` is how long uploads are kept."""

    def __init__(self, version: str, operator: str, contact: str, days: int) -> None:
        self._version = version
        self._facts = {each: _facts(each, operator, contact, days) for each in Language}
        self._texts = {each: self._read(version, each) for each in Language}

    def current(self, language: Language, terms: ConsentTerms | None = None) -> ConsentText:
        """See the port."""
        plain = self._texts[language]
        if terms is None:
            return plain
        sentence = self._sentence(language, terms)
        return ConsentText(plain.version, language, plain.title, plain.text, (sentence,), terms.canonical)

    def purpose(self, name: str, language: Language) -> str:
        """See the port."""
        return read_purposes(self._version).get(name, {}).get(language.value, name)

    def purposes(self, language: Language) -> dict[str, str]:
        """See the port."""
        return {each: self.purpose(each, language) for each in read_purposes(self._version)}

    def _read(self, version: str, language: Language) -> ConsentText:
        written = (_FOLDER / version / f"{language.value}.txt").read_text("utf-8")
        title, _, text = _filled(written, self._facts[language]).strip().partition("\n")
        return ConsentText(version, language, title, text.strip())

    def _sentence(self, language: Language, terms: ConsentTerms) -> str:
        words = _sentences()[language.value]
        named = [self.purpose(each, language) for each in terms.purposes]
        facts = self._facts[language] | {"purposes": _joined(words, named)}
        if terms.valid_days is not None:
            return _filled(words["days"], facts | {"days": str(terms.valid_days)})
        if terms.valid_until is not None:
            return _filled(words["until"], facts | {"until": _last_day(language, terms.valid_until)})
        return _filled(words["open"], facts)


def _facts(language: Language, operator: str, contact: str, days: int) -> dict[str, str]:
    default_name, default_contact = _DEFAULT_OPERATOR[language]
    named = operator or default_name
    return {
        "operator": named,
        "Operator": named[:1].upper() + named[1:],
        "contact": contact or default_contact,
        "days": str(days),
    }


def _filled(written: str, facts: Mapping[str, str]) -> str:
    for name, fact in facts.items():
        written = written.replace(f"{{{name}}}", fact)
    return written


def _joined(words: Mapping[str, str], named: Sequence[str]) -> str:
    if not named:
        return words["any"]
    return words["between"].join(named[:-1]) + (words["before_last"] if len(named) > 1 else "") + named[-1]


def _last_day(language: Language, valid_until: float) -> str:
    """The day (UTC) on which a consent ends; an end at midnight is the end of the day before."""
    day = datetime.fromtimestamp(valid_until - 1, UTC)
    if language is Language.EN:
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
    return f"{day.year} 年 {day.month} 月 {day.day} 日"
