"""GET /callback/{session_id}/{attempt}/{signature}: public, without a router because it is a single route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.runtime import bootstrap
from likeness.runtime.logging import observed, of_request
from likeness.runtime.pages import redirect, respond

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

receive_callback = bootstrap.receive_callback()
base_url = bootstrap.base_url()
operator = bootstrap.operator_info()


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Redirects the person's browser (303), or returns an error page; never JSON."""

    def work() -> dict[str, Any]:
        path, query = event["pathParameters"] or {}, event.get("multiValueQueryStringParameters") or {}
        ids = path["session_id"], path["attempt"], path["signature"]
        return redirect(receive_callback(*ids, query, base_url(event)))

    return respond(event, work, operator, html_only=True)
