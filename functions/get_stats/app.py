"""GET /stats."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
stats = bootstrap.get_stats()


@app.get("/stats")
def get_stats() -> Response:
    """Returns the client's statistics by day."""
    wanted = {"first": app.query.get("from"), "last": app.query.get("to"), "cursor": app.query.get("cursor")}
    return answer(stats(app.caller, **wanted))
