"""A session: the onboarding of one person, from the first link to a verified group.

``requires_input → processing → verified``, and back to ``requires_input`` with ``last_error`` after an attempt that
failed or lapsed. The statuses are Stripe Identity's (https://docs.stripe.com/identity/verification-sessions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from likeness.domain.fields import about, from_values
from likeness.domain.file_requests import FileRequest, read_requests
from likeness.domain.receipt import Holder, Receipt
from likeness.domain.terms import ConsentStatus, ConsentTerms, Withdrawal
from likeness.errors import Conflict

#: The H5 link expires 120 s after crun created it (source: crun's documentation of visual validation).
LINK_LIFETIME_SECONDS = 120
MAX_ASSETS_PER_SESSION = 200
SESSION_TOKEN_LIFETIME_SECONDS = 7 * 86_400
#: Records of requests to crun to delete an id, by id. Only what shows erased rows reads them (domain/deletions.py).
StoredDeletions = Mapping[str, Mapping[str, str | float]]


class SessionStatus(StrEnum):
    """The status of a session."""

    REQUIRES_INPUT = "requires_input"
    PROCESSING = "processing"
    VERIFIED = "verified"
    CANCELED = "canceled"
    REDACTED = "redacted"


class AttemptStatus(StrEnum):
    """The status of one attempt at the face check.

    ``open``: the link was created. ``passed``: an authentic callback reported 10000. ``failed``: it reported another
    code. ``lapsed``: no callback arrived, and the last look-up found no pass. ``verified``: the group is known.
    ``lost``: the person passed, but crun no longer returns a result for the byted token.
    """

    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"
    LAPSED = "lapsed"
    VERIFIED = "verified"
    LOST = "lost"


class Language(StrEnum):
    """Languages of the H5 page (its ``lng`` parameter)."""

    ZH = "zh"
    EN = "en"
    ZH_HANT = "zh-Hant"


@dataclass(frozen=True, slots=True)
class Problem:
    """The cause of a failure, for machines (``code``) and people (``message``)."""

    code: str = field(metadata=about(exported=True))
    message: str = field(metadata=about(exported=True))
    upstream_code: str | None = field(default=None, metadata=about(exported=True))
    retryable: bool = field(default=False, metadata=about(exported=True))
    #: crun's own message, for callers of crun's own routes; ``message`` is ours.
    upstream_message: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One H5 link and its outcome. Times are epoch seconds."""

    number: int = field(metadata=about(int, key=True))
    status: AttemptStatus = field(metadata=about(AttemptStatus, exported=True))
    byted_token: str
    created_at: float = field(metadata=about(exported=True))
    expires_at: float = field(metadata=about(exported=True))
    result_code: str | None = field(default=None, metadata=about(exported=True))
    lookup_by: str | None = None
    lookup_until: float = field(default=0.0, metadata=about(sparse=True))
    answered_at: float | None = field(default=None, metadata=about(exported=True))
    #: The number of executions that ended without an outcome for it; it is part of the next one's name.
    executions: int = field(default=0, metadata=about(sparse=True))
    #: How often crun has responded that there is no result yet, and the time of the first such response.
    not_yet: int = field(default=0, metadata=about(sparse=True))
    not_yet_since: float | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """The proof that the person agreed: which text, and when (ISO 8601).

    ``source`` is ``person`` when our own page asked; then ``sha256`` (hex, of the exact text and terms) and
    ``language`` are set. It is ``client`` when the caller has recorded the consent. ``purposes`` is empty for every
    purpose, and ``valid_until`` (epoch seconds) None for a consent that does not end by itself.
    """

    text_version: str
    given_at: str
    sha256: str | None = None
    language: str | None = None
    source: str = "client"
    purposes: tuple[str, ...] = field(default=(), metadata=about(tuple, sparse=True))
    valid_until: float | None = None
    #: ``set_at`` of the terms that it was given to.
    terms_set_at: float | None = None
    #: The kind of credential that recorded it: ``client`` or ``invite``. None on consents of earlier versions.
    credential: str | None = None

    def is_over(self, now: float) -> bool:
        """Whether it has ended by itself."""
        return self.valid_until is not None and now >= self.valid_until


@dataclass(frozen=True, slots=True)
class DropIn:
    """The fields of a session that was created with crun's own route: the callback URL and the issued token.

    The token is a secret.
    """

    callback_url: str
    issued_token: str = field(metadata=about(name="byted_token"))


def _attempts(stored: Mapping[str, Mapping[str, Any]]) -> dict[int, Attempt]:
    return {int(number): from_values(Attempt, {**each, "number": number}) for number, each in stored.items()}


