"""State SubmitAsset."""

from __future__ import annotations

from typing import Any

from likeness.errors import LikenessError
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, report

submit_asset = bootstrap.submit_asset()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """Submits one asset."""
    logger.append_keys(session_id=event["session_id"], asset_id=event["asset_id"], execution=event["execution"])
    try:
        return submit_asset(event["session_id"], event["asset_id"])
    except LikenessError as error:
        report(error)
        raise
