"""POST /sessions/{session_id}/assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from likeness.contracts.body import parse_body
from likeness.contracts.http import AssetRegistration
from likeness.runtime import bootstrap
from likeness.runtime.http import answer, make_app
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import caller_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = make_app()
register_asset = bootstrap.register_asset()


@app.post("/sessions/<session_id>/assets")
def register(session_id: str) -> Response[str]:
    """Registers one asset: 201, or 200 with the asset that has the same bytes already."""
    caller = caller_of(app.current_event.raw_event)
    body = parse_body(AssetRegistration, app.current_event.decoded_body)
    asset, is_new = register_asset(caller, session_id, body)
    return answer(asset, 201 if is_new else 200)


@observed(of_request)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Routes the request."""
    return app.resolve(event, context)
