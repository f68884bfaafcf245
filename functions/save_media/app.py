"""State SaveMedia."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task, reported

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import SaveMediaEvent
    from likeness.steps.generations.task_action import TaskAction

save_media = bootstrap.save_media()


@observed(of_task)
def handler(event: SaveMediaEvent, context: LambdaContext) -> TaskAction:
    """Saves the media of a task that has succeeded."""
    with reported():
        action = save_media(event["generation_id"], event["task"].get("round", 0))
    logger.info("media saved", extra={"next": action["next"]})
    return action
