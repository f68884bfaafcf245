"""The text and terms that a person is asked to agree to, and their digest, which identifies the exact wording."""

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
    #: The sentences that name the terms, in the text's language. Empty without terms.
    sentences: tuple[str, ...] = ()
    #: The terms in one line (``ConsentTerms.canonical``), "" without terms.
    terms: str = ""

    @property
    def sha256(self) -> str:
        """Hex digest, in UTF-8, of the title, the text, each sentence and the terms, with an empty line between each.

        Without terms, it is the digest of title and text alone.
        """
        parts = [self.title, self.text, *self.sentences, *([self.terms] if self.terms else [])]
        return hashlib.sha256("\n\n".join(parts).encode()).hexdigest()
