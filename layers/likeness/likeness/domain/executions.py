"""Executions of the state machine: their names, their status, and what their histories hold.

Names follow from the session's row, so whoever starts one twice starts one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from likeness.domain.session import Attempt, Session

#: A claim of the session's files opens a new generation; an erasure stops the newest few, which are all that may live.
_GENERATIONS = 2
#: A restored row knows fewer executions than there were: so many names beyond it are looked for.
BEYOND = 4


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A GroupId that crun gave for attempt ``number`` at ``at`` (epoch seconds)."""

    number: int
    group_id: str
    at: float


@dataclass(frozen=True, slots=True)
class FoundAsset:
    """An AssetId that crun gave for a file that had been submitted ``resubmissions`` times before."""

    asset_id: str
    crun_asset_id: str
    resubmissions: int


@dataclass(frozen=True, slots=True)
class Results:
    """What an execution got from crun, in the order in which it did."""

    groups: tuple[FoundGroup, ...] = ()
    assets: tuple[FoundAsset, ...] = ()


class ExecutionStatus(StrEnum):
    """What Step Functions says of an execution."""

    RUNNING = "RUNNING"
    PENDING_REDRIVE = "PENDING_REDRIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


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
