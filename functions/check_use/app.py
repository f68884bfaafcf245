"""GET /sessions/{session_id}/use and POST /use-checks."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
check_use = bootstrap.check_use()


@app.get("/sessions/{session_id}/use")
def check_one(session_id: str) -> Response:
    """Returns the session's active assets if its consent covers the purpose."""
    return answer(check_use(app.caller, session_id, app.query.get("purpose")))


@app.post("/use-checks")
def check_several() -> Response:
    """Returns a result for each id."""
    return answer(check_use.several(app.caller, app.body))
