"""Handles one message of the onboarding queue: starts an execution, unless one is already running."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported
from likeness.domain.asset import OPEN_WORK, Asset, AssetStatus
from likeness.domain.executions import (
    ExecutionStatus,
    FoundAsset,
    Results,
    all_executions_of,
    assets_name,
    validation_name,
    validation_names,
)
from likeness.domain.progress import is_under_way
from likeness.domain.session import Attempt, AttemptStatus, Session
from likeness.errors import ConditionFailed, WorkInProgress
from likeness.ports.onboarding import Workflows
from likeness.ports.store import Store
from likeness.ports.system import Clock

#: How many consecutive execution names may belong to executions that have ended.
_MAX_NAMES = 8
#: An attempt older than this has an expired link (120 s), so an execution that the row does not name may have acted on
#: it: a link check, or an execution that the row of a restored table does not show. The same is true of a file that has
#: waited for longer than this.
_FRESH_SECONDS = 300.0
#: States without an AssetId. An AssetId that an older execution got for such a file is saved.
_WITHOUT_ID = OPEN_WORK | {AssetStatus.AWAITING_UPLOAD}


class Cause(StrEnum):
    """Why work had stopped: the state of the execution that should have done it, or a lost event."""

    #: No execution was found: its message was lost, or Step Functions no longer keeps it.
    MISSING = "missing"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    #: The execution did its work, but the row does not show it because the table was restored.
    ROW_BEHIND = "row_behind"
    UPLOAD_EVENT_LOST = "upload_event_lost"
    #: The session is in ``processing``, but no attempt waits for a result.
    NOTHING_UNDER_WAY = "nothing_under_way"


_CAUSES = {
    ExecutionStatus.ABORTED: Cause.ABORTED,
    ExecutionStatus.TIMED_OUT: Cause.TIMED_OUT,
    ExecutionStatus.FAILED: Cause.FAILED,
    ExecutionStatus.SUCCEEDED: Cause.ROW_BEHIND,
}


def cause_of(status: ExecutionStatus | None) -> Cause:
    """Returns the cause for an execution with ``status``, None when it was not found."""
    return _CAUSES[status] if status else Cause.MISSING


@dataclass(frozen=True, slots=True)
class StartOnboarding:
    """Reads the row, then starts only the work that is still open.

    An execution name can be used once. If its execution has ended and the row still shows open work, the results that
    the execution got from crun are saved first. Then a new execution starts under the next name.
    ``reconciled(cause)`` counts each time that a message, and not the function reconcile, leads to this.
    """

    store: Store
    workflows: Workflows
    clock: Clock
    reconciled: Callable[[Cause], None] = lambda _: None

    def __call__(self, message: PassReported | LinkCheck | AssetsReady) -> str:
        """Returns ``started``, ``exists``, ``recovered`` or ``nothing``.

        Raises an error when the message should be delivered again.
        """
        if isinstance(message, AssetsReady):
            return self.assets(*self.store.load(message.session_id))
        session = self.store.get_session(message.session_id)
        if session is None:
            return "nothing"
        attempt = session.attempts.get(message.attempt)
        if session.group_id or attempt is None or not session.accepts_uploads:
            return "nothing"
        if attempt.status is AttemptStatus.PASSED:
            return self.validate(session, message.attempt, last_chance=False)
        if isinstance(message, LinkCheck) and attempt.status is AttemptStatus.OPEN:
            return self.validate(session, message.attempt, last_chance=True)
        return "nothing"

    def validate(self, session: Session, number: int, *, last_chance: bool) -> str:
        """Starts the look-up of attempt ``number``. ``recovered``: the group of an older execution was saved."""
        attempt = session.attempts[number]
        name = validation_name(session.id, attempt, last_chance=last_chance)
        if self.clock.now() - attempt.created_at > _FRESH_SECONDS:
            older = [each for each in self._known(session, attempt) if each != name]
            if self.recover(session, [], older):
                return self._claim(session)
        document = {"attempt": number, "last_chance": last_chance, "session_id": session.id, "work": "validate"}
        for executions in range(attempt.executions, attempt.executions + _MAX_NAMES):
            name = validation_name(session.id, replace(attempt, executions=executions), last_chance=last_chance)
            if self.workflows.start(name, _input(session, document)):
                return "started"
            status = self.workflows.status(name)
            if status and not status.ended:
                return "exists"
            self.reconciled(cause_of(status))
            if self.recover(session, [], [name]):
                return self._claim(session)
            self.store.next_execution(session.id, number, executions)
        raise WorkInProgress("Too many executions have ended without an outcome")

    def assets(self, session: Session | None, assets: list[Asset]) -> str:
        """Starts the submission of a verified session's files, unless an execution is doing it."""
        recovered = False
        for _ in range(_MAX_NAMES + 1):
            if session is None or session.group_id is None:
                return "nothing"  # the validation claims every uploaded asset once it has saved the group
            now = self.clock.now()
            if not any(is_under_way(session, each, now) for each in assets):
                return "nothing"  # a repeated or late message: the work is done
            driver = self.workflows.status(session.driver) if session.driver else None
            if driver and not driver.ended:
                return "nothing"  # the driver checks for new uploads before and after it releases the session
            if not recovered and self._may_be_at_crun(assets):
                recovered = True
                self.recover(session, assets, all_executions_of(session))
                session, assets = self.store.load(session.id)
                continue
            name = assets_name(session)
            document = {"session_id": session.id, "takes_over": session.driver or "", "work": "assets"}
            if self.workflows.start(name, _input(session, document)):
                if session.driver:
                    self.reconciled(cause_of(driver))
                return "started"
            if self.workflows.is_running(name):
                return "exists"
            # It ended before it claimed the session, or the table was restored to a time before that.
            self.recover(session, assets, [name])
            self.store.next_generation(session.id, session.generation)
            session, assets = self.store.load(session.id)
        raise WorkInProgress("Too many executions have ended without claiming")

    def _may_be_at_crun(self, assets: Iterable[Asset]) -> bool:
        """Returns whether a file has waited so long that crun may have it although the row does not show this."""
        then = self.clock.now() - _FRESH_SECONDS
        return any(each.status in OPEN_WORK and each.updated_at < then for each in assets)

    def recover(self, session: Session, assets: Iterable[Asset], names: Iterable[str]) -> bool:
        """Saves results from crun that ended executions have and the rows lack. Returns whether it saved a group.

        These results are never requested again: a byted token may be valid for one answer only, and a repeated upload
        leaves a second copy.
        """
        results = [self._results(name) for name in names]
        group = next((each for of in reversed(results) for each in reversed(of.groups)), None)
        saved = False
        if group and session.group_id is None:
            with suppress(ConditionFailed):  # erased or verified in the meantime
                self.store.save_group(session.id, group.number, group.group_id, group.at)
                saved = True
        given: dict[str, FoundAsset] = {}
        for found in (each for of in results for each in of.assets):
            if found.asset_id not in given or found.resubmissions >= given[found.asset_id].resubmissions:
                given[found.asset_id] = found
        for asset in assets:
            if asset.status in _WITHOUT_ID and asset.id in given:
                self._save_submission(asset, given[asset.id])
        return saved

    def _results(self, name: str) -> Results:
        status = self.workflows.status(name)
        return self.workflows.results(name) if status and status.ended else Results()

    def _save_submission(self, asset: Asset, found: FoundAsset) -> None:
        if found.resubmissions < asset.resubmissions:
            return  # crun could not fetch that copy, and the row is newer
        known = asset.submission_recovered(found.crun_asset_id, found.resubmissions, self.clock.now())
        with suppress(ConditionFailed):  # changed in the meantime
            self.store.change_asset(known, [asset.status])

    def _known(self, session: Session, attempt: Attempt) -> list[str]:
        """Returns the executions that may have looked up an attempt, including those that a restored row lacks."""
        names = validation_names(session.id, attempt)
        while self.workflows.status(names[-1] if attempt.executions else names[0]) and len(names) < _MAX_NAMES:
            attempt = replace(attempt, executions=attempt.executions + 1)
            names = validation_names(session.id, attempt)
        return names

    def _claim(self, session: Session) -> str:
        self.assets(*self.store.load(session.id))
        return "recovered"


def _input(session: Session, document: dict[str, Any]) -> str:
    """Returns the execution's input. It has the same bytes for every message, with the stored correlation id."""
    if session.correlation_id:
        document = document | {"correlation_id": session.correlation_id}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
