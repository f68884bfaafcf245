"""By the clock."""

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
    """The schedule: an export is begun, or goes on where the last run stopped."""
    # The last page and the last part of a run fit into the minute that is left.
    done = export_inventory(deadline(context, reserve=60), deadline(context) + 60)
    logger.info("inventory", extra=done)
    return done
