"""GET /sessions, /sessions/{id}, …/assets/{asset_id} and its preview: reads without side effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from likeness.contracts.listing import page_size, read_filter
from likeness.contracts.views import asset_view, page_view, preview_view, session_view
from likeness.domain.asset import PREVIEW_SECONDS, Asset
from likeness.domain.caller import Caller
from likeness.domain.consent import ConsentText
from likeness.domain.ids import ASSET_ID, SESSION_ID
from likeness.domain.session import Language, Session
from likeness.errors import InvalidRequest, NoPreview, NotFound
from likeness.ports.files import AssetStore, Files
from likeness.ports.onboarding import ConsentTexts, SessionStore
from likeness.ports.store import Store
from likeness.ports.system import Clock

#: In place of a language of the consent text: the session's.
_OF_SESSION = "session"


def own_asset(
    store: AssetStore, caller: Caller, session_id: str, asset_id: str, *, by_receipt: bool = False
) -> tuple[Session, Asset | None]:
    """Returns the caller's session and one of its assets, None when it has no such asset.

    Raises NotFound for the session. Malformed ids cause no read. ``by_receipt``: see ``Caller.own``.
    """
    known = SESSION_ID.fullmatch(session_id) and ASSET_ID.fullmatch(asset_id)
    session, asset = store.load_asset(session_id, asset_id) if known else (None, None)
    return caller.own(session, by_receipt=by_receipt), asset


def own_session(store: SessionStore, caller: Caller, session_id: str, *, by_receipt: bool = False) -> Session:
    """Returns the caller's session. Raises NotFound. A malformed id causes no read. See ``Caller.own``."""
    found = store.get_session(session_id) if SESSION_ID.fullmatch(session_id) else None
    return caller.own(found, by_receipt=by_receipt)


def own_session_with_assets(
    store: AssetStore, caller: Caller, session_id: str, *, by_receipt: bool = False
) -> tuple[Session, list[Asset]]:
    """Returns the caller's session and all its assets. Raises NotFound. A malformed id causes no read."""
    session, assets = store.load(session_id) if SESSION_ID.fullmatch(session_id) else (None, [])
    return caller.own(session, by_receipt=by_receipt), assets


@dataclass(frozen=True, slots=True)
class GetSession:
    """Reads the caller's sessions and assets. ``texts`` returns the consent texts, which few requests need."""

    store: Store
    clock: Clock
    max_attempts: int
    files: Files
    texts: Callable[[], ConsentTexts]

    def one(self, caller: Caller, session_id: str, consent_text: str | None = None) -> dict[str, Any]:
        """Returns a session's view with its assets.

        ``consent_text`` is a language, or ``session`` for the session's: until the person has agreed, the view also
        contains the text in it. Raises InvalidRequest for another value.
        """
        if consent_text not in (None, _OF_SESSION, *Language):
            raise InvalidRequest(
                f"consent_text: must be one of {', '.join((_OF_SESSION, *Language))}", field="consent_text"
            )
        session, assets = own_session_with_assets(self.store, caller, session_id, by_receipt=True)
        now = self.clock.now()
        text = self._text(session, consent_text, now) if consent_text else None
        return session_view(
            session, assets, now=now, max_attempts=self.max_attempts, person=caller.is_person, consent_text=text
        )

    def _text(self, session: Session, wanted: str, now: float) -> ConsentText | None:
        """Returns the text that the person has yet to agree to, None if there is nothing to agree to."""
        agreed = session.consent and session.is_permitted(now) and not session.has_new_terms
        if agreed or not session.accepts_uploads:
            return None
        language = session.language if wanted == _OF_SESSION else Language(wanted)
        return self.texts().current(language, session.consent_terms)

    def asset(self, caller: Caller, session_id: str, asset_id: str) -> dict[str, Any]:
        """Returns one asset's view."""
        _, asset = own_asset(self.store, caller, session_id, asset_id, by_receipt=True)
        if asset is None:
            raise NotFound("Asset not found")
        return asset_view(asset)

    def preview(self, caller: Caller, session_id: str, asset_id: str) -> dict[str, Any]:
        """Returns a short-lived URL of exactly the bytes that were checked.

        Raises NotFound, and NoPreview for an asset without a picture that browsers show.
        """
        _, asset = own_asset(self.store, caller, session_id, asset_id, by_receipt=True)
        if asset is None:
            raise NotFound("Asset not found")
        if not asset.has_preview:
            raise NoPreview("The asset has no preview")
        url = self.files.preview_url(asset.object_key, asset.version_id, asset.content_type)
        return preview_view(url, self.clock.now() + PREVIEW_SECONDS, asset.content_type)

    def list(
        self, caller: Caller, *, limit: str | None = None, cursor: str | None = None, **filters: str | None
    ) -> dict[str, Any]:
        """Returns a page of the caller's sessions, newest first: see ``page_view``.

        The arguments are the raw query values; for ``filters``, see ``read_filter``. Raises Forbidden for a person,
        and InvalidRequest, which names the parameter.
        """
        caller.require_client()
        most = page_size(limit)
        wanted = read_filter(**filters)
        return page_view(self.store.list_sessions(caller.client_id, limit=most, cursor=cursor, wanted=wanted))
