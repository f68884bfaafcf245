"""When reconcile has to check a session, a file or a generation, even if its messages and executions are lost.

A write that creates work also sets its due time. Only reconcile removes the due time of a session, once no work is
left: a write that changes a part of the session cannot hide other work.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.session import AttemptStatus, Session, SessionStatus
from likeness.domain.terms import notice_due_at

if TYPE_CHECKING:  # few functions need it
    from likeness.domain.generation import Generation

#: The number of the index's partitions. Each supports 1,000 writes per second.
SHARDS = 4
#: The link check runs at most 900 s after the link was created (LinkCheckDelaySeconds in the template).
LINK_CHECK_SECONDS = 960.0
#: Messages and executions have nearly always finished their work by then.
PROGRESS_SECONDS = 600.0
#: When an execution is still running, the check is repeated after a quarter of the age, within these bounds.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 600.0, 3600.0
#: An upload form is valid for an hour: one check during that time, and a last one after it.
SLOT_SECONDS, LAST_SLOT_SECONDS = 900.0, 3900.0


class DueItem(NamedTuple):
    """A session, one of its files, or a generation, that should have made progress by ``due_at`` (epoch seconds).

    ``session_id`` is "" for a generation, which may show several people.
    """

    session_id: str
    asset_id: str | None
    due_at: float
    generation_id: str | None = None


def shard_of(identifier: str) -> str:
    """The partition of the index for the id of a session, a file or a generation."""
    return str(zlib.crc32(identifier.encode()) % SHARDS)


def attempt_due_at(created_at: float) -> float:
    """When an open attempt is overdue; all times are epoch seconds."""
    return created_at + LINK_CHECK_SECONDS


def session_due_at(session: Session) -> float | None:
    """When a session is due, None when it waits for the person or is complete.

    A withdrawn session is due, because OnWithdrawal may erase it; only reconcile knows.
    """
    withdrawn = session.withdrawal.at if session.withdrawal and session.erased_at is None else None
    return earliest(work_due_at(session), consent_due_at(session), withdrawn)


def earliest(*times: float | None) -> float | None:
    """The earliest of the times that are known."""
    return min((each for each in times if each is not None), default=None)


def consent_due_at(session: Session) -> float | None:
    """When the next notice about the end of a session's consent is due, None without an end."""
    ends_at = session.consent.valid_until if session.consent else None
    if ends_at is None or session.withdrawal is not None or not session.accepts_uploads:
        return None
    return notice_due_at(ends_at, session.consent_notice)


def work_due_at(session: Session) -> float | None:
    """When a session is due by its status and attempts, None when it waits for the person or is complete."""
    if session.status in (SessionStatus.CANCELED, SessionStatus.REDACTED) or session.group_id:
        return None
    if session.status is SessionStatus.PROCESSING:
        return session.updated_at + PROGRESS_SECONDS
    opened = [each.created_at for each in session.attempts.values() if each.status is AttemptStatus.OPEN]
    return attempt_due_at(min(opened)) if opened else None


def asset_due_at(asset: Asset) -> float | None:
    """When a file is due by its status, None once that is final."""
    if asset.status is AssetStatus.AWAITING_UPLOAD:
        return asset.created_at + SLOT_SECONDS
    return asset.updated_at + PROGRESS_SECONDS if asset.status in IN_PROGRESS else None


def generation_due_at(generation: Generation) -> float | None:
    """When a generation is due by its status, None once it has ended."""
    return None if generation.is_over else generation.updated_at + PROGRESS_SECONDS


def next_look_at(since: float, now: float) -> float:
    """When to check again while an execution is running; the work began at ``since``."""
    return now + min(max(FIRST_PAUSE_SECONDS, (now - since) / 4), LONGEST_PAUSE_SECONDS)
