"""POST /api/v1/client/job/asset-upload."""

from __future__ import annotations

from typing import Any

from likeness.contracts.drop_in_bodies import UploadRequest, read_body
from likeness.domain.caller import Caller
from likeness.runtime import bootstrap
from likeness.runtime.drop_in import respond
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import body_of

fetch_asset = bootstrap.fetch_asset()
client_keys = bootstrap.client_keys()


@observed(of_request)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An AssetId."""

    def work(caller: Caller) -> dict[str, Any]:
        asked = read_body(UploadRequest, body_of(event))
        # Who submits is this very run: another one, of the same request, could not tell whether it still does.
        return {"AssetId": fetch_asset(caller, **asked.model_dump(), owner=f"request-{context.aws_request_id}")}

    return respond(event, client_keys, work)
