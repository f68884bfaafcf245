"""Erases what generations contain of a person: the media, the prompt and the reference of each that shows them.

The ledger keeps its entries, which have ids and times only. A generation that shows several people is erased with the
first of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likeness.domain.generation import Generation
from likeness.errors import StorageUnavailable

if TYPE_CHECKING:
    from likeness.ports.files import Files
    from likeness.ports.generations import GenerationStore
    from likeness.ports.system import Clock

_ROWS_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class EraseGenerations:
    """Erases the generations that show a person, for at most ``seconds`` in one call. May be repeated."""

    generations: GenerationStore
    files: Files
    clock: Clock
    seconds: float

    def __call__(self, session_id: str) -> None:
        """Erases all of them, newest first. The session is marked as erased, so that no intent follows.

        Raises StorageUnavailable when the time is over: a repetition continues, because it finds what is erased.
        """
        until = self.clock.now() + self.seconds
        cursor = None
        while True:
            page = self.generations.list_uses(session_id, limit=_ROWS_PER_PAGE, cursor=cursor)
            for each in self.generations.load([use.generation_id for use in page.uses]):
                if each.is_erased:
                    continue
                if self.clock.now() > until:
                    raise StorageUnavailable("Not all generations are erased yet. Repeat the request", retry_after=1)
                self._erase(each)
            cursor = page.cursor
            if cursor is None:
                return

    def _erase(self, generation: Generation) -> None:
        """Deletes the files first: as long as the row names them, a repetition finds them."""
        self.files.erase(generation.media_prefix)
        self.generations.erase(generation, self.clock.now())
        if not generation.is_over:
            # SaveMedia may have stored files before the row was erased; after that, it deletes its own.
            self.files.erase(generation.media_prefix)
