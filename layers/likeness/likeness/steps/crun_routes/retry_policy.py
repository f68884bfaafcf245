"""Retries calls that crun defers while a caller waits for the response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from likeness.errors import UpstreamAmbiguous, UpstreamDeferred, UpstreamError

if TYPE_CHECKING:
    from likeness.ports.system import Clock

Found = TypeVar("Found")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 4.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries with exponential backoff and full jitter. ``draw()`` returns a random number from 0 to 1."""

    clock: Clock
    sleep: Callable[[float], None]
    draw: Callable[[], float]

    def __call__(self, work: Callable[[], Found], until: float, *, ambiguous: bool = False) -> Found:
        """Returns what ``work`` returns. Starts no call after ``until`` (epoch seconds) and raises the last error.

        A pause is at least as long as crun asks for. ``ambiguous``: calls that may have succeeded are repeated too.
        """
        retryable = (UpstreamDeferred, UpstreamAmbiguous) if ambiguous else (UpstreamDeferred,)
        longest = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return work()
            except UpstreamError as problem:
                pause = max(longest * self.draw(), problem.asked_to_wait or 0)
                if not isinstance(problem, retryable) or self.clock.now() + pause > until:
                    raise
            self.sleep(pause)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)