@dataclass(frozen=True, slots=True)
class Session:
    """One person's onboarding. Times are epoch seconds; ``driver`` names the execution that drives its assets."""

    id: str = field(metadata=about(exported=True))
    client_id: str = field(metadata=about(exported=True))
    status: SessionStatus = field(metadata=about(SessionStatus, exported=True))
    language: Language = field(metadata=about(Language, exported=True))
    created_at: float = field(metadata=about(exported=True))
    updated_at: float = field(metadata=about(exported=True))
    reference: str | None = field(default=None, metadata=about(exported=True, erased=True))
    return_url: str | None = field(default=None, metadata=about(erased=True))
    consent: Consent | None = field(default=None, metadata=about(Consent, exported=True))
    #: When the person declined to consent. A consent that is given afterwards clears it.
    declined_at: float | None = field(default=None, metadata=about(exported=True))
    #: What the person is asked to agree to, None when no terms are named.
    consent_terms: ConsentTerms | None = field(default=None, metadata=about(ConsentTerms, exported=True))
    #: Whether its person is asked on our page (``start: on_open``). Otherwise its client answers for the consent.
    asks_person: bool = field(default=False, metadata=about(sparse=True, exported=True))
    #: Set from a withdrawal until the next consent.
    withdrawal: Withdrawal | None = field(default=None, metadata=about(Withdrawal, exported=True))
    #: The valid receipts. They stay valid after an erasure, which their page then shows.
    person_receipt: Receipt | None = field(default=None, metadata=about(Receipt, exported=True))
    client_receipt: Receipt | None = field(default=None, metadata=about(Receipt, exported=True))
    #: The last notice about the end of its consent, in days before it (see domain/terms.py).
    consent_notice: int | None = field(default=None, metadata=about(exported=True))
    group_id: str | None = field(default=None, metadata=about(exported=True))
    verified_at: float | None = field(default=None, metadata=about(exported=True))
    #: When the first result of a face check arrived, the first pass, and the first file that became active: what
    #: statistics count. They never change again. None on sessions of earlier versions.
    checked_at: float | None = None
    passed_at: float | None = None
    active_at: float | None = None
    last_error: Problem | None = field(default=None, metadata=about(Problem, exported=True, erased=True))
    driver: str | None = field(default=None, metadata=about(erased=True))
    generation: int = field(default=0, metadata=about(exported=True))
    asset_count: int = field(default=0, metadata=about(exported=True))
    #: The number of slots that a person has registered, without those that are known not to be pending anymore.
    person_places: int = field(default=0, metadata=about(sparse=True))
    #: The number of the valid invite link, 0 for the one that was created with the session.
    invite: int = field(default=0, metadata=about(sparse=True, exported=True))
    erased_at: float | None = field(default=None, metadata=about(exported=True))
    #: The kind of credential that erased it: ``client``, ``receipt`` or ``policy``. None on those of earlier versions.
    erased_by: str | None = field(default=None, metadata=about(exported=True))
    #: By number, which is the key in the stored mapping. The index of a client's sessions does not include them.
    attempts: dict[int, Attempt] = field(default_factory=dict, metadata=about(_attempts))
    #: By name, which is the key in the stored mapping, in the order in which the client made them.
    requests: dict[str, FileRequest] = field(
        default_factory=dict, metadata=about(read_requests, sparse=True, exported=True, erased=True)
    )
    #: When the person had nothing more to send; None again after the person has registered another file.
    finished_at: float | None = field(default=None, metadata=about(exported=True))
    #: Identifies the session in log lines and in requests to crun; None on sessions of earlier versions.
    correlation_id: str | None = None
    drop_in: DropIn | None = field(default=None, metadata=about(DropIn, erased=True))
    #: Further groups that crun returned, for example for a second check that was passed at the same time.
    other_group_ids: tuple[str, ...] = field(default=(), metadata=about(tuple, sparse=True, exported=True))
    #: What crun was asked about the groups after the erasure, as it is stored.
    deletion_requests: StoredDeletions = field(default_factory=dict, metadata=about(sparse=True, exported=True))

    @property
    def group_ids(self) -> list[str]:
        """Every GroupId that crun returned."""
        return [*([self.group_id] if self.group_id else []), *self.other_group_ids]

    @property
    def attempt(self) -> Attempt | None:
        """The newest attempt, if there is one."""
        return self.attempts[max(self.attempts)] if self.attempts else None

    @property
    def passed(self) -> list[int]:
        """The numbers of the attempts that were passed, but have no result yet."""
        return [number for number, each in self.attempts.items() if each.status is AttemptStatus.PASSED]

    def attempted(self, attempt: Attempt, now: float) -> Session:
        """The session after a further link was created: the outcome of the earlier attempts no longer counts."""
        return replace(
            self,
            status=SessionStatus.REQUIRES_INPUT,
            attempts=self.attempts | {attempt.number: attempt},
            last_error=None,
            updated_at=now,
        )

    def attempts_left(self, most: int) -> int:
        """How many more links can be created for the person, of ``most`` in all."""
        waits = self.group_id is None and self.accepts_uploads
        return max(0, most - len(self.attempts)) if waits else 0

    def require_not_declined(self) -> None:
        """Raises Conflict when the person declined to consent and has not agreed since."""
        if self.declined_at is not None:
            raise Conflict("The person has declined to consent", code="consent_declined")

    def consent_status(self, now: float) -> ConsentStatus:
        """Whether the person's likeness may be used at ``now`` (epoch seconds).

        Without a recorded consent, the client that created a link answers for it. Earlier versions did not record
        whether the person was asked: then an attempt shows that the client has created a link.
        """
        if self.withdrawal is not None:
            return ConsentStatus.WITHDRAWN
        if self.consent is not None:
            return ConsentStatus.EXPIRED if self.consent.is_over(now) else ConsentStatus.GIVEN
        by_client = not self.asks_person and self.declined_at is None
        began = bool(self.attempts) or self.group_id is not None
        return ConsentStatus.GIVEN if by_client and began else ConsentStatus.MISSING

    def is_permitted(self, now: float) -> bool:
        """Whether intents may be stored: the consent is neither withdrawn nor expired.

        A missing consent is not a reason here. A person is asked for it before the first attempt, and a client that
        creates links itself answers for it.
        """
        return self.consent_status(now) not in (ConsentStatus.WITHDRAWN, ConsentStatus.EXPIRED)

    def require_permitted(self, now: float) -> None:
        """Raises Conflict when the consent is withdrawn (``consent_withdrawn``) or expired (``consent_expired``)."""
        status = self.consent_status(now)
        if status is ConsentStatus.WITHDRAWN:
            raise Conflict("The consent was withdrawn", code="consent_withdrawn")
        if status is ConsentStatus.EXPIRED:
            raise Conflict("The consent has expired", code="consent_expired")

    def receipt_of(self, holder: Holder) -> Receipt | None:
        """The valid receipt of a holder."""
        return self.person_receipt if holder is Holder.PERSON else self.client_receipt

    @property
    def has_new_terms(self) -> bool:
        """Whether the person is asked for terms that the recorded consent was not given to."""
        terms, consent = self.consent_terms, self.consent
        return terms is not None and consent is not None and consent.terms_set_at != terms.set_at

    @property
    def accepts_uploads(self) -> bool:
        """Whether files can still be added."""
        return self.status not in (SessionStatus.CANCELED, SessionStatus.REDACTED)


