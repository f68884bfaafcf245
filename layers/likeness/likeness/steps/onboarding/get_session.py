"""GET /sessions, /sessions/{id} and /sessions/{id}/assets/{asset_id}: reading never changes anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from likeness.contracts.views import asset_view, page_view, session_view
from likeness.domain.asset import Asset
from likeness.domain.caller import Caller
from likeness.domain.ids import ASSET_ID, SESSION_ID
from likeness.domain.session import Session, SessionStatus
from likeness.errors import InvalidRequest, NotFound
from likeness.ports.files import AssetStore
from likeness.ports.onboarding import SessionStore
from likeness.ports.store import Store

_LARGEST_PAGE = 100
_PAGE_SIZE = re.compile("[1-9][0-9]?|100")


def own_asset(store: AssetStore, caller: Caller, session_id: str, asset_id: str) -> tuple[Session, Asset | None]:
    """The caller's own session and one of its assets, None when there is no such asset. NotFound for the session.

    What cannot be an id of ours is asked of nobody.
    """
    known = SESSION_ID.fullmatch(session_id) and ASSET_ID.fullmatch(asset_id)
    session, asset = store.load_asset(session_id, asset_id) if known else (None, None)
    return caller.own(session), asset


def own_session(store: SessionStore, caller: Caller, session_id: str) -> Session:
    """The caller's own session. NotFound; what cannot be an id of ours is asked of nobody."""
    return caller.own(store.get_session(session_id) if SESSION_ID.fullmatch(session_id) else None)


def own_session_with_assets(store: AssetStore, caller: Caller, session_id: str) -> tuple[Session, list[Asset]]:
    """The caller's own session and all its assets. NotFound; what cannot be an id of ours is asked of nobody."""
    session, assets = store.load(session_id) if SESSION_ID.fullmatch(session_id) else (None, [])
    return caller.own(session), assets


@dataclass(frozen=True, slots=True)
class GetSession:
    """Reads sessions and assets of the caller's own."""

    store: Store
    max_attempts: int

    def one(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """A session with its assets."""
        session, assets = own_session_with_assets(self.store, caller, session_id)
        views = [asset_view(each) for each in assets]
        return session_view(session, views, max_attempts=self.max_attempts, person=caller.is_person)

    def asset(self, caller: Caller, session_id: str, asset_id: str) -> dict[str, Any]:
        """One asset."""
        _, asset = own_asset(self.store, caller, session_id, asset_id)
        if asset is None:
            raise NotFound("Asset not found")
        return asset_view(asset)

    def list(
        self,
        caller: Caller,
        *,
        limit: str | None = None,
        cursor: str | None = None,
        status: str | None = None,
        reference: str | None = None,
    ) -> dict[str, Any]:
        """``{"sessions": […], "next_cursor": …}``, newest first; the query's values as they came."""
        caller.require_client()
        if limit is not None and not _PAGE_SIZE.fullmatch(limit):
            raise InvalidRequest(f"limit: must be an integer from 1 to {_LARGEST_PAGE}", field="limit")
        if status is not None and status not in list(SessionStatus):
            raise InvalidRequest(f"status: must be one of {', '.join(SessionStatus)}", field="status")
        page = self.store.list_sessions(
            caller.client_id, limit=int(limit or 20), cursor=cursor, status=status, reference=reference
        )
        return page_view(page.sessions, page.cursor)
