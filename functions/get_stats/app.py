"""GET /stats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from likeness.runtime import bootstrap
from likeness.runtime.http import answer, make_app
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import caller_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = make_app()
stats = bootstrap.get_stats()


@app.get("/stats")
def get_stats() -> Response[str]:
    """The client's days."""
    query = app.current_event.query_string_parameters or {}
    wanted = {"first": query.get("from"), "last": query.get("to"), "cursor": query.get("cursor")}
    return answer(stats(caller_of(app.current_event.raw_event), **wanted))


@observed(of_request)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Routes the request."""
    return app.resolve(event, context)
