"""By the clock."""

from __future__ import annotations

from typing import Any

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_schedule

check_credits = bootstrap.check_credits()


@observed(of_schedule)
def handler(event: dict[str, Any], context: Any) -> Any:
    """The schedule: the credits left at crun become a metric."""
    done = check_credits()
    logger.info("credits", extra=done)
    return done
