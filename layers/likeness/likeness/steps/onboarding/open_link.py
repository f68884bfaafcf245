"""Creates an H5 link for a session, for every route that returns one.

The order of effects: the delayed link check (harmless if nothing follows), the call to crun, the caller's write to the
table, the response. A failure in between never leaves a link in use that is not stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from likeness.contracts.messages import LinkCheck
from likeness.domain.links import with_language
from likeness.domain.session import LINK_LIFETIME_SECONDS, Attempt, AttemptStatus, Session
from likeness.domain.signing import sign_callback
from likeness.ports.crun import Crun
from likeness.ports.system import Queue, SigningKeys


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Creates links. ``link_check_delay`` is in seconds.

    ``admit(client_id)`` acquires a permit for one call to crun. It raises RateLimited when none is available, or when
    this client creates links too fast.
    """

    crun: Crun
    queue: Queue
    keys: SigningKeys
    admit: Callable[[str], object]
    link_check_delay: int

    def __call__(self, session: Session, number: int, base_url: str, now: float) -> tuple[Attempt, str]:
        """Returns the attempt to store, and the link, which is a secret. Raises UpstreamError."""
        self.admit(session.client_id)
        check = LinkCheck(session_id=session.id, attempt=number, correlation_id=session.correlation_id)
        self.queue.send(check.to_json(), delay_seconds=self.link_check_delay)
        signature = sign_callback(self.keys.current(), session.id, number)
        validation = self.crun.create_validation(
            f"{base_url}/callback/{session.id}/{number}/{signature}", session.correlation_id
        )
        attempt = Attempt(
            number=number,
            status=AttemptStatus.OPEN,
            byted_token=validation.byted_token,
            created_at=now,
            expires_at=now + LINK_LIFETIME_SECONDS,
        )
        return attempt, with_language(validation.h5_link, session.language)
