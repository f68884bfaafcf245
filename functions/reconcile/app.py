"""Scheduled: restart stalled work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_schedule
from likeness.runtime.system import deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ScheduleEvent
    from likeness.steps.upkeep.reconcile import Reconciled

reconcile = bootstrap.reconcile()


@observed(of_schedule)
def handler(event: ScheduleEvent, context: LambdaContext) -> Reconciled:
    """Restarts work that is due and makes no progress."""
    # The reserved half minute is enough for the last session of a run, with the largest file to check.
    done = reconcile(deadline(context, reserve=30))
    logger.info("reconciled", extra=done)
    return done
