"""GET /callback/{session_id}/{attempt}/{signature}: public, one route, so no router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.errors import LikenessError
from likeness.runtime import bootstrap, settings
from likeness.runtime.logging import observed, of_request, report, report_unexpected
from likeness.runtime.pages import error_page, redirect
from likeness.runtime.request import base_url, request_id_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

receive_callback = bootstrap.receive_callback()
public_base_url = settings.text("PUBLIC_BASE_URL", may_be_empty=True)


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """303 to where the person goes on, or a page that says what to do. A browser reads it: never JSON."""
    try:
        path = event["pathParameters"] or {}
        location = receive_callback(
            path["session_id"],
            path["attempt"],
            path["signature"],
            event.get("multiValueQueryStringParameters") or {},
            base_url(event, public_base_url),
        )
    except LikenessError as error:
        report(error)
        return error_page(error.status, error.retry_after)
    except Exception as error:
        report_unexpected(error)
        return error_page(500, request_id=request_id_of(event))
    return redirect(location)
