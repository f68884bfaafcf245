"""POST /sessions/{id}/assets: a place for one file, and a form to upload it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from likeness.contracts.http import AssetRegistration
from likeness.contracts.views import asset_view
from likeness.domain.asset import SLOT_SECONDS, Asset, AssetStatus, new_asset
from likeness.domain.caller import Caller
from likeness.errors import ConditionFailed, Conflict
from likeness.ports.files import Files
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_session

#: Nobody gets one of these back for the same bytes.
_GONE = (AssetStatus.FAILED, AssetStatus.REDACTED)


@dataclass(frozen=True, slots=True)
class RegisterAsset:
    """Registers assets, before or after the validation.

    ``has_key(client_id)``: whether the client of a person who asks has a valid key.
    """

    store: Store
    files: Files
    clock: Clock
    has_key: Callable[[str], bool] = lambda _: True

    def __call__(self, caller: Caller, session_id: str, body: AssetRegistration) -> tuple[dict[str, Any], bool]:
        """The asset's view, with its ``upload`` form while it waits for its file, and whether it is new: the same

        bytes are the same asset. NotFound, Conflict or TooManyAttempts.
        """
        session = own_session(self.store, caller, session_id)
        caller.require_living_client(self.has_key)
        if not session.accepts_uploads:
            raise Conflict(f"The session is {session.status.value} and does not accept uploads")
        now = self.clock.now()
        known = self._known(session.id, body.sha256)
        if known:
            return self._view(self._held(known, now), now), False
        asset = new_asset(session, now, self.clock.entropy(), by_person=caller.is_person, **body.model_dump())
        try:
            self.store.add_asset(asset)
        except ConditionFailed:
            raise Conflict("The session does not accept uploads") from None
        return self._view(asset, now), True

    def _known(self, session_id: str, sha256: str | None) -> Asset | None:
        """The asset that has these bytes, or is to get them, unless it failed or was erased."""
        assets = self.store.list_assets(session_id) if sha256 else []
        found = (each for each in assets if each.sha256 == sha256 and each.status not in _GONE)
        return next(found, None)

    def _held(self, asset: Asset, now: float) -> Asset:
        """The asset, whose place is kept for as long as the form that it gets now."""
        if asset.status is not AssetStatus.AWAITING_UPLOAD or now < asset.updated_at + SLOT_SECONDS / 2:
            return asset
        kept = asset.place_renewed(now)
        try:
            self.store.extend_slot(kept)
        except ConditionFailed:  # its file has come, or it was erased
            return self.store.get_asset(asset.session_id, asset.id) or asset
        return kept.place_counted()

    def _view(self, asset: Asset, now: float) -> dict[str, Any]:
        waits = asset.status is AssetStatus.AWAITING_UPLOAD
        form = self.files.upload_form(asset.object_key, asset.content_type, asset.size_bytes, now) if waits else None
        return asset_view(asset, form)
