"""DELETE /sessions/{id} and …/assets/{asset_id}: a person's data go; a tombstone stays that proves it.

Marked first, so that whatever is under way finds the session erased and stops; then the executions, the files and the
assets; the time of the erasure last. Each part may be repeated: who dies in the middle deletes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from likeness.contracts.views import asset_view, session_view
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.executions import executions_of, validation_names
from likeness.domain.session import AttemptStatus, Session, SessionStatus
from likeness.errors import Conflict, NotFound
from likeness.ports.files import Files
from likeness.ports.onboarding import Workflows
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_asset, own_session

#: How often an erasure looks again when a fresh attempt comes in between.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class EraseSession:
    """Erases sessions of the caller's own."""

    store: Store
    files: Files
    workflows: Workflows
    clock: Clock

    def __call__(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """The tombstone's view. NotFound; Forbidden for a person."""
        session = self._mark(caller, session_id)
        for name in executions_of(session):
            if not _may_hold_a_group(session, name):
                self.workflows.stop(name)
        self.files.erase(f"uploads/{session.id}/")
        self.files.erase(f"inbox/{session.id}/")
        now = self.clock.now()
        assets = self.store.list_assets(session.id)
        _show_earlier_ids(self.store, session.id, assets)
        for asset in assets:
            if asset.status is not AssetStatus.REDACTED:
                self.store.redact_asset(asset, now)
        tombstone = self.store.record_erasure(session.id, now)
        return session_view(tombstone, [asset_view(each) for each in self.store.list_assets(session.id)])

    def _mark(self, caller: Caller, session_id: str) -> Session:
        """The session, marked as erased."""
        for _ in range(_TRIES):
            session = own_session(self.store, caller, session_id)
            caller.require_client()
            if session.status is SessionStatus.REDACTED or self.store.redact_session(session, self.clock.now()):
                return session
        raise Conflict("Another attempt was started at the same time", retry_after=1)


@dataclass(frozen=True, slots=True)
class EraseAsset:
    """Erases one file of a session of the caller's own, such as a picture that shows somebody else.

    No execution is stopped: the others' files go on, and whoever has this one in hand finds it erased.
    """

    store: Store
    files: Files
    clock: Clock

    def __call__(self, caller: Caller, session_id: str, asset_id: str) -> dict[str, Any]:
        """The asset's view as it stays. NotFound; Forbidden for a person."""
        session, asset = own_asset(self.store, caller, session_id, asset_id)
        caller.require_client()
        if asset is None:
            raise NotFound("Asset not found")
        if asset.status is not AssetStatus.REDACTED:
            # Before the row forgets where its file is. What has come in the meantime is deleted by check_upload.
            self._delete_file(asset)
            self.store.redact_asset(asset, self.clock.now(), give_back=True)
        self.files.erase(f"uploads/{session.id}/{asset.id}/")
        _show_earlier_ids(self.store, session.id, [asset])
        return asset_view(self.store.get_asset(session.id, asset.id) or asset)

    def _delete_file(self, asset: Asset) -> None:
        # A name in the inbox may have been used twice: the other version is another asset's.
        if asset.object_key.startswith("inbox/") and asset.version_id:
            self.files.delete(asset.object_key, asset.version_id)


def _show_earlier_ids(store: Store, session_id: str, assets: Sequence[Asset]) -> None:
    """What stays of files that were given to crun twice names both ids. Earlier versions kept the first one apart."""
    unsaid = [each for each in assets if each.resubmissions and each.earlier_crun_asset_id is None]
    earlier = store.earlier_ids(session_id) if unsaid else {}
    for asset in unsaid:
        if asset.id in earlier:
            store.record_earlier_id(asset, earlier[asset.id])


def _may_hold_a_group(session: Session, execution: str) -> bool:
    """Whether a validation may have asked crun for the group already.

    Stopped now, it would take a GroupId with it that nobody else knows. It ends by itself: whatever it does next finds
    the session erased, and asks crun for nothing more.
    """
    if session.group_id:
        return False
    for attempt in session.attempts.values():
        base, *others = validation_names(session.id, attempt)
        if attempt.status is AttemptStatus.PASSED and execution in (base, *others):
            return True
        if attempt.status is AttemptStatus.OPEN and execution in others:
            return True
    return False
