"""The text that a person is asked to agree to, and its digest, which identifies the exact wording."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from likeness.domain.session import Language


@dataclass(frozen=True, slots=True)
class ConsentText:
    """One version of the operator's text in one language; paragraphs of ``text`` are separated by empty lines."""

    version: str
    language: Language
    title: str
    text: str

    @property
    def sha256(self) -> str:
        """Hex digest of the title, an empty line and the text, in UTF-8."""
        return hashlib.sha256(f"{self.title}\n\n{self.text}".encode()).hexdigest()
