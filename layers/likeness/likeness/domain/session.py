"""A session: one person on the way from the first link to a verified group.

``requires_input → processing → verified``, back to ``requires_input`` with ``last_error`` after an attempt that
failed or lapsed. The words are Stripe Identity's (https://docs.stripe.com/identity/verification-sessions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from likeness.domain.fields import about, from_values

#: The H5 link dies 120 s after crun made it (source: crun's page on visual validation).
LINK_LIFETIME_SECONDS = 120
MAX_ASSETS_PER_SESSION = 200
SESSION_TOKEN_LIFETIME_SECONDS = 7 * 86_400


class SessionStatus(StrEnum):
    """Where a session stands."""

    REQUIRES_INPUT = "requires_input"
    PROCESSING = "processing"
    VERIFIED = "verified"
    CANCELED = "canceled"
    REDACTED = "redacted"


class AttemptStatus(StrEnum):
    """Where one pass at the face check stands.

    ``open`` link made; ``passed`` an authentic callback said 10000; ``failed`` it said something else;
    ``lapsed`` no callback came and the last-chance look-up found no pass; ``verified`` the group is known;
    ``lost`` the person passed but crun no longer answers for the byted token.
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
    """Why something went wrong, for machines (``code``) and people (``message``)."""

    code: str = field(metadata=about(exported=True))
    message: str = field(metadata=about(exported=True))
    upstream_code: str | None = field(default=None, metadata=about(exported=True))
    retryable: bool = field(default=False, metadata=about(exported=True))
    #: crun's own words, for who called crun's own routes; ``message`` is ours.
    upstream_message: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One H5 link and what became of it. Times are epoch seconds."""

    number: int = field(metadata=about(int, key=True))
    status: AttemptStatus = field(metadata=about(AttemptStatus, exported=True))
    byted_token: str
    created_at: float = field(metadata=about(exported=True))
    expires_at: float = field(metadata=about(exported=True))
    result_code: str | None = field(default=None, metadata=about(exported=True))
    lookup_by: str | None = None
    lookup_until: float = field(default=0.0, metadata=about(sparse=True))
    answered_at: float | None = field(default=None, metadata=about(exported=True))
    #: How many executions have ended without an outcome for it; the next one's name follows from it.
    executions: int = field(default=0, metadata=about(sparse=True))
    #: How often crun has answered that there is no result yet, and when it first did.
    not_yet: int = field(default=0, metadata=about(sparse=True))
    not_yet_since: float | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """The proof that the person agreed: which text, and when (ISO 8601).

    ``sha256`` (hex, of the very words) and ``language`` are there when our own page has asked; ``source`` is
    ``person`` then, and ``client`` when the caller has told of it.
    """

    text_version: str
    given_at: str
    sha256: str | None = None
    language: str | None = None
    source: str = "client"


@dataclass(frozen=True, slots=True)
class DropIn:
    """What a session that was made by crun's own route has besides: where its caller wants the browser, and the

    token that was issued. The token is a secret.
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
    group_id: str | None = field(default=None, metadata=about(exported=True))
    verified_at: float | None = field(default=None, metadata=about(exported=True))
    last_error: Problem | None = field(default=None, metadata=about(Problem, exported=True, erased=True))
    driver: str | None = field(default=None, metadata=about(erased=True))
    generation: int = field(default=0, metadata=about(exported=True))
    asset_count: int = field(default=0, metadata=about(exported=True))
    #: How many of its slots a person has registered, less those that are known to wait no more.
    person_places: int = field(default=0, metadata=about(sparse=True))
    #: Which invite link is good: its number, 0 for the one that was made with the session.
    invite: int = field(default=0, metadata=about(sparse=True, exported=True))
    erased_at: float | None = field(default=None, metadata=about(exported=True))
    #: By their numbers, which are keys of the stored mapping. The index of a client's sessions holds none.
    attempts: dict[int, Attempt] = field(default_factory=dict, metadata=about(_attempts))
    #: What its calls and log lines have in common; None on what was stored before sessions had one.
    correlation_id: str | None = None
    drop_in: DropIn | None = field(default=None, metadata=about(DropIn, erased=True))
    #: Groups that crun gave besides ``group_id``, such as for a second check that was passed at the same time.
    other_group_ids: tuple[str, ...] = field(default=(), metadata=about(tuple, sparse=True, exported=True))

    @property
    def group_ids(self) -> list[str]:
        """Every GroupId that crun gave."""
        return [*([self.group_id] if self.group_id else []), *self.other_group_ids]

    @property
    def attempt(self) -> Attempt | None:
        """The newest attempt, if any was made."""
        return self.attempts[max(self.attempts)] if self.attempts else None

    @property
    def passed(self) -> list[int]:
        """The numbers of the attempts that were passed and whose results are not known yet."""
        return [number for number, each in self.attempts.items() if each.status is AttemptStatus.PASSED]

    def attempted(self, attempt: Attempt, now: float) -> Session:
        """A further link was made: whatever an attempt before led to, the person has another one."""
        return replace(
            self,
            status=SessionStatus.REQUIRES_INPUT,
            attempts=self.attempts | {attempt.number: attempt},
            last_error=None,
            updated_at=now,
        )

    def attempts_left(self, most: int) -> int:
        """How many more links the person may be given, of ``most`` in all."""
        waits = self.group_id is None and self.accepts_uploads
        return max(0, most - len(self.attempts)) if waits else 0

    @property
    def accepts_uploads(self) -> bool:
        """Whether files may still be added."""
        return self.status not in (SessionStatus.CANCELED, SessionStatus.REDACTED)


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of a listing; ``cursor`` is None on the last one."""

    sessions: list[Session]
    cursor: str | None


_FAILURES = {
    "attempt_failed": "The face check was not passed. Try again in good light, with only one face in view.",
    "link_expired": "The link was not used in time. Ask for a fresh one.",
    "result_lost": "The check was passed, but its result got lost on the way. Please do it once more.",
    "result_unavailable": "The validation service did not give the result in time. Please do the check again.",
}


def failure(code: str, upstream_code: str | None = None) -> Problem:
    """The problem that a session shows after an attempt that led nowhere."""
    return Problem(code, _FAILURES[code], upstream_code, retryable=True)
