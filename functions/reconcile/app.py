"""By the clock."""

from __future__ import annotations

import time
from typing import Any

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_schedule

reconcile = bootstrap.reconcile()


@observed(of_schedule)
def handler(event: dict[str, Any], context: Any) -> Any:
    """The schedule: what is due and does not move is set going."""
    left = context.get_remaining_time_in_millis() / 1000
    # The last session of a run, with the largest file to check, fits into the half minute that is left.
    done = reconcile(time.time() + max(0, left - 30))
    logger.info("reconciled", extra=done)
    return done
