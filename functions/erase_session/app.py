"""DELETE /sessions/{session_id} and /sessions/{session_id}/assets/{asset_id}."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from likeness.runtime import bootstrap
from likeness.runtime.http import answer, make_app
from likeness.runtime.logging import logger, observed, of_request
from likeness.runtime.request import caller_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = make_app()
erase_session = bootstrap.erase_session()
erase_asset = bootstrap.erase_asset()


@app.delete("/sessions/<session_id>")
def erase(session_id: str) -> Response[str]:
    """Erases one session; repeating it changes nothing."""
    caller = caller_of(app.current_event.raw_event)
    tombstone = erase_session(caller, session_id)
    # What an operator repeats after a restore of the table: see docs/operations.md.
    logger.info("session erased", extra={"session_id": session_id, "client_id": caller.client_id})
    return answer(tombstone)


@app.delete("/sessions/<session_id>/assets/<asset_id>")
def erase_one(session_id: str, asset_id: str) -> Response[str]:
    """Erases one asset; repeating it changes nothing."""
    caller = caller_of(app.current_event.raw_event)
    asset = erase_asset(caller, session_id, asset_id)
    ids = {"session_id": session_id, "asset_id": asset_id, "client_id": caller.client_id}
    logger.info("asset erased", extra=ids)
    return answer(asset)


@observed(of_request)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Routes the request."""
    return app.resolve(event, context)
