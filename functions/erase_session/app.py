"""DELETE /sessions/{session_id}."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response

from likeness.runtime import bootstrap
from likeness.runtime.http import answer, caller_of, make_app
from likeness.runtime.logging import observed, of_request

app = make_app()
erase_session = bootstrap.erase_session()


@app.delete("/sessions/<session_id>")
def erase(session_id: str) -> Response[str]:
    """Erases one session; repeating it changes nothing."""
    return answer(erase_session(caller_of(app.current_event.raw_event), session_id))


@observed(of_request)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Routes the request."""
    return app.resolve(event, context)
