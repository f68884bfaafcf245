"""POST /api/v1/client/job/visual-validate-session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.contracts.drop_in import visual_validate_session
from likeness.contracts.drop_in_bodies import ValidationRequest, read_body
from likeness.domain.caller import Caller
from likeness.runtime import bootstrap, settings
from likeness.runtime.drop_in import respond
from likeness.runtime.logging import logger, observed, of_request
from likeness.runtime.request import base_url, body_of, correlation_id_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

open_validation = bootstrap.open_validation()
client_keys = bootstrap.client_keys()
public_base_url = settings.text("PUBLIC_BASE_URL", may_be_empty=True)


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """A byted token of ours, and crun's link."""

    def work(caller: Caller) -> dict[str, Any]:
        asked = read_body(ValidationRequest, body_of(event))
        correlation_id = correlation_id_of(event)
        opened = open_validation(caller, asked.callback_url, base_url(event, public_base_url), correlation_id)
        # The beginning of the session's story in the logs.
        logger.append_keys(session_id=opened.session_id, correlation_id=correlation_id)
        logger.info("session created")
        return visual_validate_session(opened.byted_token, opened.h5_link, asked.callback_url)

    return respond(event, client_keys, work)
