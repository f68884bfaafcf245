"""Polls a session or a generation until a condition holds, for a limited time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from likeness_client.errors import GenerationEndedError, LikenessError, SessionEndedError, WaitTimeoutError
from likeness_client.models import Generation, Session

OnChange = Callable[[Session], object]
OnGenerationChange = Callable[[Generation], object]
Polled = TypeVar("Polled", Session, Generation)


@dataclass(frozen=True)
class Poll:
    """The pauses between polls: they grow, start again after a change, and vary by a quarter at random."""

    first_seconds: float = 1.0
    factor: float = 1.5
    longest_seconds: float = 15.0

    def longer(self, pause: float) -> float:
        """Returns the pause that follows ``pause``."""
        return min(pause * self.factor, self.longest_seconds)


def wait_until(
    poll_once: Callable[[float], Polled],
    is_done: Callable[[Polled], bool],
    timeout: float,
    on_change: Callable[[Polled], object] | None,
    poll: Poll,
) -> Polled:
    """Returns what is polled when ``is_done`` returns True. ``poll_once`` receives the deadline, of time.monotonic.

    ``on_change`` receives it at first, and whenever it differs from the last poll. After a transient error the wait
    continues, after its Retry-After. Raises SessionEndedError or GenerationEndedError, WaitTimeoutError, or an error of
    ``poll_once``.
    """
    deadline = time.monotonic() + timeout
    seen: Polled | None = None
    pause = poll.first_seconds
    while True:
        failure: LikenessError | None = None
        try:
            found = poll_once(deadline)
        except LikenessError as error:
            if not error.is_passing:
                raise
            failure = error
        else:
            if found != seen:
                seen, pause = found, poll.first_seconds
                if on_change:
                    on_change(found)
            if is_done(found):
                return found
            if found.is_ended:
                raise _ended(found)
        _sleep(pause, deadline, seen, failure)
        pause = poll.longer(pause)


def _ended(last: Session | Generation) -> LikenessError:
    return SessionEndedError(last) if isinstance(last, Session) else GenerationEndedError(last)


def _timed_out(last: Session | Generation | None) -> WaitTimeoutError:
    return WaitTimeoutError(generation=last) if isinstance(last, Generation) else WaitTimeoutError(last)


def _sleep(pause: float, deadline: float, seen: Session | Generation | None, failure: LikenessError | None) -> None:
    """Waits, at most until the deadline. Raises WaitTimeoutError at the deadline, or when Retry-After exceeds it."""
    left = deadline - time.monotonic()
    asked = (failure and failure.retry_after) or 0.0
    if left <= 0 or asked > left:
        raise _timed_out(seen) from failure
    # Jitter needs no secure random numbers.
    time.sleep(min(max(asked, pause * random.uniform(0.75, 1.25)), left))  # noqa: S311
