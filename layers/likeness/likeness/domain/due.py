"""When reconcile has to look at a session or a file, whatever became of the messages and executions about it.

Whoever makes work also makes it due, with the same write. Only reconcile takes a session's time away again, once
nothing is left to do, so a write that knows only a part of the session can never hide work.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.session import AttemptStatus, Session, SessionStatus

#: The index is spread over so many partitions: each takes 1,000 writes a second.
SHARDS = 4
#: The link check comes at most 900 s after the link was made (LinkCheckDelaySeconds in the template).
LINK_CHECK_SECONDS = 960.0
#: What messages and executions move is long done after this, in nearly every case.
PROGRESS_SECONDS = 600.0
#: A look that finds a living execution is repeated after a quarter of the age, within these bounds.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 600.0, 3600.0
#: An upload form lives for an hour: one look while it does, and a last one after its end.
SLOT_SECONDS, LAST_SLOT_SECONDS = 900.0, 3900.0


@dataclass(frozen=True, slots=True)
class DueItem:
    """A session, or one of its files, that should have moved on by ``due_at`` (epoch seconds)."""

    session_id: str
    asset_id: str | None
    due_at: float


def shard_of(identifier: str) -> str:
    """The partition of the index that a session or a file belongs to, by its id."""
    return str(zlib.crc32(identifier.encode()) % SHARDS)


def attempt_due_at(created_at: float) -> float:
    """When an attempt that is still open is overdue; all times are epoch seconds."""
    return created_at + LINK_CHECK_SECONDS


def session_due_at(session: Session) -> float | None:
    """When a session is due by its own status and attempts, None when it waits for a person or for nothing."""
    if session.status in (SessionStatus.CANCELED, SessionStatus.REDACTED) or session.group_id:
        return None
    if session.status is SessionStatus.PROCESSING:
        return session.updated_at + PROGRESS_SECONDS
    opened = [each.created_at for each in session.attempts.values() if each.status is AttemptStatus.OPEN]
    return attempt_due_at(min(opened)) if opened else None


def asset_due_at(asset: Asset) -> float | None:
    """When a file is due by its own status, None once it is settled."""
    if asset.status is AssetStatus.AWAITING_UPLOAD:
        return asset.created_at + SLOT_SECONDS
    return asset.updated_at + PROGRESS_SECONDS if asset.status in IN_PROGRESS else None


def next_look_at(since: float, now: float) -> float:
    """When to look again at what a living execution moves since ``since``."""
    return now + min(max(FIRST_PAUSE_SECONDS, (now - since) / 4), LONGEST_PAUSE_SECONDS)
