"""Records a person's consent in an append-only ledger: the text, its language and the time; or that they declined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from likeness.contracts.consent import ConsentAgreed
from likeness.contracts.views import consent_declined_view, consent_text_view, consent_view, iso
from likeness.domain.caller import Caller
from likeness.domain.session import Consent, Language, Session
from likeness.errors import ConditionFailed, Conflict, Forbidden, InvalidRequest
from likeness.ports.onboarding import ConsentTexts, SessionStore
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_session


@dataclass(frozen=True, slots=True)
class RecordConsent:
    """Returns the consent text and records consent. ``has_key(client_id)`` returns whether a client has a valid key."""

    store: SessionStore
    texts: ConsentTexts
    clock: Clock
    has_key: Callable[[str], bool] = lambda _: True

    def text(self, language: str | None) -> dict[str, Any]:
        """Returns the current text in ``language`` (default: zh). Raises InvalidRequest for an unknown language."""
        if language is not None and language not in list(Language):
            raise InvalidRequest(f"language: must be one of {', '.join(Language)}", field="language")
        return consent_text_view(self.texts.current(Language(language or Language.ZH)))

    def __call__(self, caller: Caller, session_id: str, body: ConsentAgreed) -> tuple[dict[str, Any], bool]:
        """Returns the consent's view, and whether it is new: agreeing to the same text again changes nothing.

        Raises NotFound, and Conflict when the text is not the current one, so that nobody agrees to a withdrawn text.
        """
        session = own_session(self.store, caller, session_id)
        caller.require_living_client(self.has_key)
        if not session.accepts_uploads:
            raise Conflict(f"The session is {session.status.value} and does not accept consent")
        text = self.texts.current(Language(body.language))
        if (body.text_version, body.sha256) != (text.version, text.sha256):
            raise Conflict("The consent text has changed; get the current text", code="consent_text_changed")
        if session.consent and session.consent.sha256 == text.sha256:
            return consent_view(session.consent), False
        consent = Consent(
            text_version=text.version,
            given_at=str(iso(self.clock.now())),
            sha256=text.sha256,
            language=text.language.value,
            source="client" if caller.session_id is None else "person",
        )
        self.store.keep_consent_text(text)
        try:
            self.store.record_consent(session, consent)
        except ConditionFailed:
            raise Conflict("The session was changed at the same time", retry_after=1) from None
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
