"""GET /invite, /console, /docs, /openapi.json and what they load, and POST /qr-codes for the links that they show.

Any other path is answered here too: whoever opens a damaged link in a browser gets a page.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from likeness.errors import LikenessError, NotFound
from likeness.runtime import settings
from likeness.runtime.logging import observed, of_request, report
from likeness.runtime.pages import error_page, page, redirect
from likeness.runtime.problems import problem
from likeness.runtime.request import body_of, caller_of, headers_of, request_id_of
from likeness.runtime.site import Site
from likeness.steps.draw_qr_code import draw_qr_code

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
    """Answers by the name of the route."""
    headers = headers_of(event)
    try:
        return _served(event["resource"], event, headers)
    except LikenessError as error:
        report(error)
        if "text/html" in headers.get("accept", "").lower():
            return error_page(error.status)
        return problem(error, request_id_of(event) if error.status == 500 else None)


def _served(resource: str, event: ApiEvent, headers: dict[str, str]) -> dict[str, Any]:
    path = event.get("pathParameters") or {}
    if resource == "/{path+}":
        wanted = unquote(path["path"])
        # A chat that encodes the "#" of an invite link makes its token a part of the path: the page reads it there.
        if not wanted.startswith("invite#") or "/" in wanted:
            raise NotFound("There is no such route")
        return site.html(HTML["/invite"], headers)
    if resource in HTML:
        # What a page loads is addressed from beside it. The browser takes the fragment along.
        return redirect(f"..{resource}") if event["path"].endswith("/") else site.html(HTML[resource], headers)
    if resource == "/openapi.json":
        return site.contract()
    if resource == "/qr-codes":
        return page("qr-code.svg", body=draw_qr_code(caller_of(event), headers.get("x-api-key", ""), body_of(event)))
    return site.file(path["version"], path["file"])
