"""Records a person's consent in an append-only ledger: the text, its language and the time; or that they declined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from likeness.contracts.consent import ConsentAgreed
from likeness.contracts.messages import AssetsReady
from likeness.contracts.views import consent_declined_view, consent_text_view, consent_view
from likeness.domain.caller import Caller
from likeness.domain.session import Consent, Language, Session
from likeness.domain.terms import ConsentStatus, ConsentTerms, TermsPolicy
from likeness.domain.times import iso
from likeness.errors import ConditionFailed, Conflict, Forbidden, InvalidRequest
from likeness.ports.onboarding import ConsentTexts, SessionStore
from likeness.ports.system import Clock, Queue
from likeness.steps.onboarding.get_session import own_session


@dataclass(frozen=True, slots=True)
class RecordConsent:
    """Returns the consent text and records consent. ``has_key(client_id)`` returns whether a client has a valid key."""

    store: SessionStore
    texts: ConsentTexts
    clock: Clock
    queue: Queue
    has_key: Callable[[str], bool] = lambda _: True
    terms: TermsPolicy = TermsPolicy()  # noqa: RUF009 - it is frozen

    def text(self, language: str | None, terms: ConsentTerms | None = None) -> dict[str, Any]:
        """Returns the current text in ``language`` (default: zh), with sentences that name ``terms``.

        Raises InvalidRequest for an unknown language or purpose.
        """
        if language is not None and language not in list(Language):
            raise InvalidRequest(f"language: must be one of {', '.join(Language)}", field="language")
        if terms is not None:
            self.terms.require_known(terms.purposes, "purposes")
        return consent_text_view(self.texts.current(Language(language or Language.ZH), terms))

    def __call__(self, caller: Caller, session_id: str, body: ConsentAgreed) -> tuple[dict[str, Any], bool]:
        """Returns the consent's view, and whether it is new: agreeing to the same text again changes nothing.

        Raises NotFound, and Conflict when text and terms are not the current ones, so that nobody agrees to what is
        not asked for anymore; ``consent_expired`` when the terms have ended; ``consent_withdrawn`` for a client after
        the person's withdrawal.
        """
        session = own_session(self.store, caller, session_id)
        caller.require_living_client(self.has_key)
        if not session.accepts_uploads:
            raise Conflict(f"The session is {session.status.value} and does not accept consent")
        if session.withdrawal and session.withdrawal.source == "person" and not caller.is_person:
            raise Conflict("The person has withdrawn the consent and only the person can give another one",
                           code="consent_withdrawn")  # fmt: skip
        terms, now = session.consent_terms, self.clock.now()
        text = self.texts.current(Language(body.language), terms)
        if (body.text_version, body.sha256) != (text.version, text.sha256):
            raise Conflict("The consent text or its terms have changed; get the current text",
                           code="consent_text_changed")  # fmt: skip
        given = session.consent_status(now) is ConsentStatus.GIVEN
        if given and session.consent and session.consent.sha256 == text.sha256 and not session.has_new_terms:
            return consent_view(session.consent), False
        ends_at = terms.ends_at(now) if terms else None
        if ends_at is not None and ends_at <= now:
            raise Conflict("The terms of this consent have ended; new terms are needed", code="consent_expired")
        consent = Consent(
            text_version=text.version,
            given_at=str(iso(now)),
            sha256=text.sha256,
            language=text.language.value,
            source=caller.source,
            purposes=terms.purposes if terms else (),
            valid_until=ends_at,
            terms_set_at=terms.set_at if terms else None,
            credential=caller.credential,
        )
        self.store.keep_consent_text(text)
        try:
            self.store.record_consent(session, consent, now)
        except ConditionFailed:
            raise Conflict("The session was changed at the same time", retry_after=1) from None
        if session.group_id and not session.is_permitted(now):
            # Files that waited for this consent. If the message is lost, reconcile finds them.
            more = AssetsReady(session_id=session.id, correlation_id=session.correlation_id)
            self.queue.send(more.to_json())
        return consent_view(consent), True

    def decline(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """Records that the person does not agree, and returns the time of the first refusal.

        Raises NotFound, Forbidden for a client, and Conflict when a consent exists.
        """
        session = own_session(self.store, caller, session_id)
        if not caller.is_person:
            raise Forbidden("Only the person can decline")
        if session.declined_at is None:
            _require_no_consent(session)
            try:
                session = self.store.decline_consent(session.id, self.clock.now())
            except ConditionFailed:
                session = own_session(self.store, caller, session_id)
                _require_no_consent(session)
        return consent_declined_view(session)


def _require_no_consent(session: Session) -> None:
    if not session.accepts_uploads:
        raise Conflict(f"The session is {session.status.value} and does not accept consent")
    if session.consent:
        raise Conflict("A consent was given", code="consent_given")