class SessionFilter(NamedTuple):
    """Which of a client's sessions a listing contains. None leaves a filter out; those that are given combine.

    ``asset_id`` is ours or crun's, ``group_id`` is crun's. ``oldest`` and ``newest`` are ULIDs, both included.
    """

    status: str | None = None
    reference: str | None = None
    reference_contains: str | None = None
    asset_id: str | None = None
    group_id: str | None = None
    oldest: str | None = None
    newest: str | None = None

    def matches(self, session: Session) -> bool:
        """Whether status and reference are as wanted. The ids and the times are keys: the table selects by them."""
        return (
            self.status in (None, session.status)
            and self.reference in (None, session.reference)
            and (self.reference_contains is None or self.reference_contains in (session.reference or ""))
        )


EVERY_SESSION = SessionFilter()


class SessionPage(NamedTuple):
    """One page of a listing; ``cursor`` is None on the last one.

    ``examined`` is how many sessions were read for it, and ``examined_to`` the creation (epoch seconds) of the oldest
    of them, None when nothing older is left.
    """

    sessions: list[Session]
    cursor: str | None
    examined: int = 0
    examined_to: float | None = None


_FAILURES = {
    "attempt_failed": "The face check was not passed. Try again in good light, with only one face in view.",
    "attempt_canceled": "The face check was canceled before it was complete. Try again when you are ready.",
    "link_expired": "The link was not used in time. Ask for a fresh one.",
    "result_lost": "The check was passed, but its result got lost on the way. Please do it once more.",
    "result_unavailable": "The validation service did not give the result in time. Please do the check again.",
}


def failure(code: str, upstream_code: str | None = None) -> Problem:
    """The problem that a session shows after an unsuccessful attempt."""
    return Problem(code, _FAILURES[code], upstream_code, retryable=True)
