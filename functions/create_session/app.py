"""POST /sessions, and POST /sessions/{session_id}/attempts and …/invite."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.logging import logger

app = make_app()
handler = handler_of(app)
sessions = bootstrap.create_session()
base_url = bootstrap.base_url()
idempotency = bootstrap.idempotency("app.create.<locals>.once")


@app.post("/sessions")
def create() -> Response:
    """Creates a session; with an Idempotency-Key, the same request returns the same response for a day."""
    from likeness.contracts.body import parse_body  # a person who presses Start does not wait for Pydantic
    from likeness.contracts.http import NewSession

    body = parse_body(NewSession, app.body)
    view = idempotency(app, body, lambda: sessions.create(app.caller, body, base_url(app.event), app.correlation_id))
    return answer(view, 201)


@app.post("/sessions/{session_id}/attempts")
def create_attempt(session_id: str) -> Response:
    """Creates a new H5 link for the session."""
    return answer(sessions.create_attempt(app.caller, session_id, base_url(app.event)), 201)


@app.post("/sessions/{session_id}/invite")
def renew_invite(session_id: str) -> Response:
    """Creates a new invite link and invalidates the earlier ones."""
    view = sessions.renew_invite(app.caller, session_id, base_url(app.event))
    logger.info("invite renewed", extra={"session_id": view["id"]})
    return answer(view, 201)
