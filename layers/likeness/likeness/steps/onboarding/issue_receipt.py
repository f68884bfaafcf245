"""POST, GET and DELETE /sessions/{id}/receipt, and GET /receipt: the personal link, and the page behind it.

A receipt that replaces another one becomes valid with its first use. Until then the other one stays valid, because the
response with the new link may get lost, and nobody but its holder has the link.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from likeness.contracts.consent_receipt import Controller, consent_receipt
from likeness.contracts.views import personal_view, receipt_view, receipts_view
from likeness.domain.asset import Asset
from likeness.domain.caller import Caller
from likeness.domain.consent import ConsentText
from likeness.domain.receipt import Holder, IssuedReceipt, Receipt, receipt_digest, receipt_of
from likeness.domain.session import Language, Session, SessionStatus
from likeness.domain.terms import ConsentTerms
from likeness.errors import ConditionFailed, Conflict, Forbidden, InvalidCredential, InvalidRequest
from likeness.ports.onboarding import ConsentTexts, Receipts
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_session

_CHANGED = "The session was changed at the same time"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class IssueReceipt:
    """Issues and revokes receipts, and shows what is behind them.

    ``texts`` returns the consent texts, which not every request needs. ``entropy(n)`` returns n random bytes.
    """

    store: Store
    receipts: Receipts
    texts: Callable[[], ConsentTexts]
    clock: Clock
    entropy: Callable[[int], bytes]
    controller: Controller
    max_attempts: int

    def __call__(self, caller: Caller, session_id: str, base_url: str) -> dict[str, Any]:
        """Creates a personal link for the caller's side, and returns it. It cannot be read again.

        A client gets one of its own. A person gets another one, and a receipt gets its successor.

        Raises NotFound, and Conflict for an erased session.
        """
        session = own_session(self.store, caller, session_id, by_receipt=True)
        if session.status is SessionStatus.REDACTED:
            raise Conflict("The session is redacted and gets no new receipt")
        credential = receipt_of(self.entropy(_BYTES))
        issued = IssuedReceipt(
            digest=receipt_digest(credential) or "",
            session_id=session.id,
            client_id=session.client_id,
            holder=_holder(caller),
            created_at=self.clock.now(),
            replaces=caller.receipt or None,
        )
        try:
            if issued.replaces:
                self.receipts.add_pending(issued)
            else:
                self.receipts.add(issued, session.receipt_of(issued.holder))
        except ConditionFailed:
            raise Conflict(_CHANGED, retry_after=1) from None
        return receipt_view(issued, f"{base_url}/me#{credential}")

    def revoke(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """Ends the receipt of the caller's side, and returns those that are valid. A client's and a person's are apart.

        Raises NotFound.
        """
        session = own_session(self.store, caller, session_id, by_receipt=True)
        try:
            self.receipts.revoke(session, _holder(caller))
        except ConditionFailed:
            raise Conflict(_CHANGED, retry_after=1) from None
        found = self.store.get_session(session.id)
        return receipts_view(found or session)

    def read(self, caller: Caller, session_id: str) -> dict[str, Any]:
        """Returns the receipt as a document (see contracts/consent_receipt.py). Raises NotFound."""
        session = own_session(self.store, caller, session_id, by_receipt=True)
        text = self._agreed(session)
        language = text.language if text else session.language
        covered = session.consent.purposes if session.consent else ()
        sentences = self._sentences(session, language)
        purposes = {each: self.texts().purpose(each, language) for each in covered}
        return consent_receipt(session, self.controller, text, sentences, purposes, self.clock.now())

    def page(self, caller: Caller, language: str | None) -> dict[str, Any]:
        """Returns what the holder's page shows, with the terms in ``language`` (default: the session's).

        Raises Forbidden without a receipt, InvalidCredential for one that is not valid, and InvalidRequest.
        """
        if language not in (None, *Language):
            raise InvalidRequest(f"language: must be one of {', '.join(Language)}", field="language")
        if not caller.receipt or caller.session_id is None:
            raise Forbidden("This request requires a personal link")
        session, assets = self._opened(caller, caller.session_id)
        shown_in = Language(language) if language else session.language
        receipt = session.receipt_of(caller.holder)
        return personal_view(
            session,
            assets,
            caller.holder,
            receipt,
            agreed=self._agreed(session),
            sentences=self._sentences(session, shown_in) if session.consent else (),
            purposes=self.texts().purposes(shown_in),
            now=self.clock.now(),
            max_attempts=self.max_attempts,
        )

    def _opened(self, caller: Caller, session_id: str) -> tuple[Session, list[Asset]]:
        """Returns the session of a receipt, after its first use if it is a successor."""
        session, assets = self.store.load(session_id)
        valid = session.receipt_of(caller.holder) if session else None
        if caller.replaces and valid and valid.digest == caller.replaces:
            try:
                self.receipts.use(session_id, caller.holder, Receipt(caller.receipt, self.clock.now()), caller.replaces)
            except ConditionFailed:
                raise InvalidCredential from None
            session, assets = self.store.load(session_id)
        return caller.own(session, by_receipt=True), assets

    def _agreed(self, session: Session) -> ConsentText | None:
        """Returns the exact text that the person agreed to, None when there is none."""
        digest = session.consent.sha256 if session.consent else None
        return self.store.find_consent_text(digest) if digest else None

    def _sentences(self, session: Session, language: Language) -> tuple[str, ...]:
        """Returns the terms of the consent as sentences."""
        consent = session.consent
        terms = ConsentTerms(consent.purposes, consent.valid_until) if consent else ConsentTerms()
        return self.texts().current(language, terms).sentences


def _holder(caller: Caller) -> Holder:
    return caller.holder if caller.is_person else Holder.CLIENT
