"""What crun had been sent of a person's likeness when the consent was withdrawn: the generations under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.domain.generation import LONGEST_DEADLINE_SECONDS, Generation, GenerationStatus, UseEntry

if TYPE_CHECKING:
    from likeness.ports.generations import GenerationStore

_ROWS_PER_PAGE = 100
#: A deadline is checked by an execution, or by the next one that reconcile starts.
_LATENESS_SECONDS = 86_400.0


def list_in_flight(generations: GenerationStore, session_id: str, at: float) -> list[str]:
    """Returns the ids of the generations that crun may have been making at ``at`` (epoch seconds), newest first.

    Those are the generations with an intent or a task, and without an outcome by then. An uncertain one is among them:
    crun may have its task, and a callback can still name it. ``at`` is the withdrawal: no further intent follows it.
    """
    found: list[str] = []
    since = max(0.0, at - LONGEST_DEADLINE_SECONDS - _LATENESS_SECONDS)
    cursor = None
    while True:
        page = generations.list_uses(session_id, limit=_ROWS_PER_PAGE, cursor=cursor, since=since)
        open_ones = [each.generation_id for each in page.uses if _may_be_open(each, at)]
        found += [each.id for each in generations.load(open_ones) if _was_at_crun(each, at)]
        cursor = page.cursor
        if cursor is None:
            return found


def _may_be_open(use: UseEntry, at: float) -> bool:
    return use.outcome in (None, GenerationStatus.UNCERTAIN) or (use.ended_at is not None and use.ended_at >= at)


def _was_at_crun(generation: Generation, at: float) -> bool:
    is_open = not generation.is_over or generation.status is GenerationStatus.UNCERTAIN
    ended_later = generation.ended_at is not None and generation.ended_at >= at
    return (is_open or ended_later) and (generation.intended_at is not None or generation.task_id is not None)
