"""State PollTask."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import PollTaskEvent
    from likeness.steps.generations.task_action import TaskAction

poll_task = bootstrap.poll_task()


@observed(of_task)
def handler(event: PollTaskEvent, context: LambdaContext) -> TaskAction:
    """Asks crun for a task."""
    before, started = event["task"], event.get("started_at")
    action = poll_task(
        event["generation_id"],
        before.get("round", 0),
        task_id=before.get("task_id"),
        asked_at=before.get("asked_at"),
        started_at=datetime.fromisoformat(started).timestamp() if started else None,
    )
    logger.info("task polled", extra={"next": action["next"], "wait_seconds": action["wait_seconds"]})
    return action
