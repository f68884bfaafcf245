"""GET /generations, /generations/{generation_id} and /sessions/{session_id}/uses."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
get_generation = bootstrap.get_generation()


@app.get("/generations")
def list_generations() -> Response:
    """Returns a page of the client's generations."""
    wanted = {name: app.query.get(name) for name in ("limit", "cursor", "status", "session_id")}
    return answer(get_generation.list(app.caller, **wanted))


@app.get("/generations/{generation_id}")
def get_one(generation_id: str) -> Response:
    """Returns a generation with its media."""
    return answer(get_generation.one(app.caller, generation_id))


@app.get("/sessions/{session_id}/uses")
def list_uses(session_id: str) -> Response:
    """Returns a page of the uses of a person's likeness."""
    wanted = {name: app.query.get(name) for name in ("limit", "cursor")}
    return answer(get_generation.uses(app.caller, session_id, **wanted))
