"""DELETE /sessions/{session_id} and /sessions/{session_id}/assets/{asset_id}."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from likeness.runtime import bootstrap
from likeness.runtime.http import answer, caller_of, make_app
from likeness.runtime.logging import observed, of_request

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = make_app()
erase_session = bootstrap.erase_session()
erase_asset = bootstrap.erase_asset()


@app.delete("/sessions/<session_id>")
def erase(session_id: str) -> Response[str]:
    """Erases one session; repeating it changes nothing."""
    return answer(erase_session(caller_of(app.current_event.raw_event), session_id))


@app.delete("/sessions/<session_id>/assets/<asset_id>")
def erase_one(session_id: str, asset_id: str) -> Response[str]:
    """Erases one asset; repeating it changes nothing."""
    return answer(erase_asset(caller_of(app.current_event.raw_event), session_id, asset_id))


@observed(of_request)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Routes the request."""
    return app.resolve(event, context)
