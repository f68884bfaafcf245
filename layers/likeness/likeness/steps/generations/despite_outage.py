"""Repeats what has to be known or stored around a call that cannot be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from likeness.errors import StorageUnavailable

Answer = TypeVar("Answer")

#: The pauses between the three tries, in seconds.
_PAUSES = (0.2, 1.0)


def despite_outage(work: Callable[[], Answer], sleep: Callable[[float], None]) -> Answer:
    """Returns what ``work`` returns. Raises StorageUnavailable after the third try, and what else ``work`` raises."""
    for pause in _PAUSES:
        try:
            return work()
        except StorageUnavailable:
            sleep(pause)
    return work()
