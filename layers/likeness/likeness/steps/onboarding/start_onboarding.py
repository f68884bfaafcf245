"""One message of the onboarding queue: start the execution that it calls for, unless one is at it already."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported
from likeness.domain.asset import IN_PROGRESS, OPEN_WORK, Asset, AssetStatus
from likeness.domain.executions import (
    ExecutionStatus,
    FoundAsset,
    Results,
    all_executions_of,
    assets_name,
    validation_name,
    validation_names,
)
from likeness.domain.session import Attempt, AttemptStatus, Session
from likeness.errors import ConditionFailed, WorkInProgress
from likeness.ports.onboarding import Workflows
from likeness.ports.store import Store
from likeness.ports.system import Clock

#: How many names in a row may be taken by executions that have ended.
_NAMES = 8
#: A link is dead by then (120 s), so an execution that the row does not know of may have acted on its attempt: a link
#: check, or one of a table that was restored to an earlier time. The same holds of a file that waits for so long.
_FRESH_SECONDS = 300.0
#: Files whose rows know of no AssetId: what an older execution got for them is theirs.
_WITHOUT_ID = OPEN_WORK | {AssetStatus.AWAITING_UPLOAD}


class Cause(StrEnum):
    """Why something stood still: what is known of the execution that should have moved it, or of the event."""

    #: No execution is known: its message was lost, or it is gone.
    MISSING = "missing"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    #: The execution did its work, and the row does not show it: a restored table.
    ROW_BEHIND = "row_behind"
    UPLOAD_EVENT_LOST = "upload_event_lost"
    #: In ``processing`` although no attempt's result is on its way.
    NOTHING_UNDER_WAY = "nothing_under_way"


_CAUSES = {
    ExecutionStatus.ABORTED: Cause.ABORTED,
    ExecutionStatus.TIMED_OUT: Cause.TIMED_OUT,
    ExecutionStatus.FAILED: Cause.FAILED,
    ExecutionStatus.SUCCEEDED: Cause.ROW_BEHIND,
}


def cause_of(status: ExecutionStatus | None) -> Cause:
    """What a fresh execution says of the one that it follows; None stands for one that is not known any more."""
    return _CAUSES[status] if status else Cause.MISSING


@dataclass(frozen=True, slots=True)
class StartOnboarding:
    """Reads the row, then acts only on what is still to be done.

    A name is taken for good once it was used. When its execution has ended and the row still asks for the work, what
    that execution got from crun is saved first; only then a fresh one goes on, under the name that follows.
    ``reconciled(cause)`` counts each time that it came to this by a message, before reconcile came by.
    """

    store: Store
    workflows: Workflows
    clock: Clock
    reconciled: Callable[[Cause], None] = lambda _: None

    def __call__(self, message: PassReported | LinkCheck | AssetsReady) -> str:
        """What was done: ``started``, ``exists``, ``recovered`` or ``nothing``. Raises what should bring the message

        back.
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
        """Has attempt ``number`` looked up. ``recovered``: an older execution had the group, and it is saved now."""
        attempt = session.attempts[number]
        name = validation_name(session.id, attempt, last_chance=last_chance)
        if self.clock.now() - attempt.created_at > _FRESH_SECONDS:
            older = [each for each in self._known(session, attempt) if each != name]
            if self.recover(session, [], older):
                return self._claim(session)
        document = {"attempt": number, "last_chance": last_chance, "session_id": session.id, "work": "validate"}
        for executions in range(attempt.executions, attempt.executions + _NAMES):
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
        """Has the files of a verified session moved on, unless somebody does."""
        looked = False
        for _ in range(_NAMES + 1):
            if session is None or session.group_id is None:
                return "nothing"  # the validation claims every uploaded asset once it has saved the group
            if not any(each.status in IN_PROGRESS for each in assets):
                return "nothing"  # a message that came twice, or late: somebody has done the work
            driver = self.workflows.status(session.driver) if session.driver else None
            if driver and not driver.ended:
                return "nothing"  # the driver looks for new uploads before and after it lets go
            if not looked and self._may_be_at_crun(assets):
                looked = True
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
            # It ended before it claimed anything, or the row was restored to a time before it did.
            self.recover(session, assets, [name])
            self.store.next_generation(session.id, session.generation)
            session, assets = self.store.load(session.id)
        raise WorkInProgress("Too many executions have ended without claiming")

    def _may_be_at_crun(self, assets: Iterable[Asset]) -> bool:
        """Whether a file waits for so long that an execution may have given it to crun, and the row forgot it."""
        then = self.clock.now() - _FRESH_SECONDS
        return any(each.status in OPEN_WORK and each.updated_at < then for each in assets)

    def recover(self, session: Session, assets: Iterable[Asset], names: Iterable[str]) -> bool:
        """Saves what ended executions got from crun and the rows do not know; whether the group is known by it.

        What crun has given once is never asked for again: a byted token may be good for one answer, and an upload
        that is repeated leaves a second copy.
        """
        results = [self._results(name) for name in names]
        group = next((each for of in reversed(results) for each in reversed(of.groups)), None)
        saved = False
        if group and session.group_id is None:
            with suppress(ConditionFailed):  # erased, or verified meanwhile
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
            return  # crun could not fetch that copy: the row knows more
        known = asset.submission_recovered(found.crun_asset_id, found.resubmissions, self.clock.now())
        with suppress(ConditionFailed):  # somebody has moved it meanwhile
            self.store.change_asset(known, [asset.status])

    def _known(self, session: Session, attempt: Attempt) -> list[str]:
        """The executions that may have looked an attempt up, also those that a restored row does not know of."""
        names = validation_names(session.id, attempt)
        while self.workflows.status(names[-1] if attempt.executions else names[0]) and len(names) < _NAMES:
            attempt = replace(attempt, executions=attempt.executions + 1)
            names = validation_names(session.id, attempt)
        return names

    def _claim(self, session: Session) -> str:
        self.assets(*self.store.load(session.id))
        return "recovered"


def _input(session: Session, document: dict[str, Any]) -> str:
    """The same bytes for the same execution, whatever message asks for it: the correlation id is the stored one."""
    if session.correlation_id:
        document = document | {"correlation_id": session.correlation_id}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
