"""POST, GET and DELETE /sessions/{session_id}/receipt, and GET /receipt."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.logging import logger

app = make_app()
handler = handler_of(app)
issue_receipt = bootstrap.issue_receipt()
base_url = bootstrap.base_url()


@app.post("/sessions/{session_id}/receipt")
def issue(session_id: str) -> Response:
    """Creates a personal link."""
    view = issue_receipt(app.caller, session_id, base_url(app.event))
    logger.info("receipt issued")
    return answer(view, 201)


@app.get("/sessions/{session_id}/receipt")
def read(session_id: str) -> Response:
    """Returns the receipt as a document."""
    return answer(issue_receipt.read(app.caller, session_id))


@app.delete("/sessions/{session_id}/receipt")
def revoke(session_id: str) -> Response:
    """Ends the caller's personal link."""
    return answer(issue_receipt.revoke(app.caller, session_id))


@app.get("/receipt")
def page() -> Response:
    """Returns what the page of a personal link shows."""
    return answer(issue_receipt.page(app.caller, app.query.get("language")))
