"""POST /generations/{generation_id}/cancel and DELETE /generations/{generation_id}."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.logging import logger

app = make_app()
handler = handler_of(app)
cancel_generation = bootstrap.cancel_generation()


@app.post("/generations/{generation_id}/cancel")
def cancel(generation_id: str) -> Response:
    """Cancels a generation that crun was not asked for; a repetition changes nothing."""
    caller = app.caller
    view = cancel_generation(caller, generation_id)
    logger.info("generation canceled", extra={"generation_id": view["id"], "client_id": caller.client_id})
    return answer(view)


@app.delete("/generations/{generation_id}")
def erase(generation_id: str) -> Response:
    """Erases a generation; a repetition changes nothing."""
    caller = app.caller
    view = cancel_generation.erase(caller, generation_id)
    logger.info("generation erased", extra={"generation_id": view["id"], "client_id": caller.client_id})
    return answer(view)
