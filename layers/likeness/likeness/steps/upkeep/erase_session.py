"""DELETE /sessions/{id} and …/assets/{asset_id}: erases a person's data and keeps a tombstone as proof.

The session is marked first, so that running work finds it erased and stops. Then the executions are stopped, and the
files, the generations that show the person and the assets erased. The time of the erasure is stored last. Every part
may be repeated after a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

#: How often an erasure is retried when a new attempt starts at the same time.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class EraseSession:
    """Erases the caller's sessions. ``erase_generations(session_id)`` erases what generations contain of the person."""

    store: Store
    files: Files
    workflows: Workflows
    clock: Clock
    erase_generations: Callable[[str], None]
    #: Whether an erasure that fails in the middle stays due, for reconcile, and only withdrawn sessions are erased.
    by_policy: bool = False

    def __call__(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """Returns the tombstone's view. Raises NotFound, and Forbidden for a person without a receipt.

        Raises StorageUnavailable, after which a repetition continues.
        """
        session = self._mark(caller, session_id)
        for name in executions_of(session):
            if not _may_hold_a_group(session, name):
                self.workflows.stop(name)
        self.files.erase(f"uploads/{session.id}/")
        self.files.erase(f"inbox/{session.id}/")
        self.erase_generations(session.id)
        now = self.clock.now()
        assets = self.store.list_assets(session.id)
        _record_earlier_ids(self.store, session.id, assets)
        for asset in assets:
            if asset.status is not AssetStatus.REDACTED:
                self.store.redact_asset(asset, now)
        tombstone = self.store.record_erasure(session.id, now)
        return session_view(tombstone, self.store.list_assets(session.id), now=now, person=caller.is_person)

    def _mark(self, caller: Caller, session_id: str) -> Session:
        """Marks the session as erased and returns it."""
        for _ in range(_TRIES):
            session = own_session(self.store, caller, session_id, by_receipt=True)
            if not caller.receipt:
                caller.require_client()
            if session.status is SessionStatus.REDACTED or self.store.redact_session(
                session,
                self.clock.now(),
                by="policy" if self.by_policy else caller.credential,
                stays_due=self.by_policy,
            ):
                return session
        raise Conflict("Another attempt was started at the same time", retry_after=1)


@dataclass(frozen=True, slots=True)
class EraseAsset:
    """Erases one file of the caller's session, such as a picture that shows somebody else.

    No execution is stopped: the other files continue, and the driver execution finds this one erased.
    """

    store: Store
    files: Files
    clock: Clock

    def __call__(self, caller: Caller, session_id: str, asset_id: str) -> dict[str, Any]:
        """Returns the view of the erased asset. Raises NotFound.

        Raises Forbidden for a person, except for a file of their own that has failed or was not uploaded yet.
        """
        session, asset = own_asset(self.store, caller, session_id, asset_id)
        if asset is None:
            raise NotFound("Asset not found")
        if not asset.may_be_removed_by_person:
            caller.require_client()
        if asset.status is not AssetStatus.REDACTED:
            # Before the row loses its object key. check_upload deletes a file that arrives in the meantime.
            self._delete_file(asset)
            self.store.redact_asset(asset, self.clock.now(), give_back=True)
        self.files.erase(f"uploads/{session.id}/{asset.id}/")
        _record_earlier_ids(self.store, session.id, [asset])
        return asset_view(self.store.get_asset(session.id, asset.id) or asset)

    def _delete_file(self, asset: Asset) -> None:
        # A key in the inbox may have several versions, one per asset.
        if asset.object_key.startswith("inbox/") and asset.version_id:
            self.files.delete(asset.object_key, asset.version_id)


def _record_earlier_ids(store: Store, session_id: str, assets: Sequence[Asset]) -> None:
    """Adds both AssetIds to files that were submitted twice. Earlier versions stored the first one elsewhere."""
    incomplete = [each for each in assets if each.resubmissions and each.earlier_crun_asset_id is None]
    earlier = store.earlier_ids(session_id) if incomplete else {}
    for asset in incomplete:
        if asset.id in earlier:
            store.record_earlier_id(asset, earlier[asset.id])


def _may_hold_a_group(session: Session, execution: str) -> bool:
    """Returns whether a validation may already have requested the group from crun.

    If it were stopped now, a GroupId that is stored nowhere else could be lost. It ends by itself, because its next
    step finds the session erased and does not call crun.
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
