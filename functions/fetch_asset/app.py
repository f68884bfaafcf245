"""POST /api/v1/client/job/asset-upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.contracts.drop_in import asset_upload
from likeness.contracts.drop_in_bodies import UploadRequest, read_body
from likeness.domain.caller import Caller
from likeness.runtime import bootstrap
from likeness.runtime.drop_in import respond
from likeness.runtime.logging import logger, observed, of_request
from likeness.runtime.request import body_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

fetch_asset = bootstrap.fetch_asset()
client_keys = bootstrap.client_keys()


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Downloads a file and returns its AssetId."""

    def work(caller: Caller) -> dict[str, Any]:
        asked = read_body(UploadRequest, body_of(event))
        name, url, group_id = asked.name, asked.asset_url, asked.group_id
        submitter = f"request-{context.aws_request_id}"
        asset = fetch_asset(
            caller, name=name, asset_type=asked.asset_type, asset_url=url, group_id=group_id, submitter=submitter
        )
        ids = {"session_id": asset.session_id, "asset_id": asset.id}
        logger.info("asset fetched", extra=ids | {"status": asset.status, "code": asset.error and asset.error.code})
        return asset_upload(asset)

    return respond(event, client_keys, work)
