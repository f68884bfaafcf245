"""POST /sessions/{id}/assets: registers one file and returns a form to upload it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.views import asset_view
from likeness.domain.asset import SLOT_SECONDS, Asset, AssetStatus, new_asset
from likeness.domain.caller import Caller
from likeness.domain.file_requests import FileRequest
from likeness.domain.progress import is_open
from likeness.domain.session import Session
from likeness.errors import ConditionFailed, Conflict, InvalidRequest
from likeness.ports.files import Files
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_session

if TYPE_CHECKING:
    from likeness.contracts.http import AssetRegistration

#: How often a registration for a request is tried when others change the request at the same time.
_TRIES = 5
#: Assets that are not returned for a file with the same bytes.
_NOT_REUSABLE = (AssetStatus.FAILED, AssetStatus.REDACTED)


def requested_by(session: Session, name: str | None, asset_type: str, at: str = "") -> FileRequest | None:
    """Returns the session's file request of that name, None without a name.

    Raises InvalidRequest for another name or type than requested; ``at`` precedes the names of the body's fields.
    """
    if name is None:
        return None
    request = session.requests.get(name)
    if request is None:
        raise InvalidRequest(f"{at}request: the session has no file request of this name", field=f"{at}request")
    if request.asset_type != asset_type:
        message = f"{at}asset_type: the request is for {request.asset_type.value}"
        raise InvalidRequest(message, field=f"{at}asset_type")
    return request


@dataclass(frozen=True, slots=True)
class RegisterAsset:
    """Registers assets, before or after the validation.

    ``has_key(client_id)`` returns whether the client has a valid key. It is checked for a person's requests.
    """

    store: Store
    files: Files
    clock: Clock
    has_key: Callable[[str], bool] = lambda _: True

    def __call__(self, caller: Caller, session_id: str, body: AssetRegistration) -> tuple[dict[str, Any], bool]:
        """Returns the asset's view, and whether the asset is new: the same bytes are the same asset.

        The view has an ``upload`` form while the asset waits for its file. A new asset for a file request replaces one
        whose file has not arrived, so that an interrupted upload blocks nobody. Raises NotFound, InvalidRequest,
        Conflict or TooManyAttempts.
        """
        for _ in range(_TRIES):
            session = own_session(self.store, caller, session_id)
            caller.require_living_client(self.has_key)
            if not session.accepts_uploads:
                raise Conflict(f"The session is {session.status.value} and does not accept uploads")
            session.require_not_declined()
            now = self.clock.now()
            session.require_permitted(now)
            request = requested_by(session, body.request, body.asset_type)
            known = self._known(session.id, body.sha256, request)
            if known:
                return self._view(self._renewed(known, now), now), False
            earlier = self._earlier(session.id, request)
            asset = new_asset(session, now, self.clock.entropy(), by_person=caller.is_person, **body.model_dump())
            try:
                self.store.add_asset(asset, earlier)
            except ConditionFailed:
                if request is None:
                    raise Conflict("The session does not accept uploads") from None
                continue  # another file was registered for the request, or it was withdrawn: read it again
            return self._view(asset, now), True
        raise Conflict("The session was changed at the same time", retry_after=1)

    def _known(self, session_id: str, sha256: str | None, request: FileRequest | None) -> Asset | None:
        """Returns the asset that has or expects these bytes, unless it failed or was erased.

        For a request, only the asset that was registered for it counts: the same bytes may answer two requests.
        """
        assets = self.store.list_assets(session_id) if sha256 else []
        found = (each for each in assets if each.sha256 == sha256 and each.status not in _NOT_REUSABLE)
        return next((each for each in found if request is None or each.id == request.asset_id), None)

    def _earlier(self, session_id: str, request: FileRequest | None) -> Asset | None:
        """Returns the request's asset, which the new one replaces. Raises Conflict when its file has arrived."""
        asset = self.store.get_asset(session_id, request.asset_id) if request and request.asset_id else None
        if not is_open(asset):
            raise Conflict("The file of this request has already arrived", code="request_filled")
        return asset

    def _renewed(self, asset: Asset, now: float) -> Asset:
        """Extends the asset's slot so that it lasts as long as a form that is signed now."""
        if asset.status is not AssetStatus.AWAITING_UPLOAD or now < asset.updated_at + SLOT_SECONDS / 2:
            return asset
        kept = asset.place_renewed(now)
        try:
            self.store.extend_slot(kept)
        except ConditionFailed:  # the file has arrived, or the asset was erased
            return self.store.get_asset(asset.session_id, asset.id) or asset
        return kept.place_counted()

    def _view(self, asset: Asset, now: float) -> dict[str, Any]:
        waits = asset.status is AssetStatus.AWAITING_UPLOAD
        form = self.files.upload_form(asset.object_key, asset.content_type, asset.size_bytes, now) if waits else None
        return asset_view(asset, form)
