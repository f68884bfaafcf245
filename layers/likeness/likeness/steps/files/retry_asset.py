"""POST /sessions/{id}/assets/{asset_id}/retry: submits the file of a failed asset to crun again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from likeness.contracts.messages import AssetsReady
from likeness.contracts.views import asset_view
from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.errors import ConditionFailed, Conflict, NotFound
from likeness.ports.files import Files
from likeness.ports.store import Store
from likeness.ports.system import Clock, Queue
from likeness.steps.onboarding.get_session import own_asset

#: What a retry leads to. Repeating the request changes nothing then.
_RETRIED = IN_PROGRESS | {AssetStatus.ACTIVE}
_CHANGED = "The asset or its session has changed, or another file was registered for its request"


@dataclass(frozen=True, slots=True)
class RetryAsset:
    """Retries assets that failed for a reason that may not occur again."""

    store: Store
    files: Files
    queue: Queue
    clock: Clock

    def __call__(self, caller: Caller, session_id: str, asset_id: str) -> dict[str, Any]:
        """Returns the asset's view. An asset that is in progress or active stays as it is.

        Raises NotFound, Forbidden for a person, and Conflict: ``not_retryable``, or ``file_deleted`` when the file
        that was checked is no longer stored.
        """
        session, asset = own_asset(self.store, caller, session_id, asset_id)
        caller.require_client()
        if asset is None:
            raise NotFound("Asset not found")
        if asset.status not in _RETRIED:
            session.require_permitted(self.clock.now())
            asset = self._retried(asset)
        # After the row. A repeated request sends the message again, in case that it was lost.
        if session.group_id and asset.status is AssetStatus.UPLOADED:
            self.queue.send(AssetsReady(session_id=session.id, correlation_id=session.correlation_id).to_json())
        return asset_view(asset)

    def _retried(self, asset: Asset) -> Asset:
        if not asset.can_be_retried:
            why = asset.error.code if asset.error else asset.status.value
            raise Conflict(f"The asset cannot be retried ({why})", code="not_retryable")
        if not self.files.keeps(asset.object_key, asset.version_id):
            raise Conflict("The file is no longer stored: register and upload it again", code="file_deleted")
        again = asset.retried(self.clock.now())
        if asset.crun_asset_id:
            self.store.keep_earlier_id(asset)  # clients may look it up
        try:
            self.store.retry_asset(again, asset)
        except ConditionFailed:
            current = self.store.get_asset(asset.session_id, asset.id)
            if current is None or current.status not in _RETRIED:
                raise Conflict(_CHANGED, code="not_retryable") from None
            return current  # a concurrent request has retried it
        return again
