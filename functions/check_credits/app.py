"""Scheduled: check credits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_schedule

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ScheduleEvent
    from likeness.steps.upkeep.check_credits import Checked

check_credits = bootstrap.check_credits()


@observed(of_schedule)
def handler(event: ScheduleEvent, context: LambdaContext) -> Checked:
    """Records the credits left at crun as a metric."""
    done = check_credits()
    logger.info("credits", extra=done)
    return done
