"""State CreateTask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task, reported

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import GenerationTaskEvent
    from likeness.steps.generations.task_action import TaskAction

create_task = bootstrap.create_task()


@observed(of_task)
def handler(event: GenerationTaskEvent, context: LambdaContext) -> TaskAction:
    """Creates a task at crun, once."""
    with reported():
        action = create_task(event["generation_id"], event["execution"])
    logger.info("task created", extra={"next": action["next"], "wait_seconds": action["wait_seconds"]})
    return action
