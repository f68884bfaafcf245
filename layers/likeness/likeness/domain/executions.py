"""What the executions of a session are called: names follow from its row, so whoever starts one twice starts one."""

from __future__ import annotations

from likeness.domain.session import Attempt, Session

#: A claim of the session's files opens a new generation; an erasure stops the newest few, which are all that may live.
_GENERATIONS = 2
#: A restored row knows fewer executions than there were: so many names beyond it are looked for.
BEYOND = 4


def validation_name(session_id: str, attempt: Attempt, *, last_chance: bool) -> str:
    """The next execution that looks an attempt up; after one that ended without an outcome it is a fresh name."""
    if attempt.executions:
        return f"{session_id}-a{attempt.number}-r{attempt.executions}"
    return f"{session_id}-a{attempt.number}{'-check' if last_chance else ''}"


def assets_name(session: Session) -> str:
    """The next execution that only moves the session's files."""
    return f"{session.id}-g{session.generation}"


def validation_names(session_id: str, attempt: Attempt, *, beyond: int = 0) -> list[str]:
    """Every execution that may have looked an attempt up, oldest first; ``beyond`` what its row knows of, so many."""
    base = f"{session_id}-a{attempt.number}"
    fresh = [f"{base}-r{number}" for number in range(1, attempt.executions + 1 + beyond)]
    return [base, f"{base}-check", *fresh]


def executions_of(session: Session) -> list[str]:
    """Every execution that may still be at work: of each attempt, and the newest of the files'."""
    names = [name for each in session.attempts.values() for name in validation_names(session.id, each)]
    newest = range(max(0, session.generation + 1 - _GENERATIONS), session.generation + 1)
    return names + [f"{session.id}-g{generation}" for generation in newest]


def all_executions_of(session: Session) -> list[str]:
    """Every execution that may ever have acted for a session, also for a row that was restored to an earlier time."""
    names = [name for each in session.attempts.values() for name in validation_names(session.id, each, beyond=BEYOND)]
    return names + [f"{session.id}-g{generation}" for generation in range(session.generation + 1 + BEYOND)]
