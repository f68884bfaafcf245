"""State ClaimAssets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ClaimAssetsEvent
    from likeness.steps.files.next_action import NextAction

claim_assets = bootstrap.claim_assets()


@observed(of_task)
def handler(event: ClaimAssetsEvent, context: LambdaContext) -> NextAction:
    """Claims the session's open work."""
    plan = claim_assets(
        event["session_id"],
        event["execution"],
        takes_over=event.get("takes_over") or None,
        # Executions that take over, and those of earlier versions, have no look-up result.
        group_id=(event.get("lookup") or {}).get("group_id"),
    )
    logger.info("assets claimed", extra={"next": plan["next"], "assets": len(plan["asset_ids"])})
    return plan
