"""State PollAssets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import PollAssetsEvent
    from likeness.steps.files.next_action import NextAction

poll_assets = bootstrap.poll_assets()


@observed(of_task)
def handler(event: PollAssetsEvent, context: LambdaContext) -> NextAction:
    """Polls crun for the session's assets."""
    # The state passes the whole plan: a path to a field would fail in executions of versions that lack the field.
    asked_at = event.get("plan", {}).get("asked_at")
    started = event.get("started_at")  # executions of another version may lack it
    plan = poll_assets(
        event["session_id"],
        event["execution"],
        event["round"],
        asked_at,
        started_at=datetime.fromisoformat(started).timestamp() if started else None,
    )
    logger.info("assets polled", extra={"next": plan["next"], "wait_seconds": plan["wait_seconds"]})
    return plan
