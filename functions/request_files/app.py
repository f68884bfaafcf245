"""POST and DELETE /sessions/{session_id}/requests, and POST /sessions/{session_id}/finish."""

from __future__ import annotations

from urllib.parse import unquote

from likeness.contracts.body import parse_body
from likeness.contracts.http import MoreRequests
from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
request_files = bootstrap.request_files()


@app.post("/sessions/{session_id}/requests")
def add(session_id: str) -> Response:
    """Adds file requests: 201, or 200 when all of them exist."""
    caller = app.caller
    view, is_new = request_files.add(caller, session_id, parse_body(MoreRequests, app.body))
    return answer(view, 201 if is_new else 200)


@app.delete("/sessions/{session_id}/requests/{name}")
def withdraw(session_id: str, name: str) -> Response:
    """Withdraws an open file request."""
    return answer(request_files.withdraw(app.caller, session_id, unquote(name)))


@app.post("/sessions/{session_id}/finish")
def finish(session_id: str) -> Response:
    """Records that the person has nothing more to send; a repetition changes nothing."""
    return answer(request_files.finish(app.caller, session_id))
