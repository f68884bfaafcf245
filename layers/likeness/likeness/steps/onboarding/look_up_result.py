"""State LookUpResult: exchanges the byted token for the GroupId.

The token may be single-use. It is therefore used only after an authentic pass or at the last-chance time, and by one
execution at a time, which holds a lease. An ambiguous call is repeated, because no other route returns the group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypedDict

from likeness.domain.session import Attempt, AttemptStatus, Problem, Session, SessionStatus, failure
from likeness.errors import (
    ACCOUNT_REFUSALS,
    ConditionFailed,
    StorageUnavailable,
    UpstreamDeferred,
    UpstreamIncomplete,
    UpstreamRefused,
    WorkInProgress,
)
from likeness.ports.crun import Crun
from likeness.ports.onboarding import SessionStore
from likeness.ports.system import Clock

#: Longer than the function's Timeout in the template, so the holder of an expired lease is no longer running.
LEASE_SECONDS = 50
#: crun's codes for "no result yet", in addition to a success without a GroupId (as others have observed). They may also
#: mean that no result will ever come, so they count as final only after a while.
_NOT_YET = frozenset({404, 422})
_SUCCESS = 200
#: The best estimate of a byted token's lifetime.
TOKEN_SECONDS = 1800.0
#: Without a known pass: three calls, some minutes apart, within 15 minutes after the link was created.
LAST_CHANCE_ANSWERS, _LAST_CHANCE_PAUSE = 3, 150
#: How long crun is polled after an authentic pass.
NOT_YET_SECONDS = 600.0
#: Pauses in seconds. They are short at first, because a person is waiting.
_PAUSES = (2, 4, 8, 15, 30, 60)
#: How often the write of a final status is retried when the session has changed in the meantime.
_TRIES = 3


class Verified(TypedDict):
    """crun returned the group. ``attempt`` and ``at`` (epoch seconds) are strings; the state machine stores numbers."""

    outcome: Literal["verified"]
    group_id: str
    attempt: str
    at: str


class NotYet(TypedDict):
    """crun has no result yet. The next call is due after ``wait_seconds``."""

    outcome: Literal["not_yet"]
    wait_seconds: int


class Decided(TypedDict):
    """The group is already ``known``, or this attempt has none."""

    outcome: Literal["known", "not_verified"]


LookUp = Verified | NotYet | Decided


@dataclass(frozen=True, slots=True)
class LookUpResult:
    """Looks up the result of one attempt."""

    store: SessionStore
    crun: Crun
    clock: Clock

    def __call__(self, session_id: str, number: int, execution: str, *, last_chance: bool) -> LookUp:
        """Returns the result of the attempt.

        Raises errors that are worth a retry: UpstreamDeferred, UpstreamAmbiguous, UpstreamRefused when crun refuses
        the account, WorkInProgress, StorageUnavailable.
        """
        now = self.clock.now()
        try:
            session = self.store.lease_lookup(session_id, number, execution, now, now + LEASE_SECONDS)
        except ConditionFailed:
            raise WorkInProgress("Another execution is looking up this attempt") from None
        attempt = session.attempts[number]
        if session.group_id:
            self._release(session_id, attempt, execution)
            return {"outcome": "known"}
        allowed = (AttemptStatus.PASSED, AttemptStatus.OPEN) if last_chance else (AttemptStatus.PASSED,)
        if attempt.status not in allowed or session.status in (
            SessionStatus.CANCELED,
            SessionStatus.REDACTED,
        ):
            self._release(session_id, attempt, execution)
            return {"outcome": "not_verified"}
        try:
            group_id = self.crun.group_of(attempt.byted_token, session.correlation_id, session.client_id)
        except (UpstreamDeferred, StorageUnavailable):
            self._release(session_id, attempt, execution)
            raise
        except UpstreamIncomplete as problem:
            return self._not_yet(session, attempt, execution, problem.upstream_code, burned=True)
        except UpstreamRefused as refusal:
            if refusal.upstream_code in ACCOUNT_REFUSALS:
                # crun refused the account, not the person: retry for as long as the token lives.
                self._release(session_id, attempt, execution)
                raise
            if refusal.upstream_code in _NOT_YET:
                return self._not_yet(session, attempt, execution, refusal.upstream_code, burned=False)
            return self._not_verified(session, attempt, str(refusal.upstream_code))
        return {
            "outcome": "verified",
            "group_id": group_id,
            "attempt": str(number),
            "at": f"{self.clock.now():.3f}",
        }

    def _release(self, session_id: str, attempt: Attempt, execution: str) -> None:
        """Releases the lease after a look-up that did not happen.

        A lease that an earlier look-up left behind stays until it expires: it shows that a look-up may have happened.
        """
        if not attempt.lookup_by:
            self.store.release_lookup(session_id, attempt.number, execution)

    def _not_yet(
        self, session: Session, attempt: Attempt, execution: str, upstream_code: int | None, *, burned: bool
    ) -> LookUp:
        """Handles an answer without a result. ``burned``: the call may have used up the token."""
        now = self.clock.now()
        answers, since = attempt.not_yet + 1, attempt.not_yet_since or now
        if attempt.status is AttemptStatus.PASSED and attempt.answered_at:
            since = max(since, attempt.answered_at)  # earlier last-chance answers do not count
        pause = _pause(attempt, answers, since, now)
        if pause is None:
            return self._not_verified(session, attempt, str(upstream_code))
        release = not attempt.lookup_by and not burned
        self.store.record_not_yet(session.id, attempt.number, execution, answers, since, release=release)
        return {"outcome": "not_yet", "wait_seconds": pause}

    def _not_verified(self, session: Session | None, attempt: Attempt, upstream_code: str) -> LookUp:
        status, why = self._verdict(attempt, upstream_code)
        for _ in range(_TRIES):
            if session is None or session.group_id or session.attempts[attempt.number].status is not attempt.status:
                return {"outcome": "not_verified"}  # another result was stored in the meantime
            try:
                self.store.record_refused_result(session, attempt.number, status, why, self.clock.now())
            except ConditionFailed:
                session = self.store.get_session(session.id)
            else:
                return {"outcome": "not_verified"}
        raise WorkInProgress("The session keeps changing")

    @staticmethod
    def _verdict(attempt: Attempt, upstream_code: str) -> tuple[AttemptStatus, Problem]:
        if attempt.status is AttemptStatus.OPEN:
            return AttemptStatus.LAPSED, failure("link_expired", upstream_code)
        # The lease was never released: an earlier look-up may have used up the token and lost the answer.
        if attempt.lookup_by and upstream_code != str(_SUCCESS):
            return AttemptStatus.LOST, failure("result_lost", upstream_code)
        return AttemptStatus.FAILED, failure("attempt_failed", upstream_code)


def _pause(attempt: Attempt, answers: int, since: float, now: float) -> int | None:
    """Returns the seconds until the next call after ``answers`` answers without a result, None when that is final."""
    dies_at = attempt.created_at + TOKEN_SECONDS
    if attempt.status is AttemptStatus.OPEN:
        return _LAST_CHANCE_PAUSE if answers < LAST_CHANCE_ANSWERS and now < dies_at else None
    left = min(since + NOT_YET_SECONDS, dies_at) - now
    if left <= 0:
        return None
    return math.ceil(min(left, _PAUSES[min(answers, len(_PAUSES)) - 1]))
