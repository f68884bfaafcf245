"""Restarts or ends work that has stopped, for any reason. Runs on a schedule.

Messages and executions only start work quickly; the table is the record of open work. Every action here may be
repeated, and a session is not changed while one of its executions is running. Generations are due in the same index
(steps/generations/reconcile_generations.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypedDict

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.due import (
    LAST_SLOT_SECONDS,
    DueItem,
    asset_due_at,
    attempt_due_at,
    consent_due_at,
    earliest,
    next_look_at,
    work_due_at,
)
from likeness.domain.executions import BEYOND, all_executions_of, assets_name, validation_names
from likeness.domain.progress import is_under_way
from likeness.domain.session import Attempt, AttemptStatus, Session, SessionStatus, failure
from likeness.domain.terms import notice_at
from likeness.errors import LikenessError
from likeness.ports.files import Files
from likeness.ports.onboarding import Workflows
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.files.check_upload import CheckUpload, Upload
from likeness.steps.onboarding.start_onboarding import Cause, StartOnboarding, cause_of
from likeness.steps.upkeep.erase_session import EraseSession

#: How many due items one run reads at most. The next run starts with the rest.
MAX_ITEMS_PER_RUN = 400
#: A run ends after this many consecutive failures, because a dependency is probably unavailable.
_FAILURES = 5
#: How long a failed item is postponed, so that it does not delay others. The shorter time is for temporary failures.
_POSTPONED_SECONDS, _TEMPORARY_SECONDS = 3600.0, 300.0
_NO_RESULT = "result_unavailable"
#: Byted tokens live for half an hour. After days of look-ups no result can be expected.
_GIVE_UP_SECONDS = 3 * 86_400.0
#: The error code of the state GiveUpAsset.
_GIVEN_UP = "upstream_unavailable"


class Reconciled(TypedDict):
    """How many sessions and generations were checked, how often work was restarted, and how many of them failed."""

    sessions: int
    generations: int
    reconciled: int
    failed: int


class DueItems(Protocol):
    """The items that are due for a check."""

    def oldest(self, now: float, limit: int) -> list[DueItem]:
        """Returns at most ``limit`` items due by ``now``, the most overdue first. Eventually consistent."""
        ...

    def set(self, item: DueItem, due_at: float | None) -> None:
        """Sets or removes the item's due time. Does nothing when the item has changed in the meantime."""
        ...


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Checks the due items once.

    ``reconciled(cause)`` counts each restart, and ``possible_orphan()`` each file that was given up in the middle of
    its submission. ``failed(error, id)`` reports a session or a generation that could not be processed.
    ``generations(item)`` checks a generation.
    """

    store: Store
    due: DueItems
    workflows: Workflows
    files: Files
    start: StartOnboarding
    check: CheckUpload
    clock: Clock
    reconciled: Callable[[Cause], None]
    possible_orphan: Callable[[], None]
    failed: Callable[[Exception, str], None]
    generations: Callable[[DueItem], list[Cause]]
    #: Erases a session whose consent was withdrawn, and how many seconds after that; None keeps it.
    erase: EraseSession | None = None
    erase_after_seconds: float = 0.0

    def __call__(self, until: float) -> Reconciled:
        """Returns the counts. Starts no further session or generation after ``until`` (epoch seconds)."""
        by_id: dict[str, list[DueItem]] = {}
        for item in self.due.oldest(self.clock.now(), MAX_ITEMS_PER_RUN):
            by_id.setdefault(item.generation_id or item.session_id, []).append(item)
        counts: Reconciled = {"sessions": 0, "generations": 0, "reconciled": 0, "failed": 0}
        in_a_row = 0
        for identifier, items in by_id.items():
            if self.clock.now() > until or in_a_row >= _FAILURES:
                break
            is_generation = items[0].generation_id is not None
            counts["generations" if is_generation else "sessions"] += 1
            try:
                causes = self.generations(items[0]) if is_generation else self._session(identifier, items)
                in_a_row = 0
            except LikenessError as error:  # a dependency is unavailable, at least for this one
                self.failed(error, identifier)
                counts["failed"] += 1
                in_a_row += 1
                self._postpone(items, _TEMPORARY_SECONDS)
                continue
            except Exception as error:  # a row that this version cannot read, or a bug
                self.failed(error, identifier)
                counts["failed"] += 1
                self._postpone(items, _POSTPONED_SECONDS)
                continue
            counts["reconciled"] += len(causes)
            for cause in causes:
                self.reconciled(cause)
        return counts

    def _postpone(self, items: Iterable[DueItem], seconds: float) -> None:
        """Makes the items due later. If this write fails, their due times stay."""
        with suppress(LikenessError):
            for item in items:
                self.due.set(item, self.clock.now() + seconds)

    def _session(self, session_id: str, items: Sequence[DueItem]) -> list[Cause]:
        """Reconciles one session and its due files. Returns the cause of each restart."""
        session, assets = self.store.load(session_id)
        if session is not None and self._is_to_be_erased(session):
            return []
        if session is None or not session.accepts_uploads:
            for item in items:
                self.due.set(item, None)
            return []
        session = self._notified(session)
        causes = self._validations(session)
        uploads, held = self._uploads(session, assets, {each.asset_id for each in items})
        causes += uploads
        if causes:
            session, assets = self.store.load(session_id)
        if session:
            moved = self._files(session, assets)
            if moved:
                session, assets = self.store.load(session_id)
            # The check of an upload also starts its submission, so that one problem counts once.
            causes += [] if uploads else moved
        self._due_again(items, session, assets, held)
        return causes

    # -- consent ----------------------------------------------------------------------------------------------

    def _notified(self, session: Session) -> Session:
        """Records that the session's consent ends soon or has ended, once for each notice. Events follow from it."""
        now, due_at = self.clock.now(), consent_due_at(session)
        if due_at is None or due_at > now or session.consent is None or session.consent.valid_until is None:
            return session
        days = notice_at(session.consent.valid_until, now)
        if days is None:
            return session
        self.store.record_consent_notice(session, days, now)
        return self.store.get_session(session.id) or session

    def _erased_at(self, session: Session) -> float | None:
        """Returns when the operator's policy erases the session, None for never."""
        if self.erase is None or session.withdrawal is None:
            return None
        return session.withdrawal.at + self.erase_after_seconds

    def _is_to_be_erased(self, session: Session) -> bool:
        """Erases a session that was withdrawn long enough ago, or that was erased in part. Returns whether it did."""
        at = self._erased_at(session)
        if self.erase is None or at is None or at > self.clock.now() or session.erased_at is not None:
            return False
        self.erase(Caller(session.client_id), session.id)
        return True

    # -- attempts ---------------------------------------------------------------------------------------------

    def _validations(self, session: Session) -> list[Cause]:
        """Starts the look-up of every attempt that waits for one."""
        if session.group_id:
            return []
        now = self.clock.now()
        waiting = [each for each in session.attempts.values() if _waits(session, each, now)]
        causes = []
        for attempt in sorted(waiting, key=lambda each: each.number, reverse=True):
            cause = self._cause(validation_names(session.id, attempt))
            if cause is None:
                continue
            if now - attempt.created_at > _GIVE_UP_SECONDS:
                outcome = self._give_up(session, attempt, now)
            else:
                last_chance = attempt.status is AttemptStatus.OPEN
                outcome = self.start.validate(session, attempt.number, last_chance=last_chance)
            causes += [] if outcome == "exists" else [cause]
            if outcome != "started":
                break  # the session has changed: the next run handles the rest
        passed = any(each.status is AttemptStatus.PASSED for each in session.attempts.values())
        if session.status is SessionStatus.PROCESSING and not passed:
            self.store.record_no_result(session.id, failure(_NO_RESULT), now)
            causes.append(Cause.NOTHING_UNDER_WAY)
        return causes

    def _give_up(self, session: Session, attempt: Attempt, now: float) -> str:
        """Ends an attempt whose token expired long ago, unless an older execution has its group. Does not call crun.

        Otherwise a token for which crun never answers would be looked up forever.
        """
        names = validation_names(session.id, attempt, beyond=BEYOND)
        if self.start.recover(session, [], names):
            return "recovered"
        opened = attempt.status is AttemptStatus.OPEN
        status = AttemptStatus.LAPSED if opened else AttemptStatus.LOST
        why = failure("link_expired" if opened else _NO_RESULT)
        self.store.record_refused_result(session, attempt.number, status, why, now)
        return "given_up"

    def _cause(self, names: Iterable[str]) -> Cause | None:
        """Returns why none of these executions is running, None when one is. The newest known execution decides."""
        cause = Cause.MISSING
        for name in names:
            status = self.workflows.status(name)
            if status and not status.ended:
                return None
            cause = cause_of(status) if status else cause
        return cause

    # -- files ------------------------------------------------------------------------------------------------

    def _uploads(self, session: Session, assets: Sequence[Asset], due: set[str | None]) -> tuple[list[Cause], set[str]]:
        """Checks files whose upload event was lost. Also returns the ids of those that wait for their client's key."""
        causes, held = [], set()
        for asset in assets:
            if asset.id not in due or asset.status is not AssetStatus.AWAITING_UPLOAD:
                continue
            found = self.files.find(asset.object_key)
            if found is None:
                continue
            if self._submitted_before(session, asset):
                causes.append(Cause.ROW_BEHIND)
                continue
            upload = Upload(asset.object_key, found.version_id, found.size_bytes, found.stored_at)
            if self.check.of(asset, upload) == "held":
                held.add(asset.id)
            else:
                causes.append(Cause.UPLOAD_EVENT_LOST)
        return causes, held

    def _submitted_before(self, session: Session, asset: Asset) -> bool:
        """Returns whether an older execution already submitted this file, which a restored row does not show."""
        self.start.recover(session, [asset], all_executions_of(session))
        now = self.store.get_asset(session.id, asset.id)
        return now is not None and now.status is not AssetStatus.AWAITING_UPLOAD

    def _files(self, session: Session, assets: Sequence[Asset]) -> list[Cause]:
        """Starts the submission of a verified session's files."""
        now = self.clock.now()
        if session.group_id is None or not any(is_under_way(session, each, now) for each in assets):
            return []
        cause = self._cause([session.driver] if session.driver else [assets_name(session)])
        if cause is None or self._validation_is_running(session):
            return []
        outcome = self.start.assets(session, list(assets))
        return [cause] if outcome == "started" else []

    def _validation_is_running(self, session: Session) -> bool:
        """Returns whether the execution that verified the session has yet to claim its files."""
        names = [name for each in session.attempts.values() for name in validation_names(session.id, each)]
        return not session.driver and self._cause(names) is None

    # -- next due times ---------------------------------------------------------------------------------------

    def _due_again(
        self, items: Iterable[DueItem], session: Session | None, assets: Sequence[Asset], held: set[str]
    ) -> None:
        """Sets each item's due time from the current rows."""
        now = self.clock.now()
        by_id = {each.id: each for each in assets}
        open_work = session is not None and any(is_under_way(session, each, now) for each in assets)
        for item in items:
            if _possible_orphan(by_id.get(item.asset_id or "")):
                self.possible_orphan()
            if item.asset_id is None:
                again = _session_again(session, now, open_work=open_work) if session else None
                erased_at = self._erased_at(session) if session else None
                self.due.set(item, earliest(again, erased_at))
            elif item.asset_id in held:
                # Until the client has a key, or the bucket's lifecycle rule deletes the file.
                self.due.set(item, next_look_at(by_id[item.asset_id].created_at, now))
            else:
                self.due.set(item, _asset_again(session, by_id.get(item.asset_id), now))


