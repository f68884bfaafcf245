"""Follows one session: the changes between two reads of its state, each as one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from likeness.contracts.events import EVENT_TYPES
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.progress import is_settled
from likeness.domain.session import Session, SessionStatus
from likeness.domain.times import iso
from likeness.errors import NotFound


class Sessions(Protocol):
    """Where sessions are read."""

    def load(self, session_id: str) -> tuple[Session | None, list[Asset]]:
        """A session with all its assets, None when it does not exist."""
        ...


@dataclass(frozen=True)
class Change:
    """One change: of the session, an attempt or a file (``what``), with the new value and what explains it.

    ``time`` is when the change was read (ISO 8601). ``value`` and ``detail`` are statuses, codes, times and ids, never
    names, references, links or tokens. ``event`` is the type of the event that the change is published as, if any.
    """

    time: str
    what: str
    id: str
    value: str
    detail: str | None = None
    event: str | None = None


State = Mapping[tuple[str, str], tuple[str, str | None]]


def state_of(session: Session, assets: list[Asset]) -> State:
    """Returns what is followed, by kind and id: the value, and a detail."""
    error = session.last_error.code if session.last_error else None
    found: dict[tuple[str, str], tuple[str, str | None]] = {
        ("session", session.id): (session.status, session.group_id or error)
    }
    if session.consent:
        found["consent", session.id] = (session.consent.text_version, session.consent.source)
    if session.withdrawal is not None:
        found["withdrawn", session.id] = (iso(session.withdrawal.at) or "", session.withdrawal.source)
    if session.declined_at is not None:
        found["declined", session.id] = (iso(session.declined_at) or "", None)
    if session.finished_at is not None:
        found["finished", session.id] = (iso(session.finished_at) or "", None)
    for number, attempt in sorted(session.attempts.items()):
        found["attempt", str(number)] = (attempt.status, attempt.result_code)
    for asset in assets:
        found["asset", asset.id] = (asset.status, asset.error.code if asset.error else asset.crun_asset_id)
    if session.erased_at is not None:
        found["erased", session.id] = (iso(session.erased_at) or "", None)
    return found


def changes(before: State, after: State, at: float) -> Iterator[Change]:
    """Yields what is new or different in ``after``. The first state, with nothing ``before``, has no events."""
    for (what, identifier), (value, detail) in after.items():
        was = before.get((what, identifier))
        if was != (value, detail):
            event = _event(what, was[0] if was else None, value) if before else None
            yield Change(iso(at) or "", what, identifier, value, detail, event)


def _event(what: str, before: str | None, after: str) -> str | None:
    """Returns the type of the event that the change of a status is published as, None if it is not published."""
    if what == "finished":
        found = "likeness.session.finished"
    elif what in ("declined", "withdrawn"):
        found = f"likeness.consent.{what}"
    elif what == "consent":
        found = "likeness.consent.given"
    elif before == after:
        return None
    else:
        lost = (before, after) == (AssetStatus.ACTIVE, AssetStatus.FAILED)
        found = f"likeness.{what}.{'lost' if lost else after}"
    return found if found in EVENT_TYPES else None


def has_ended(session: Session, assets: list[Asset], at: float) -> bool:
    """Returns whether nothing is expected to change: the session is erased, canceled or settled."""
    if session.status is SessionStatus.REDACTED:
        return session.erased_at is not None
    if session.status is SessionStatus.CANCELED:
        return True
    return is_settled(session, assets, at)


def follow(
    store: Sessions,
    session_id: str,
    *,
    seconds: float,
    pause: float,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Change]:
    """Yields the state, then each change, until the session has ended. A state between two reads is not seen.

    Raises NotFound, and TimeoutError after ``seconds``.
    """
    deadline = now() + seconds
    before: State = {}
    while True:
        session, assets = store.load(session_id)
        if session is None:
            raise NotFound(f"no session has the id {session_id}")
        after = state_of(session, assets)
        yield from changes(before, after, now())
        if has_ended(session, assets, now()):
            return
        if now() >= deadline:
            raise TimeoutError
        before = after
        sleep(pause)
