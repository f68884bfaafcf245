"""State SubmitAsset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task, reported

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import SubmitAssetEvent
    from likeness.steps.files.submit_asset import Submission

submit_asset = bootstrap.submit_asset()


@observed(of_task)
def handler(event: SubmitAssetEvent, context: LambdaContext) -> Submission:
    """Submits an asset to crun."""
    with reported():
        done = submit_asset(event["session_id"], event["asset_id"], event["execution"])
    logger.info("asset submitted", extra=done)
    return done
