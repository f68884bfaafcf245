"""POST /api/v1/client/job/visual-validate-session: creates a session and its first attempt, like crun's route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likeness.domain.caller import Caller
from likeness.domain.drop_in import new_issued_token, why_not_call_back
from likeness.domain.ids import session_id
from likeness.domain.session import DropIn, Language, Session, SessionStatus
from likeness.errors import InvalidRequest
from likeness.steps.crun_routes.retry_policy import RetryPolicy
from likeness.steps.onboarding.open_link import OpenLink

if TYPE_CHECKING:
    from likeness.ports.onboarding import SessionStore
    from likeness.ports.system import Clock

#: When the last call to crun may start. Even the slowest call then ends within API Gateway's 29 s.
_TRIES_SECONDS = 11.0


@dataclass(frozen=True, slots=True)
class Opened:
    """An open validation. ``issued_token`` and crun's ``h5_link`` are secrets."""

    session_id: str
    issued_token: str
    h5_link: str


@dataclass(frozen=True, slots=True)
class OpenValidation:
    """Opens validations. ``created(session_id, correlation_id)`` reports each new session."""

    store: SessionStore
    links: OpenLink
    retry: RetryPolicy
    clock: Clock
    created: Callable[[str, str | None], None] = lambda *_: None

    def __call__(self, caller: Caller, callback_url: str, base_url: str, correlation_id: str | None = None) -> Opened:
        """Creates a session with an open attempt.

        Raises InvalidRequest, and UpstreamError when crun refuses, or defers for longer than a caller can wait.
        """
        if why_not := why_not_call_back(callback_url, caller.return_origins):
            raise InvalidRequest(f"callback_url: {why_not}", field="callback_url")
        now = self.clock.now()
        new_id = session_id(int(now * 1000), self.clock.entropy())
        drop_in = DropIn(callback_url, new_issued_token(new_id, self.clock.entropy() + self.clock.entropy()))
        session = Session(
            id=new_id,
            client_id=caller.client_id,
            status=SessionStatus.REQUIRES_INPUT,
            language=Language.ZH,  # crun's own default
            created_at=now,
            updated_at=now,
            correlation_id=correlation_id,
            drop_in=drop_in,
        )
        # A repeated call may create a second link, which is harmless because nobody sees it.
        attempt, h5_link = self.retry(
            lambda: self.links(session, 1, base_url, self.clock.now()), now + _TRIES_SECONDS, ambiguous=True
        )
        self.store.create_session(session.attempted(attempt, now), [])
        self.created(new_id, correlation_id)
        return Opened(new_id, drop_in.issued_token, h5_link)
