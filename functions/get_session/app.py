"""GET /sessions, /sessions/{session_id} and /sessions/{session_id}/assets/{asset_id}."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from likeness.runtime import bootstrap
from likeness.runtime.http import answer, make_app
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import caller_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = make_app()
sessions = bootstrap.get_session()


@app.get("/sessions")
def list_sessions() -> Response[str]:
    """A page of the client's sessions."""
    query = app.current_event.query_string_parameters or {}
    wanted = {name: query.get(name) for name in ("limit", "cursor", "status", "reference")}
    return answer(sessions.list(caller_of(app.current_event.raw_event), **wanted))


@app.get("/sessions/<session_id>")
def get_session(session_id: str) -> Response[str]:
    """One session with its assets."""
    return answer(sessions.one(caller_of(app.current_event.raw_event), session_id))


@app.get("/sessions/<session_id>/assets/<asset_id>")
def get_asset(session_id: str, asset_id: str) -> Response[str]:
    """One asset."""
    return answer(sessions.asset(caller_of(app.current_event.raw_event), session_id, asset_id))


@observed(of_request)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Routes the request."""
    return app.resolve(event, context)