def _waits(session: Session, attempt: Attempt, now: float) -> bool:
    """Returns whether an attempt needs a look-up: it was passed, or its link expired long ago without one."""
    if attempt.status is AttemptStatus.PASSED:
        return session.status is SessionStatus.PROCESSING
    return attempt.status is AttemptStatus.OPEN and attempt_due_at(attempt.created_at) <= now


def _possible_orphan(asset: Asset | None) -> bool:
    """Returns whether a file was given up in the middle of a submission, so that crun may have it.

    The state machine, which gives it up, cannot count it. The file is due until it is counted here.
    """
    if asset is None or asset.error is None:
        return False
    return asset.error.code == _GIVEN_UP and asset.ambiguous_submissions > 0


def _session_again(session: Session, now: float, *, open_work: bool) -> float | None:
    if session.group_id:
        work = next_look_at(session.verified_at or now, now) if open_work else None
    else:
        work = work_due_at(session)
        work = work if work is None or work > now else next_look_at(session.updated_at, now)
    return earliest(work, consent_due_at(session))


def _asset_again(session: Session | None, asset: Asset | None, now: float) -> float | None:
    if session is None or asset is None:
        return None
    if asset.status is AssetStatus.AWAITING_UPLOAD:
        last = asset.created_at + LAST_SLOT_SECONDS
        return last if now < last else None
    if session.group_id is None or not is_under_way(session, asset, now):
        return None  # its files become due with the session when it is verified, or has a consent again
    due_at = asset_due_at(asset)
    return due_at if due_at is None or due_at > now else next_look_at(asset.updated_at, now)
