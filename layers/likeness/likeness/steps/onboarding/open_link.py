"""An H5 link for a session, by whichever route it was asked for.

Order of the effects: first the delayed link check (a message about nothing is harmless), then crun, then the caller's
write to the table, then the answer. Whatever dies in between, no link is out that we know nothing of.
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
    """Opens links. ``link_check_delay`` in seconds.

    ``admit(client_id)`` takes a permit for one call to crun; it raises RateLimited when there is none, or when this
    client opens links too fast.
    """

    crun: Crun
    queue: Queue
    keys: SigningKeys
    admit: Callable[[str], object]
    link_check_delay: int

    def __call__(self, session: Session, number: int, base_url: str, now: float) -> tuple[Attempt, str]:
        """The attempt to store, and the link, a secret. Raises UpstreamError."""
        self.admit(session.client_id)
        check = LinkCheck(session_id=session.id, attempt=number, correlation_id=session.correlation_id)
        self.queue.send(check.to_json(), delay_seconds=self.link_check_delay)
        signature = sign_callback(self.keys.current(), session.id, number)
        made = self.crun.create_validation(
            f"{base_url}/callback/{session.id}/{number}/{signature}", session.correlation_id
        )
        attempt = Attempt(
            number=number,
            status=AttemptStatus.OPEN,
            byted_token=made.byted_token,
            created_at=now,
            expires_at=now + LINK_LIFETIME_SECONDS,
        )
        return attempt, with_language(made.h5_link, session.language)
