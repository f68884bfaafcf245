"""State LookUpResult: exchange the byted token for the GroupId.

The token may be single use, so: never before an authentic pass or the last-chance time; one worker at a time, by a
lease; an ambiguous try is repeated, since there is no other way to the group.
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

#: More than the function may run (its Timeout in the template): after it the execution that holds the lease has ended.
LEASE_SECONDS = 50
#: How crun says that there is no result yet, beside a success without a GroupId (what peers have seen). The same words
#: may mean that there never will be one, so they are believed only after a while.
_NOT_YET = frozenset({404, 422})
_SUCCESS = 200
#: The best figure for how long a byted token lives.
TOKEN_SECONDS = 1800.0
#: Nobody is known to have passed: three answers, some minutes apart, within 15 minutes after the link was made.
LAST_CHANCE_ANSWERS, _LAST_CHANCE_PAUSE = 3, 150
#: After an authentic pass crun is asked for so long.
NOT_YET_SECONDS = 600.0
#: Somebody is waiting: quickly at first. Seconds.
_PAUSES = (2, 4, 8, 15, 30, 60)
#: How often a verdict is written anew because the session has changed meanwhile.
_TRIES = 3


class Verified(TypedDict):
    """The group is there. ``attempt`` and ``at`` (epoch seconds) are text: the state machine writes them as numbers."""

    outcome: Literal["verified"]
    group_id: str
    attempt: str
    at: str


class NotYet(TypedDict):
    """crun is asked again after ``wait_seconds``."""

    outcome: Literal["not_yet"]
    wait_seconds: int


class Decided(TypedDict):
    """The group is ``known`` already, or there is none for this attempt."""

    outcome: Literal["known", "not_verified"]


LookUp = Verified | NotYet | Decided


@dataclass(frozen=True, slots=True)
class LookUpResult:
    """Looks one attempt up."""

    store: SessionStore
    crun: Crun
    clock: Clock

    def __call__(self, session_id: str, number: int, execution: str, *, last_chance: bool) -> LookUp:
        """What is known of the attempt now.

        Raises what is worth repeating: UpstreamDeferred, UpstreamAmbiguous, a refusal that concerns the account,
        WorkInProgress, StorageUnavailable.
        """
        now = self.clock.now()
        try:
            session = self.store.lease_lookup(session_id, number, execution, now, now + LEASE_SECONDS)
        except ConditionFailed:
            raise WorkInProgress("Another execution looks this attempt up") from None
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
                # It is the account that was refused, not the person: wait for the operator as long as the token lives.
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
        """Gives the lease back after a look-up that did not happen, unless an earlier one may have: a lease that was

        there before is the memory of that, and stays until it runs out.
        """
        if not attempt.lookup_by:
            self.store.release_lookup(session_id, attempt.number, execution)

    def _not_yet(
        self, session: Session, attempt: Attempt, execution: str, upstream_code: int | None, *, burned: bool
    ) -> LookUp:
        """Crun has no result yet, or none any more. ``burned``: its answer may have used the token up all the same."""
        now = self.clock.now()
        answers, since = attempt.not_yet + 1, attempt.not_yet_since or now
        if attempt.status is AttemptStatus.PASSED and attempt.answered_at:
            since = max(since, attempt.answered_at)  # what a last-chance look-up was told before is another matter
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
                return {"outcome": "not_verified"}  # something else is known by now
            try:
                self.store.record_refused_result(session, attempt.number, status, why, self.clock.now())
            except ConditionFailed:
                session = self.store.get_session(session.id)
            else:
                return {"outcome": "not_verified"}
        raise WorkInProgress("The session changes all the time")

    @staticmethod
    def _verdict(attempt: Attempt, upstream_code: str) -> tuple[AttemptStatus, Problem]:
        if attempt.status is AttemptStatus.OPEN:
            return AttemptStatus.LAPSED, failure("link_expired", upstream_code)
        # A lease that was never given back: an earlier look-up may have burned the token and lost the answer.
        if attempt.lookup_by and upstream_code != str(_SUCCESS):
            return AttemptStatus.LOST, failure("result_lost", upstream_code)
        return AttemptStatus.FAILED, failure("attempt_failed", upstream_code)


def _pause(attempt: Attempt, answers: int, since: float, now: float) -> int | None:
    """Seconds until crun is asked again after ``answers`` times "not yet", None when its word stands."""
    dies_at = attempt.created_at + TOKEN_SECONDS
    if attempt.status is AttemptStatus.OPEN:
        return _LAST_CHANCE_PAUSE if answers < LAST_CHANCE_ANSWERS and now < dies_at else None
    left = min(since + NOT_YET_SECONDS, dies_at) - now
    if left <= 0:
        return None
    return math.ceil(min(left, _PAUSES[min(answers, len(_PAUSES)) - 1]))
