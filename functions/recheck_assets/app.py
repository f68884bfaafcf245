"""Scheduled: check active assets at crun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_schedule
from likeness.runtime.system import deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ScheduleEvent
    from likeness.steps.upkeep.recheck_assets import Rechecked

recheck_assets = bootstrap.recheck_assets()


@observed(of_schedule)
def handler(event: ScheduleEvent, context: LambdaContext) -> Rechecked:
    """Checks some of the active assets at crun."""
    # The reserved minute is enough for the last request of a run and its pause.
    done = recheck_assets(deadline(context, reserve=60))
    logger.info("assets rechecked", extra=done)
    return done
