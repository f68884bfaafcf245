"""POST /api/v1/client/job/visual-validate-session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.contracts.drop_in import visual_validate_session
from likeness.contracts.drop_in_bodies import ValidationRequest, read_body
from likeness.domain.caller import Caller
from likeness.runtime import bootstrap
from likeness.runtime.drop_in import respond
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import body_of, correlation_id_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

open_validation = bootstrap.open_validation()
client_keys = bootstrap.client_keys()
base_url = bootstrap.base_url()


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Creates a face check; returns an issued token and crun's link."""

    def work(caller: Caller) -> dict[str, Any]:
        asked = read_body(ValidationRequest, body_of(event))
        opened = open_validation(caller, asked.callback_url, base_url(event), correlation_id_of(event))
        return visual_validate_session(opened.issued_token, opened.h5_link, asked.callback_url)

    return respond(event, client_keys, work)
