"""Retries what crun has deferred while a caller waits for the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from likeness.errors import UpstreamAmbiguous, UpstreamDeferred, UpstreamError
from likeness.ports.system import Clock

Found = TypeVar("Found")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 4.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Tries again with back-off and full jitter; ``draw()`` gives a number from 0 to 1."""

    clock: Clock
    sleep: Callable[[float], None]
    draw: Callable[[], float]

    def __call__(self, work: Callable[[], Found], until: float, *, ambiguous: bool = False) -> Found:
        """What ``work`` gives. No try begins after ``until`` (epoch seconds): then the last error stands.

        A pause is as long as crun has asked for, at least. ``ambiguous``: what may have happened may happen twice.
        """
        again = (UpstreamDeferred, UpstreamAmbiguous) if ambiguous else (UpstreamDeferred,)
        most = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return work()
            except UpstreamError as problem:
                pause = max(most * self.draw(), problem.asked_to_wait or 0)
                if not isinstance(problem, again) or self.clock.now() + pause > until:
                    raise
            self.sleep(pause)
            most = min(2 * most, _LONGEST_PAUSE_SECONDS)
