"""DELETE /sessions/{session_id}/invite."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.logging import logger

app = make_app()
handler = handler_of(app)
revoke_invite = bootstrap.revoke_invite()


@app.delete("/sessions/{session_id}/invite")
def revoke(session_id: str) -> Response:
    """Invalidates the session's invite links; a repetition changes nothing."""
    view = revoke_invite(app.caller, session_id)
    logger.info("invite revoked", extra={"session_id": view["id"]})
    return answer(view)
