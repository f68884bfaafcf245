"""By the clock."""

from __future__ import annotations

from typing import Any

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger

check_credits = bootstrap.check_credits()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """The schedule: the credits left at crun become a metric."""
    done = check_credits()
    logger.info("credits", extra=done)
    return done
