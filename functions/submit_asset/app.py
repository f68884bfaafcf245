"""State SubmitAsset."""

from __future__ import annotations

from typing import Any

from likeness.errors import LikenessError
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task, report

submit_asset = bootstrap.submit_asset()


@observed(of_task)
def handler(event: dict[str, Any], context: Any) -> Any:
    """Submits one asset."""
    try:
        done = submit_asset(event["session_id"], event["asset_id"], event["execution"])
    except LikenessError as error:
        report(error)
        raise
    logger.info("asset submitted", extra=done)
    return done
