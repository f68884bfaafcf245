"""Looking at a session again and again until it is as it should be, for a bounded time."""

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
    """The pauses between two looks: growing, short again after a change, a quarter more or less by chance."""

    first_seconds: float = 1.0
    factor: float = 1.5
    longest_seconds: float = 15.0

    def longer(self, pause: float) -> float:
        """The pause that follows ``pause``."""
        return min(pause * self.factor, self.longest_seconds)


def wait_until(
    look: Callable[[float], Session],
    is_done: Callable[[Session], bool],
    timeout: float,
    on_change: OnChange | None,
    poll: Poll,
) -> Session:
    """The session as soon as ``is_done`` says so. ``look`` gets the deadline, of time.monotonic.

    ``on_change`` gets the session when it is first seen, and whenever it differs from the last look. Errors that pass
    are waited out, as long as they ask to. Raises SessionEndedError, WaitTimeoutError, or what ``look`` raises.
    """
    deadline = time.monotonic() + timeout
    seen: Session | None = None
    pause = poll.first_seconds
    while True:
        trouble: LikenessError | None = None
        try:
            session = look(deadline)
        except LikenessError as error:
            if not error.is_passing:
                raise
            trouble = error
        else:
            if session != seen:
                seen, pause = session, poll.first_seconds
                if on_change:
                    on_change(session)
            if is_done(session):
                return session
            if session.is_ended:
                raise SessionEndedError(session)
        _sleep(pause, deadline, seen, trouble)
        pause = poll.longer(pause)


def _sleep(pause: float, deadline: float, seen: Session | None, trouble: LikenessError | None) -> None:
    """Waits, till the deadline at most; WaitTimeoutError when that has come, or comes before what the service asks."""
    left = deadline - time.monotonic()
    asked = (trouble and trouble.retry_after) or 0.0
    if left <= 0 or asked > left:
        raise WaitTimeoutError(seen) from trouble
    # Chance against crowds, not against attackers.
    time.sleep(min(max(asked, pause * random.uniform(0.75, 1.25)), left))  # noqa: S311
