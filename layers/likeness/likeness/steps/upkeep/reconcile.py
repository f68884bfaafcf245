"""By the clock: whatever should be moving and is not, for whatever reason, is set going again or ended honestly.

Messages and executions are only how work starts quickly; what is to be done stands in the table. Everything here may
be repeated, and nothing is done to a session while one of its executions lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypedDict

from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.due import LAST_SLOT_SECONDS, DueItem, asset_due_at, attempt_due_at, next_look_at, session_due_at
from likeness.domain.executions import BEYOND, all_executions_of, assets_name, validation_names
from likeness.domain.session import Attempt, AttemptStatus, Session, SessionStatus, failure
from likeness.errors import LikenessError
from likeness.ports.files import Files
from likeness.ports.onboarding import Workflows
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.files.check_upload import CheckUpload, Upload
from likeness.steps.onboarding.start_onboarding import Cause, StartOnboarding, cause_of

#: A run reads at most so many due items. What it leaves, the next one begins with.
MAX_ITEMS_PER_RUN = 400
#: So many failures in a row mean that something is away for everybody: the run ends.
_FAILURES = 5
#: An item that cannot be dealt with is passed over for so long, so that it holds up nobody; the shorter time is for
#: what may be well again soon.
_PASSED_OVER_SECONDS, _AGAIN_SECONDS = 3600.0, 300.0
_ENDED_HONESTLY = "result_unavailable"
#: Byted tokens live for half an hour; after days of tries nobody waits for their answers any more.
_GIVE_UP_SECONDS = 3 * 86_400.0
#: The error code of the state GiveUpAsset.
_GIVEN_UP = "upstream_unavailable"


class Reconciled(TypedDict):
    """How many sessions were looked at, how often something was set going, and how many sessions failed."""

    sessions: int
    reconciled: int
    failed: int


class DueItems(Protocol):
    """What is due, whoever should have moved it."""

    def oldest(self, now: float, limit: int) -> list[DueItem]:
        """At most ``limit`` items that are due by now, the most overdue first. Some moments behind the table."""
        ...

    def set(self, item: DueItem, due_at: float | None) -> None:
        """Makes an item due at another time, or not at all; nothing happens when it has changed meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Reconcile:
    """One look at what is due. ``reconciled(cause)`` counts each time that something had to be set going,

    ``possible_orphan()`` each file that was given up in the middle of its submission, ``failed(error, session_id)``
    reports a session that could not be dealt with.
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

    def __call__(self, until: float) -> Reconciled:
        """Counts of what was done. Begins nothing new after ``until`` (epoch seconds)."""
        by_session: dict[str, list[DueItem]] = {}
        for item in self.due.oldest(self.clock.now(), MAX_ITEMS_PER_RUN):
            by_session.setdefault(item.session_id, []).append(item)
        counts: Reconciled = {"sessions": 0, "reconciled": 0, "failed": 0}
        in_a_row = 0
        for session_id, items in by_session.items():
            if self.clock.now() > until or in_a_row >= _FAILURES:
                break
            counts["sessions"] += 1
            try:
                causes = self._session(session_id, items)
                in_a_row = 0
            except LikenessError as error:  # what we call is away, for everybody or for this session
                self.failed(error, session_id)
                counts["failed"] += 1
                in_a_row += 1
                self._pass_over(items, _AGAIN_SECONDS)
                continue
            except Exception as error:  # a row that this version cannot read, a fault of ours
                self.failed(error, session_id)
                counts["failed"] += 1
                self._pass_over(items, _PASSED_OVER_SECONDS)
                continue
            counts["reconciled"] += len(causes)
            for cause in causes:
                self.reconciled(cause)
        return counts

    def _pass_over(self, items: Iterable[DueItem], seconds: float) -> None:
        """Others come first now. Where even that cannot be written, the items stay due as they are."""
        with suppress(LikenessError):
            for item in items:
                self.due.set(item, self.clock.now() + seconds)

    def _session(self, session_id: str, items: Sequence[DueItem]) -> list[Cause]:
        """Sees to one session and those of its files that are due; why something had to be set going."""
        session, assets = self.store.load(session_id)
        if session is None or not session.accepts_uploads:
            for item in items:
                self.due.set(item, None)
            return []
        causes = self._validations(session)
        places, held = self._places(session, assets, {each.asset_id for each in items})
        causes += places
        if causes:
            session, assets = self.store.load(session_id)
        if session:
            moved = self._files(session, assets)
            if moved:
                session, assets = self.store.load(session_id)
            # A file that was just checked is on its way because of that: one thing stood still, and counts once.
            causes += [] if places else moved
        self._due_again(items, session, assets, held)
        return causes

    # -- attempts ---------------------------------------------------------------------------------------------

    def _validations(self, session: Session) -> list[Cause]:
        """Has every attempt looked up that waits for it."""
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
                break  # the session is another one now: the next look sees to the rest
        passed = any(each.status is AttemptStatus.PASSED for each in session.attempts.values())
        if session.status is SessionStatus.PROCESSING and not passed:
            self.store.record_no_result(session.id, failure(_ENDED_HONESTLY), now)
            causes.append(Cause.NOTHING_UNDER_WAY)
        return causes

    def _give_up(self, session: Session, attempt: Attempt, now: float) -> str:
        """Ends an attempt whose token is long dead, unless an older execution had its group: crun is not asked again.

        Without this end, a token that crun never answers for would be looked up by one execution after the other.
        """
        names = validation_names(session.id, attempt, beyond=BEYOND)
        if self.start.recover(session, [], names):
            return "recovered"
        opened = attempt.status is AttemptStatus.OPEN
        status = AttemptStatus.LAPSED if opened else AttemptStatus.LOST
        why = failure("link_expired" if opened else _ENDED_HONESTLY)
        self.store.record_refused_result(session, attempt.number, status, why, now)
        return "given_up"

    def _cause(self, names: Iterable[str]) -> Cause | None:
        """Why none of these executions moves its session; None when one does. The newest that is known decides."""
        cause = Cause.MISSING
        for name in names:
            status = self.workflows.status(name)
            if status and not status.ended:
                return None
            cause = cause_of(status) if status else cause
        return cause

    # -- files ------------------------------------------------------------------------------------------------

    def _places(self, session: Session, assets: Sequence[Asset], due: set[str | None]) -> tuple[list[Cause], set[str]]:
        """Checks files that came while their event got lost; also the ids of those that wait for their client's key."""
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
        """Whether an older execution gave this file to crun already, as a restored row cannot know."""
        self.start.recover(session, [asset], all_executions_of(session))
        now = self.store.get_asset(session.id, asset.id)
        return now is not None and now.status is not AssetStatus.AWAITING_UPLOAD

    def _files(self, session: Session, assets: Sequence[Asset]) -> list[Cause]:
        """Has the files of a verified session moved on."""
        if session.group_id is None or not any(each.status in IN_PROGRESS for each in assets):
            return []
        cause = self._cause([session.driver] if session.driver else [assets_name(session)])
        if cause is None or self._validation_lives(session):
            return []
        outcome = self.start.assets(session, list(assets))
        return [cause] if outcome == "started" else []

    def _validation_lives(self, session: Session) -> bool:
        """Whether the execution that verified the session has yet to claim its files."""
        names = [name for each in session.attempts.values() for name in validation_names(session.id, each)]
        return not session.driver and self._cause(names) is None

    # -- when to look again -----------------------------------------------------------------------------------

    def _due_again(
        self, items: Iterable[DueItem], session: Session | None, assets: Sequence[Asset], held: set[str]
    ) -> None:
        """Sets each item's time by what the rows say now, after all that was done."""
        now = self.clock.now()
        by_id = {each.id: each for each in assets}
        open_work = any(each.status in IN_PROGRESS for each in assets)
        for item in items:
            if _possible_orphan(by_id.get(item.asset_id or "")):
                self.possible_orphan()
            if item.asset_id is None:
                self.due.set(item, _session_again(session, now, open_work=open_work) if session else None)
            elif item.asset_id in held:
                # Until a key comes, or the bucket's own rule takes the file away.
                self.due.set(item, next_look_at(by_id[item.asset_id].created_at, now))
            else:
                self.due.set(item, _asset_again(session, by_id.get(item.asset_id), now))


