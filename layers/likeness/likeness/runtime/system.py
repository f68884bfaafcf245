"""The system clock, and the remaining time of an invocation."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class SystemClock:
    """The port ``Clock``."""

    def now(self) -> float:
        """See the port. Whole milliseconds, so that stored times equal those in responses."""
        return round(time.time(), 3)

    def entropy(self) -> bytes:
        """See the port."""
        return secrets.token_bytes(10)


def deadline(context: LambdaContext, reserve: float = 0) -> float:
    """The end of the invocation minus ``reserve`` seconds for pending work, in epoch seconds."""
    return time.time() + max(0, context.get_remaining_time_in_millis() / 1000 - reserve)
