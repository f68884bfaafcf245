"""POST /sessions/{id}/consent/withdraw and PUT …/consent_terms: ends a consent, or asks for another one.

The withdrawal is stored first. From then on the condition of every intent fails, so what is read afterwards is all that
crun had been sent before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.views import consents_view
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.session import AttemptStatus, Session
from likeness.domain.terms import TermsPolicy, Withdrawal, renewed_terms
from likeness.errors import ConditionFailed, Conflict
from likeness.ports.generations import GenerationStore
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.generations.list_in_flight import list_in_flight
from likeness.steps.onboarding.get_session import own_session

if TYPE_CHECKING:
    from likeness.contracts.consent import Terms

_CHANGED = "The session was changed at the same time"
_AT_CRUN = frozenset({AssetStatus.SUBMITTING, AssetStatus.PROCESSING})
_SINCE = frozenset({AssetStatus.ACTIVE, AssetStatus.FAILED})


@dataclass(frozen=True, slots=True)
class WithdrawConsent:
    """Withdraws consents and changes the terms that are asked for."""

    store: Store
    clock: Clock
    terms: TermsPolicy
    generations: GenerationStore

    def __call__(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """Returns what the session shows of its consent, with what is in flight. Repeating it changes nothing.

        Raises NotFound, and Conflict for a session that is canceled or erased. A person needs no valid client key.
        """
        session = own_session(self.store, caller, session_id, by_receipt=True)
        if _is_open_to(caller, session):
            _require_open(session)
            known = session.withdrawal.in_flight if session.withdrawal else None
            try:
                made = Withdrawal(self.clock.now(), caller.source, caller.credential, known)
                self.store.withdraw_consent(session, made)
            except ConditionFailed:
                session = own_session(self.store, caller, session_id, by_receipt=True)
                if _is_open_to(caller, session):
                    _require_open(session)
                    raise Conflict(_CHANGED, retry_after=1) from None
            else:
                session = own_session(self.store, caller, session_id, by_receipt=True)
        if session.withdrawal is None or session.withdrawal.in_flight is None:
            session = self._listed(caller, session_id)
        return consents_view(session, self.clock.now())

    def _listed(self, caller: Caller, session_id: str) -> Session:
        session, assets = self.store.load(session_id)
        session = caller.own(session, by_receipt=True)
        if session.withdrawal is None:
            raise Conflict(_CHANGED, retry_after=1)
        at = session.withdrawal.at
        videos = [f"generation:{each}" for each in list_in_flight(self.generations, session.id, at)]
        try:
            return self.store.record_in_flight(
                session.id, session.withdrawal, [*_in_flight(session, assets, at), *videos]
            )
        except ConditionFailed:
            raise Conflict(_CHANGED, retry_after=1) from None

    def ask(self, caller: Caller, session_id: str, body: Terms) -> dict[str, Any]:
        """Replaces the terms that the person is asked for. The consent that was given holds until there is another.

        Returns what the session shows of its consent. Raises NotFound, Forbidden for a person, InvalidRequest, and
        Conflict for a session that is canceled or erased.
        """
        from likeness.contracts.consent import asked_terms  # a withdrawal has no body, so it does not load Pydantic

        session = own_session(self.store, caller, session_id)
        caller.require_client()
        _require_open(session)
        now = self.clock.now()
        terms = asked_terms(self.terms, body, now)
        agreed = session.consent is not None and not session.has_new_terms
        # A body that names nothing, without defaults of the operator, changes nothing.
        renewed = renewed_terms(terms, session.consent_terms, is_agreed=agreed) if terms else None
        if renewed:
            try:
                session = self.store.set_consent_terms(session, renewed)
            except ConditionFailed:
                raise Conflict(_CHANGED, retry_after=1) from None
        return consents_view(session, now)


def _is_open_to(caller: Caller, session: Session) -> bool:
    """Whether a withdrawal by the caller changes something. A person's replaces one of the client, and is final."""
    before = session.withdrawal
    return before is None or (caller.source == "person" and before.source == "client" and session.accepts_uploads)


def _require_open(session: Session) -> None:
    if not session.accepts_uploads:
        raise Conflict(f"The session is {session.status.value} and has no consent")


def _in_flight(session: Session, assets: Sequence[Asset], at: float) -> list[str]:
    """What had been sent to crun without an outcome at the time of the withdrawal (epoch seconds)."""
    attempts = [
        f"attempt:{number}"
        for number, each in session.attempts.items()
        if (session.verified_at is None and each.status in (AttemptStatus.OPEN, AttemptStatus.PASSED))
        or (each.status is AttemptStatus.VERIFIED and session.verified_at is not None and session.verified_at >= at)
        or (each.answered_at is not None and each.answered_at >= at)
    ]
    files = [
        f"asset:{each.id}"
        for each in assets
        if each.status in _AT_CRUN
        # Its outcome arrived between the withdrawal and this read.
        or (each.status in _SINCE and each.submitted_at is not None and each.updated_at >= at)
    ]
    return attempts + files
