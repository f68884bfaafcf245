"""GET /api/v1/client/job/visual-validate-result and …/asset-info, and 404 for unknown routes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.contracts.drop_in import asset_info, visual_validate_result
from likeness.domain.caller import Caller
from likeness.errors import NotFound
from likeness.runtime import bootstrap
from likeness.runtime.drop_in import JOB, respond
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import required_query_parameter

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

get_result = bootstrap.get_result()
client_keys = bootstrap.client_keys()


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Returns a GroupId, or an asset."""

    def work(caller: Caller) -> dict[str, Any]:
        if event["resource"] == f"{JOB}visual-validate-result":
            return visual_validate_result(get_result.group(caller, required_query_parameter(event, "byted_token")))
        if event["resource"] == f"{JOB}asset-info":
            return asset_info(get_result.asset(caller, required_query_parameter(event, "asset_id")))
        raise NotFound("endpoint not found")

    return respond(event, client_keys, work)
