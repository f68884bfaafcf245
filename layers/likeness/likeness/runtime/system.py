"""The real clock."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """The port ``Clock``."""

    def now(self) -> float:
        """See the port. Whole milliseconds: what is stored is what was answered."""
        return round(time.time(), 3)

    def entropy(self) -> bytes:
        """See the port."""
        return secrets.token_bytes(10)
