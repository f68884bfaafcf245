"""POST /sessions, POST /sessions/{id}/attempts and …/invite: creates sessions and links for a person to open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from likeness.contracts.views import session_view
from likeness.domain.asset import Asset, new_asset
from likeness.domain.caller import Caller
from likeness.domain.ids import session_id
from likeness.domain.links import why_not_return_to
from likeness.domain.session import (
    SESSION_TOKEN_LIFETIME_SECONDS,
    AttemptStatus,
    Consent,
    Language,
    Session,
    SessionStatus,
)
from likeness.domain.signing import issue_session_token
from likeness.domain.terms import ConsentTerms, TermsPolicy
from likeness.domain.times import iso
from likeness.errors import ConditionFailed, Conflict, InvalidRequest, TooManyAttempts
from likeness.ports.files import Files
from likeness.ports.store import Store
from likeness.ports.system import Clock, SigningKeys
from likeness.steps.files.register_asset import requested_by
from likeness.steps.onboarding.get_session import own_session_with_assets
from likeness.steps.onboarding.open_link import OpenLink

if TYPE_CHECKING:
    from likeness.contracts.http import NewSession

#: The text version of a consent to terms that a client names for its own link, without a text.
_BY_CLIENT = "client"


@dataclass(frozen=True, slots=True)
class CreateSession:
    """Creates sessions and attempts, at most ``max_attempts`` per session.

    ``has_key(client_id)`` returns whether the client has a valid key. It is checked for a person's requests.
    ``created(session_id, correlation_id)`` reports each new session.
    """

    store: Store
    links: OpenLink
    files: Files
    keys: SigningKeys
    clock: Clock
    max_attempts: int
    has_key: Callable[[str], bool] = lambda _: True
    created: Callable[[str, str | None], None] = lambda *_: None
    terms: TermsPolicy = TermsPolicy()  # noqa: RUF009 - it is frozen

    def create(
        self, caller: Caller, body: NewSession, base_url: str, correlation_id: str | None = None
    ) -> dict[str, Any]:
        """Returns the new session's view, with its links and upload forms. Raises RequestError and UpstreamError.

        ``correlation_id`` is stored with the session.
        """
        from likeness.contracts.http import file_requests  # the other two have no body, so they do not load Pydantic

        caller.require_client()
        if body.return_url and (why_not := why_not_return_to(body.return_url, caller.return_origins)):
            raise InvalidRequest(f"return_url: {why_not}", field="return_url")
        now = self.clock.now()
        terms = self._terms(body, now)
        session = Session(
            id=session_id(int(now * 1000), self.clock.entropy()),
            client_id=caller.client_id,
            status=SessionStatus.REQUIRES_INPUT,
            language=Language(body.language),
            created_at=now,
            updated_at=now,
            reference=body.reference,
            return_url=body.return_url,
            consent=_consent_by_client(body, terms, now),
            consent_terms=terms,
            asks_person=body.start == "on_open",
            asset_count=len(body.assets),
            requests={each.name: each for each in file_requests(body.requests)},
            correlation_id=correlation_id,
        )
        # Their ids are a millisecond apart, so that they sort in the order of the request.
        assets = [
            new_asset(session, now, self.clock.entropy(), position=position, **each.model_dump())
            for position, each in enumerate(body.assets)
        ]
        session = _with_requested(session, assets)
        h5_link = None
        if body.start == "now":
            attempt, h5_link = self.links(session, 1, base_url, now)
            session = session.attempted(attempt, now)
        self.store.create_session(session, assets)
        self.created(session.id, correlation_id)
        return session_view(
            session,
            assets,
            now=now,
            uploads={
                each.id: self.files.upload_form(each.object_key, each.content_type, each.size_bytes, now)
                for each in assets
            },
            max_attempts=self.max_attempts,
            h5_link=h5_link,
            invite_url=self._invite_url(session, base_url, now),
        )

    def create_attempt(self, caller: Caller, wanted: str, base_url: str) -> dict[str, Any]:
        """Returns the session's view with a new H5 link.

        Raises Conflict when the session needs no validation, or when a person asks before giving consent.
        """
        session, assets = own_session_with_assets(self.store, caller, wanted)
        caller.require_living_client(self.has_key)
        if session.status not in (SessionStatus.REQUIRES_INPUT, SessionStatus.PROCESSING) or session.group_id:
            raise Conflict(f"The session is {session.status.value} and does not accept new attempts")
        session.require_not_declined()
        now = self.clock.now()
        session.require_permitted(now)
        if caller.session_id is not None and session.consent is None:
            raise Conflict("The person must give consent first", code="consent_required")
        number = len(session.attempts) + 1
        if number > self.max_attempts:
            raise TooManyAttempts(f"The session has used all of its {self.max_attempts} attempts")
        waiting = session.status is SessionStatus.PROCESSING  # no longer true after RecordFailure
        if waiting and session.attempt and session.attempt.status is AttemptStatus.PASSED:
            raise Conflict("The face check was passed, but its result is not available yet", retry_after=5)
        attempt, h5_link = self.links(session, number, base_url, now)
        try:
            self.store.add_attempt(session.id, attempt, now, given_up=() if waiting else session.passed)
        except ConditionFailed:
            raise Conflict("Another attempt was started at the same time", retry_after=1) from None
        session = session.attempted(attempt, now)
        return session_view(
            session, assets, now=now, max_attempts=self.max_attempts, h5_link=h5_link, person=caller.is_person
        )

    def renew_invite(self, caller: Caller, wanted: str, base_url: str) -> dict[str, Any]:
        """Returns the session's view with a new invite link. Earlier invite links stop working.

        Raises NotFound, Forbidden for a person, and Conflict for a canceled or redacted session.
        """
        session, assets = own_session_with_assets(self.store, caller, wanted)
        caller.require_client()
        try:
            session = self.store.renew_invite(session.id)
        except ConditionFailed:
            raise Conflict("The session is canceled or redacted and cannot have an invite link") from None
        now = self.clock.now()
        return session_view(
            session,
            assets,
            now=now,
            max_attempts=self.max_attempts,
            invite_url=self._invite_url(session, base_url, now),
        )

    def _terms(self, body: NewSession, now: float) -> ConsentTerms | None:
        """The terms of a new session. The operator's defaults apply where a consent is asked for or recorded here.

        A client that creates the link itself, and names no terms, answers for every purpose.
        """
        if body.consent_terms is None and body.consent is None and body.start == "now":
            return None
        from likeness.contracts.consent import asked_terms

        return asked_terms(self.terms, body.consent_terms, now, "consent_terms.")

    def _invite_url(self, session: Session, base_url: str, now: float) -> str:
        expiry = int(now) + SESSION_TOKEN_LIFETIME_SECONDS
        token = issue_session_token(self.keys.current(), session.id, session.client_id, expiry, session.invite)
        return f"{base_url}/invite#{token}"


def _consent_by_client(body: NewSession, terms: ConsentTerms | None, now: float) -> Consent | None:
    """The consent that the client has recorded: it says so, or it names terms for a link that it creates itself."""
    if body.consent is None and (body.start != "now" or terms is None):
        return None
    given_at = body.consent.given_at.timestamp() if body.consent else now
    return Consent(
        body.consent.text_version if body.consent else _BY_CLIENT,
        str(iso(given_at)),
        purposes=terms.purposes if terms else (),
        valid_until=terms.ends_at(given_at) if terms else None,
        terms_set_at=terms.set_at if terms else None,
        credential="client",
    )


def _with_requested(session: Session, assets: Sequence[Asset]) -> Session:
    """Returns the session with the assets that are registered for its requests. Raises InvalidRequest."""
    for position, asset in enumerate(assets):
        at = f"assets.{position}."
        request = requested_by(session, asset.request, asset.asset_type, at)
        if request and request.asset_id:
            raise InvalidRequest(f"{at}request: another asset has this request", field=f"{at}request")
        if request:
            session = replace(session, requests=session.requests | {request.name: replace(request, asset_id=asset.id)})
    return session
