"""DELETE /sessions/{session_id} and /sessions/{session_id}/assets/{asset_id}."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.logging import logger

app = make_app()
handler = handler_of(app)
erase_session = bootstrap.erase_session()
erase_asset = bootstrap.erase_asset()


@app.delete("/sessions/{session_id}")
def erase(session_id: str) -> Response:
    """Erases a session; a repetition changes nothing."""
    caller = app.caller
    tombstone = erase_session(caller, session_id)
    # Operators repeat these erasures after a restore of the table: see docs/operations.md.
    logger.info("session erased", extra={"session_id": session_id, "client_id": caller.client_id})
    return answer(tombstone)


@app.delete("/sessions/{session_id}/assets/{asset_id}")
def erase_one(session_id: str, asset_id: str) -> Response:
    """Erases an asset; a repetition changes nothing."""
    caller = app.caller
    asset = erase_asset(caller, session_id, asset_id)
    ids = {"session_id": session_id, "asset_id": asset_id, "client_id": caller.client_id}
    logger.info("asset erased", extra=ids)
    return answer(asset)
