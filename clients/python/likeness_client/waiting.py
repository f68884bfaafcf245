"""Polls a session until a condition holds, for a limited time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from likeness_client.errors import LikenessError, SessionEndedError, WaitTimeoutError
from likeness_client.models import Session

OnChange = Callable[[Session], object]


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
    poll_once: Callable[[float], Session],
    is_done: Callable[[Session], bool],
    timeout: float,
    on_change: OnChange | None,
    poll: Poll,
) -> Session:
    """Returns the session when ``is_done`` returns True. ``poll_once`` receives the deadline, of time.monotonic.

    ``on_change`` receives the session at first, and whenever it differs from the last poll. After a transient error the
    wait continues, after its Retry-After. Raises SessionEndedError, WaitTimeoutError, or an error of ``poll_once``.
    """
    deadline = time.monotonic() + timeout
    seen: Session | None = None
    pause = poll.first_seconds
    while True:
        failure: LikenessError | None = None
        try:
            session = poll_once(deadline)
        except LikenessError as error:
            if not error.is_passing:
                raise
            failure = error
        else:
            if session != seen:
                seen, pause = session, poll.first_seconds
                if on_change:
                    on_change(session)
            if is_done(session):
                return session
            if session.is_ended:
                raise SessionEndedError(session)
        _sleep(pause, deadline, seen, failure)
        pause = poll.longer(pause)


def _sleep(pause: float, deadline: float, seen: Session | None, failure: LikenessError | None) -> None:
    """Waits, at most until the deadline. Raises WaitTimeoutError at the deadline, or when Retry-After exceeds it."""
    left = deadline - time.monotonic()
    asked = (failure and failure.retry_after) or 0.0
    if left <= 0 or asked > left:
        raise WaitTimeoutError(seen) from failure
    # Jitter needs no secure random numbers.
    time.sleep(min(max(asked, pause * random.uniform(0.75, 1.25)), left))  # noqa: S311
