"""GET /callback/{session_id}/{attempt}/{signature}: the person's browser returns from the H5 page.

The browser's parameters are never proof. An authentic URL with ``resultCode=10000`` leads to a look-up of the result on
the server side. Any other result only decides which page the person sees.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from likeness.contracts.messages import PassReported
from likeness.domain.drop_in import callback_location
from likeness.domain.ids import SESSION_ID
from likeness.domain.links import CallbackResult, read_callback, return_location
from likeness.domain.session import Session, SessionStatus, failure
from likeness.domain.signing import callback_is_authentic
from likeness.errors import ConditionFailed, NotFound
from likeness.ports.onboarding import SessionStore
from likeness.ports.system import Clock, Queue, SigningKeys


@dataclass(frozen=True, slots=True)
class ReceiveCallback:
    """Stores the reported result and returns where to redirect the browser."""

    store: SessionStore
    queue: Queue
    keys: SigningKeys
    clock: Clock

    def __call__(
        self, session_id: str, attempt: str, signature: str, parameters: dict[str, list[str]], base_url: str
    ) -> str:
        """Returns the URL to redirect to. Raises NotFound, always with the same message, for any forged URL."""
        number = int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 4 else 0
        if not SESSION_ID.fullmatch(session_id) or not (
            callback_is_authentic(self.keys.current(), session_id, number, signature)
            or callback_is_authentic(self.keys.fresh(), session_id, number, signature)
        ):
            raise NotFound("This link is not valid")
        result = read_callback(parameters)
        session = None
        if result.passed:
            session = self._passed(session_id, number, str(result.result_code))
        elif result.result_code is not None:
            self._failed(
                session_id, number, result.result_code, "attempt_canceled" if result.stopped else "attempt_failed"
            )
        session = session or self.store.get_session(session_id)
        if session is None:
            raise NotFound("This link is not valid")
        return self._location(session, result, base_url)

    def _passed(self, session_id: str, number: int, code: str) -> Session | None:
        try:
            session = self.store.record_pass(session_id, number, code, self.clock.now())
        except ConditionFailed:
            return None
        # A repeated callback sends the message again: the first one may be lost, and the consumer is idempotent.
        passed = PassReported(session_id=session_id, attempt=number, correlation_id=session.correlation_id)
        self.queue.send(passed.to_json())
        return session

    def _failed(self, session_id: str, number: int, code: str, why: str) -> None:
        # an older attempt, a repeated callback after a pass, or a session that has changed since
        with suppress(ConditionFailed):
            self.store.record_failed_attempt(
                session_id,
                number,
                code,
                failure(why, upstream_code=code),
                self.clock.now(),
            )

    def _location(self, session: Session, result: CallbackResult, base_url: str) -> str:
        if session.drop_in:
            return callback_location(session.drop_in, result.reported)
        if session.return_url and session.status is not SessionStatus.REDACTED:
            return return_location(session.return_url, session.id, session.status.value)
        return f"{base_url}/invite?status={session.status.value}"
