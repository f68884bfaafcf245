"""GET /invite, /console, /docs, /openapi.json and their files, and POST /qr-codes for the links that they show.

Unknown paths are also routed here, so that a damaged link in a browser leads to a page.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from likeness.runtime.logging import observed, of_request
from likeness.runtime.operator_info import operator_info
from likeness.runtime.pages import page, respond
from likeness.runtime.request import body_of, caller_of, headers_of
from likeness.runtime.settings import number, text
from likeness.runtime.site import Site
from likeness.steps.onboarding.draw_qr_code import draw_qr_code

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

# With another AWS endpoint (an emulator, a VPC endpoint), forms upload to it too.
upload_addresses = os.environ.get("AWS_ENDPOINT_URL") or text("UPLOAD_ADDRESSES")
operator = operator_info(text("OPERATOR_NAME", may_be_empty=True), text("OPERATOR_CONTACT", may_be_empty=True))
site = Site(upload_addresses, int(number("VIDEO_MAX_PIXELS")), operator, text("FACE_CHECK_SIGN_IN"))


def _qr_code(event: ApiEvent) -> dict[str, Any]:
    drawn = draw_qr_code(caller_of(event), headers_of(event).get("x-api-key", ""), body_of(event))
    return page("qr-code.svg", body=drawn)


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Returns a QR code, a page or a file."""
    answer = _qr_code if event["resource"] == "/qr-codes" else site.answer
    return respond(event, lambda: answer(event), operator)
