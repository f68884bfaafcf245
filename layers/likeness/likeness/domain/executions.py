"""Executions of the state machines: their names, their status, and the results in their histories.

A name is derived from the row of the session or the generation, so starting an execution twice starts it once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from likeness.domain.session import Attempt, Session

if TYPE_CHECKING:  # few functions need it
    from likeness.domain.generation import Generation

#: A claim of the session's files starts a new generation. Only the newest ones may be running: an erasure stops them.
_GENERATIONS = 2
#: A row restored from a backup may lack the latest executions: this many further names are checked.
BEYOND = 4


class FoundGroup(NamedTuple):
    """A GroupId that crun returned for attempt ``number`` at ``at`` (epoch seconds)."""

    number: int
    group_id: str
    at: float


class FoundAsset(NamedTuple):
    """An AssetId that crun returned for a file that had been submitted ``resubmissions`` times before."""

    asset_id: str
    crun_asset_id: str
    resubmissions: int


class Results(NamedTuple):
    """The ids that an execution got from crun, in order of time."""

    groups: tuple[FoundGroup, ...] = ()
    assets: tuple[FoundAsset, ...] = ()
    #: The ids of tasks. An execution makes one generation, so there is hardly ever more than one.
    tasks: tuple[str, ...] = ()


class ExecutionStatus(StrEnum):
    """The status of an execution in Step Functions."""

    RUNNING = "RUNNING"
    PENDING_REDRIVE = "PENDING_REDRIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"

    @property
    def ended(self) -> bool:
        """Whether the execution has ended."""
        return self not in (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


def validation_name(session_id: str, attempt: Attempt, *, last_chance: bool) -> str:
    """The name of the next execution for an attempt; a new one after an execution that ended without an outcome."""
    if attempt.executions:
        return f"{session_id}-a{attempt.number}-r{attempt.executions}"
    return f"{session_id}-a{attempt.number}{'-check' if last_chance else ''}"


def assets_name(session: Session) -> str:
    """The name of the next execution that only processes the session's files."""
    return f"{session.id}-g{session.generation}"


def validation_names(session_id: str, attempt: Attempt, *, beyond: int = 0) -> list[str]:
    """Every execution that may have run for an attempt, oldest first, and ``beyond`` more than its row counts."""
    base = f"{session_id}-a{attempt.number}"
    fresh = [f"{base}-r{number}" for number in range(1, attempt.executions + 1 + beyond)]
    return [base, f"{base}-check", *fresh]


def executions_of(session: Session) -> list[str]:
    """Every execution that may still be running: of each attempt, and the newest ones for files."""
    names = [name for each in session.attempts.values() for name in validation_names(session.id, each)]
    newest = range(max(0, session.generation + 1 - _GENERATIONS), session.generation + 1)
    return names + [f"{session.id}-g{generation}" for generation in newest]


def all_executions_of(session: Session) -> list[str]:
    """Every execution that may ever have run for a session, even if its row was restored from a backup."""
    names = [name for each in session.attempts.values() for name in validation_names(session.id, each, beyond=BEYOND)]
    return names + [f"{session.id}-g{generation}" for generation in range(session.generation + 1 + BEYOND)]


def generation_names(generation: Generation) -> list[str]:
    """Every execution that may ever have run for a generation, oldest first, even if its row was restored."""
    further = range(1, generation.executions + 1 + BEYOND)
    return [generation.id, *(f"{generation.id}-r{number}" for number in further)]
