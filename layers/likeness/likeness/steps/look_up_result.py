"""State LookUpResult: exchange the byted token for the GroupId.

The token may be single use, so: never before an authentic pass or the last-chance time; one worker at a time, by a
lease; an ambiguous try is repeated, since there is no other way to the group.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from likeness.domain.session import Attempt, AttemptStatus, Problem, SessionStatus, failure
from likeness.errors import (
    ACCOUNT_REFUSALS,
    ConditionFailed,
    StorageUnavailable,
    UpstreamDeferred,
    UpstreamRefused,
    WorkInProgress,
)
from likeness.ports import Clock, Crun, Store

#: More than the function may run (its Timeout in the template): after it the holder is dead.
LEASE_SECONDS = 50


@dataclass(frozen=True, slots=True)
class LookUpResult:
    """Looks one attempt up."""

    store: Store
    crun: Crun
    clock: Clock

    def __call__(self, session_id: str, number: int, execution: str, *, last_chance: bool) -> dict[str, Any]:
        """``{"outcome": "verified", "group_id", "attempt", "at"}``, ``{"outcome": "known"}`` when the group is there

        already, or ``{"outcome": "not_verified"}``. Raises what is worth repeating: UpstreamDeferred,
        UpstreamAmbiguous, a refusal that concerns the account, WorkInProgress, StorageUnavailable.
        """
        now = self.clock.now()
        try:
            session = self.store.lease_lookup(session_id, number, execution, now, now + LEASE_SECONDS)
        except ConditionFailed:
            raise WorkInProgress("Another execution looks this attempt up") from None
        attempt = session.attempts[number]
        if session.group_id:
            self._let_go(session_id, attempt, execution)
            return {"outcome": "known"}
        allowed = (AttemptStatus.PASSED, AttemptStatus.OPEN) if last_chance else (AttemptStatus.PASSED,)
        if attempt.status not in allowed or session.status in (
            SessionStatus.CANCELED,
            SessionStatus.REDACTED,
        ):
            self._let_go(session_id, attempt, execution)
            return {"outcome": "not_verified"}
        try:
            group_id = self.crun.group_of(attempt.byted_token, session.correlation_id, session.client_id)
        except (UpstreamDeferred, StorageUnavailable):
            self._let_go(session_id, attempt, execution)
            raise
        except UpstreamRefused as refusal:
            if refusal.upstream_code in ACCOUNT_REFUSALS:
                # It is the account that was refused, not the person: wait for the operator as long as the token lives.
                self._let_go(session_id, attempt, execution)
                raise
            return self._not_verified(session_id, attempt, refusal)
        return {
            "outcome": "verified",
            "group_id": group_id,
            "attempt": str(number),
            "at": f"{self.clock.now():.3f}",
        }

    def _let_go(self, session_id: str, attempt: Attempt, execution: str) -> None:
        """Gives the lease back after a look-up that did not happen, unless an earlier one may have: a lease that was

        there before is the memory of that, and stays until it runs out.
        """
        if not attempt.lookup_by:
            self.store.release_lookup(session_id, attempt.number, execution)

    def _not_verified(self, session_id: str, attempt: Attempt, refusal: UpstreamRefused) -> dict[str, Any]:
        status, why = self._verdict(attempt, str(refusal.upstream_code))
        # a newer attempt is on its way, or something better is known
        with suppress(ConditionFailed):
            self.store.record_failed_attempt(session_id, attempt.number, status, None, why, self.clock.now())
        return {"outcome": "not_verified"}

    @staticmethod
    def _verdict(attempt: Attempt, upstream_code: str) -> tuple[AttemptStatus, Problem]:
        if attempt.status is AttemptStatus.OPEN:
            return AttemptStatus.LAPSED, failure("link_expired", upstream_code)
        # A lease that was never given back: an earlier look-up may have burned the token and lost the answer.
        if attempt.lookup_by:
            return AttemptStatus.LOST, failure("result_lost", upstream_code)
        return AttemptStatus.FAILED, failure("attempt_failed", upstream_code)
