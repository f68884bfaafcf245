"""POST /sessions/{id}/assets: a place for one file, and a form to upload it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from likeness.contracts.http import AssetRegistration, asset_view
from likeness.domain.caller import Caller
from likeness.errors import ConditionFailed, Conflict
from likeness.ports import Clock, Files, Store
from likeness.steps.create_session import new_asset


@dataclass(frozen=True, slots=True)
class RegisterAsset:
    """Registers assets, before or after the validation."""

    store: Store
    files: Files
    clock: Clock

    def __call__(self, caller: Caller, session_id: str, body: AssetRegistration) -> dict[str, Any]:
        """The new asset's view with its ``upload`` form. NotFound, Conflict or TooManyAttempts."""
        session = caller.own(self.store.get_session(session_id))
        if not session.accepts_uploads:
            raise Conflict(f"A session that is {session.status.value} takes no uploads")
        now = self.clock.now()
        asset = new_asset(session.id, body, now, self.clock.entropy())
        try:
            self.store.add_asset(asset)
        except ConditionFailed:
            raise Conflict("The session takes no uploads") from None
        return asset_view(asset, self.files.upload_form(asset.object_key, asset.content_type, asset.size_bytes, now))
