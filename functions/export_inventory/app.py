"""Scheduled: export the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_schedule
from likeness.runtime.system import deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ScheduleEvent

export_inventory = bootstrap.export_inventory()


@observed(of_schedule)
def handler(event: ScheduleEvent, context: LambdaContext) -> dict[str, str | int]:
    """Starts an export, or continues the last one where the previous run stopped."""
    # The reserved minute is enough for the last page and the last part of a run.
    done = export_inventory(deadline(context, reserve=60), deadline(context) + 60)
    logger.info("inventory", extra=done)
    return done
