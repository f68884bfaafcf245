"""POST /task/{generation_id}/{signature}: public, crun reports that a task is over."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.request import body_of

app = make_app()
handler = handler_of(app)
receive_task = bootstrap.receive_task()


@app.post("/task/{generation_id}/{signature}")
def receive(generation_id: str, signature: str) -> Response:
    """Stores what crun's API says of the task."""
    receive_task(generation_id, signature, body_of(app.event))
    return answer({})