def _waits(session: Session, attempt: Attempt, now: float) -> bool:
    """Whether an attempt waits to be looked up: it was passed, or its link is long dead and nobody has asked."""
    if attempt.status is AttemptStatus.PASSED:
        return session.status is SessionStatus.PROCESSING
    return attempt.status is AttemptStatus.OPEN and attempt_due_at(attempt.created_at) <= now


def _possible_orphan(asset: Asset | None) -> bool:
    """Whether a file was given up in the middle of a submission: it may be at crun, and the state machine, which gives

    it up, cannot count. It is due until this look, and not after it.
    """
    if asset is None or asset.error is None:
        return False
    return asset.error.code == _GIVEN_UP and asset.ambiguous_submissions > 0


def _session_again(session: Session, now: float, *, open_work: bool) -> float | None:
    if session.group_id:
        return next_look_at(session.verified_at or now, now) if open_work else None
    due_at = session_due_at(session)
    return due_at if due_at is None or due_at > now else next_look_at(session.updated_at, now)


def _asset_again(session: Session | None, asset: Asset | None, now: float) -> float | None:
    if session is None or asset is None:
        return None
    if asset.status is AssetStatus.AWAITING_UPLOAD:
        last = asset.created_at + LAST_SLOT_SECONDS
        return last if now < last else None
    if session.group_id is None:
        return None  # the session is due when it is verified, and with it all of its files
    due_at = asset_due_at(asset)
    return due_at if due_at is None or due_at > now else next_look_at(asset.updated_at, now)
