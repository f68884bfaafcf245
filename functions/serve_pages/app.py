"""GET /invite, /console, /docs, /openapi.json and what they load: static files of the product itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from likeness.errors import LikenessError
from likeness.runtime import settings
from likeness.runtime.logging import observed, of_request, report
from likeness.runtime.problems import problem
from likeness.runtime.request import headers_of
from likeness.runtime.site import Site

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

HTML = {"/invite": "invite.html", "/console": "console.html", "/docs": "docs.html"}
# Where AWS has another address (an emulator, a VPC endpoint), forms lead there too.
site = Site(
    os.environ.get("AWS_ENDPOINT_URL") or settings.text("UPLOAD_ADDRESSES"), int(settings.number("VIDEO_MAX_PIXELS"))
)


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Serves one file by the route's name."""
    headers = headers_of(event)
    if event["resource"] in HTML:
        return site.html(HTML[event["resource"]], headers)
    try:
        if event["resource"] == "/openapi.json":
            return site.contract()
        return site.file(event["pathParameters"]["version"], event["pathParameters"]["file"])
    except LikenessError as error:
        report(error)
        return problem(error)
