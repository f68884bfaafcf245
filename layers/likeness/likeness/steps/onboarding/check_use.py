"""GET /sessions/{id}/use and POST /use-checks: whether a person's likeness may be used for a purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.views import use_view
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.ids import SESSION_ID
from likeness.domain.session import Session
from likeness.domain.terms import TermsPolicy
from likeness.domain.uses import USE_REFUSALS, use_refusal
from likeness.errors import Conflict, NotFound
from likeness.ports.files import AssetStore
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_session_with_assets

if TYPE_CHECKING:
    from likeness.steps.crun_routes.get_result import UpstreamIds

_SCHEME = "asset://"
_NOT_FOUND = "Neither a session nor an asset has this id"
Loaded = tuple[Session, list[Asset]]


@dataclass(frozen=True, slots=True)
class CheckUse:
    """Checks uses for a client."""

    store: AssetStore
    ids: UpstreamIds
    clock: Clock
    terms: TermsPolicy

    def __call__(self, caller: Caller, session_id: str, purpose: str | None) -> dict[str, Any]:
        """Returns the session's active assets. One query.

        Raises NotFound, Forbidden for a person, InvalidRequest for an unknown purpose, and Conflict with the first
        reason why the likeness may not be used.
        """
        found = own_session_with_assets(self.store, caller, session_id)
        caller.require_client()
        return self._one(found, self._purpose(caller, purpose))

    def several(self, caller: Caller, body: str | None) -> dict[str, Any]:
        """Returns a result for each id of a body ``UseChecks``, in its order: what a single check returns, or why not.

        The id of an asset stands for that asset alone. Raises Forbidden for a person, and InvalidRequest.
        """
        from likeness.contracts.body import parse_body
        from likeness.contracts.consent import UseChecks

        caller.require_client()
        asked = parse_body(UseChecks, body)
        purpose = self._purpose(caller, asked.purpose)
        loaded: dict[str, Loaded] = {}
        return {"results": [self._result(caller, each, purpose, loaded) for each in asked.ids]}

    def _purpose(self, caller: Caller, given: str | None) -> str | None:
        purpose = given or caller.purpose or None
        if purpose is not None:
            self.terms.require_known([purpose], "purpose")
        return purpose

    def _result(self, caller: Caller, wanted: str, purpose: str | None, loaded: dict[str, Loaded]) -> dict[str, Any]:
        try:
            session_id, asset_id = self._place(caller, wanted)
            if session_id not in loaded:
                loaded[session_id] = own_session_with_assets(self.store, caller, session_id)
            return {"id": wanted, "allowed": True} | self._one(loaded[session_id], purpose, asset_id)
        except NotFound:
            # The same for an id of another client.
            return {"id": wanted, "allowed": False, "code": NotFound.code, "detail": _NOT_FOUND}
        except Conflict as refused:
            return {"id": wanted, "allowed": False, "code": refused.code, "detail": refused.message}

    def _place(self, caller: Caller, wanted: str) -> tuple[str, str | None]:
        """Returns the ids of the session and the asset that ``wanted`` stands for. Raises NotFound."""
        if SESSION_ID.fullmatch(wanted):
            return wanted, None
        place = self.ids.asset_of(caller.client_id, wanted.removeprefix(_SCHEME))
        if place is None:
            raise NotFound(_NOT_FOUND)
        return place

    def _one(self, found: Loaded, purpose: str | None, asset_id: str | None = None) -> dict[str, Any]:
        session, assets = found
        active = [
            each for each in assets if each.status is AssetStatus.ACTIVE and (asset_id is None or each.id == asset_id)
        ]
        code = use_refusal(session, active, purpose, self.clock.now())
        if code:
            raise Conflict(USE_REFUSALS[code], code=code)
        return use_view(session, active, purpose)
