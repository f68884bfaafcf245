"""POST /generations and /generations/estimate."""

from __future__ import annotations

from likeness.contracts.body import parse_body
from likeness.contracts.generation import NewGeneration
from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.logging import logger
from likeness.steps.generations.create_generation import KEY_HEADER

app = make_app()
handler = handler_of(app)
create_generation = bootstrap.create_generation()
origin = bootstrap.origin()


@app.post("/generations")
def create() -> Response:
    """Creates a generation; the same Idempotency-Key returns the same generation."""
    caller, body = app.caller, parse_body(NewGeneration, app.body)
    key = app.headers.get(KEY_HEADER.lower())
    view = create_generation(caller, key, body, origin(app.event), app.correlation_id)
    logger.info("generation requested", extra={"generation_id": view["id"], "status": view["status"]})
    return answer(view, 202)


@app.post("/generations/estimate")
def estimate() -> Response:
    """Returns crun's estimate, after the same checks."""
    caller, body = app.caller, parse_body(NewGeneration, app.body)
    return answer(create_generation.estimate(caller, body, origin(app.event), app.correlation_id))
