"""The operator's consent texts: a folder per version, a file per language, the title in its first line.

A text that was shown to anybody stays in its folder. A new text gets a new folder, which ``ConsentVersion`` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from likeness.domain.consent import ConsentText
from likeness.domain.session import Language

_FOLDER = Path(__file__).parent.parent / "consent"
#: The operator's name and contact if the stack's parameters do not set them.
_DEFAULT_OPERATOR: Mapping[Language, tuple[str, str]] = {
    Language.EN: ("the operator of this service", "answer the message that brought you this link"),
    Language.ZH: ("本服务的运营方", "请回复向您发送此链接的消息"),
    Language.ZH_HANT: ("本服務的營運方", "請回覆向您傳送此連結的訊息"),
}


class ConsentTexts:
    """The port ``ConsentTexts`` over the files of ``version``. ``days`` is how long uploads are kept."""

    def __init__(self, version: str, operator: str, contact: str, days: int) -> None:
        self._texts = {each: self._read(version, each, operator, contact, days) for each in Language}

    def current(self, language: Language) -> ConsentText:
        """See the port."""
        return self._texts[language]

    @staticmethod
    def _read(version: str, language: Language, operator: str, contact: str, days: int) -> ConsentText:
        default_name, default_contact = _DEFAULT_OPERATOR[language]
        written = (_FOLDER / version / f"{language.value}.txt").read_text("utf-8")
        named = operator or default_name
        facts = {
            "operator": named,
            "Operator": named[:1].upper() + named[1:],
            "contact": contact or default_contact,
            "days": str(days),
        }
        for name, fact in facts.items():
            written = written.replace(f"{{{name}}}", fact)
        title, _, text = written.strip().partition("\n")
        return ConsentText(version, language, title, text.strip())
