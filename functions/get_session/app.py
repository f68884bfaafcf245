"""GET /sessions, /sessions/{session_id}, …/assets/{asset_id} and …/assets/{asset_id}/preview."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from likeness.contracts.listing import FILTERS
from likeness.runtime import bootstrap
from likeness.runtime.http import answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
sessions = bootstrap.get_session()


@app.get("/sessions")
def list_sessions() -> Response[str]:
    """Returns a page of the client's sessions."""
    wanted = {name: app.query.get(name) for name in ("limit", "cursor", *FILTERS)}
    return answer(sessions.list(app.caller, **wanted))


@app.get("/sessions/<session_id>")
def get_session(session_id: str) -> Response[str]:
    """Returns a session with its assets."""
    return answer(sessions.one(app.caller, session_id, app.query.get("consent_text")))


@app.get("/sessions/<session_id>/assets/<asset_id>")
def get_asset(session_id: str, asset_id: str) -> Response[str]:
    """Returns an asset."""
    return answer(sessions.asset(app.caller, session_id, asset_id))


@app.get("/sessions/<session_id>/assets/<asset_id>/preview")
def preview_asset(session_id: str, asset_id: str) -> Response[str]:
    """Returns a URL that shows an asset's picture."""
    return answer(sessions.preview(app.caller, session_id, asset_id))
