"""Ports of the onboarding: sessions, consent texts, executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from likeness.domain.session import EVERY_SESSION

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.asset import Asset
    from likeness.domain.consent import ConsentText
    from likeness.domain.executions import ExecutionStatus, Results
    from likeness.domain.file_requests import FileRequest
    from likeness.domain.receipt import Holder, IssuedReceipt, Receipt
    from likeness.domain.session import (
        Attempt,
        AttemptStatus,
        Consent,
        Language,
        Problem,
        Session,
        SessionFilter,
        SessionPage,
    )
    from likeness.domain.terms import ConsentTerms, Withdrawal


class SessionStore(Protocol):
    """Sessions in the inventory. Every change is one conditional write and safe to repeat."""

    def create_session(self, session: Session, assets: Sequence[Asset]) -> None:
        """Stores a session and its first assets atomically."""
        ...

    def get_session(self, session_id: str) -> Session | None:
        """The current session (strongly consistent)."""
        ...

    def list_sessions(
        self, client_id: str, *, limit: int, cursor: str | None, wanted: SessionFilter = EVERY_SESSION
    ) -> SessionPage:
        """A page of the client's sessions that match ``wanted``, newest first (eventually consistent).

        It does bounded work, so a page with a filter may be short or empty although its cursor leads to more. Raises
        InvalidRequest for a cursor that is not valid.
        """
        ...

    def add_attempt(self, session_id: str, attempt: Attempt, now: float, *, given_up: Sequence[int] = ()) -> None:
        """Adds attempt ``attempt.number``; raises ConditionFailed when it exists or the session has changed.

        The person's refusal to consent is such a change.

        ``given_up`` are the numbers of passed attempts with results that are no longer expected: they become ``lost``.
        """
        ...

    def record_pass(self, session_id: str, number: int, result_code: str, now: float) -> Session:
        """Records that an authentic callback reported 10000.

        Can be repeated until the group is known, so that the message after it is sent again. Raises ConditionFailed
        when the session has changed.
        """
        ...

    def record_failed_attempt(self, session_id: str, number: int, result_code: str, why: Problem, now: float) -> None:
        """Records that an authentic callback reported a failure of the newest attempt.

        Raises ConditionFailed when it is not the newest, or a better outcome is known.
        """
        ...

    def record_refused_result(
        self, session: Session, number: int, status: AttemptStatus, why: Problem, now: float
    ) -> None:
        """Records that crun has refused the result of attempt ``number``, if the session is still as given.

        The session requires another attempt, unless the result of another one is expected or a newer link is open.
        Raises ConditionFailed when the session has changed: read it again.
        """
        ...

    def record_no_result(self, session_id: str, why: Problem, now: float) -> None:
        """Makes a session in ``processing`` require another attempt; does nothing in another status."""
        ...

    def save_group(self, session_id: str, number: int, group_id: str, now: float) -> None:
        """Stores the group of attempt ``number``; the session becomes verified.

        Raises ConditionFailed when another group is known, or the session is canceled or erased.
        """
        ...

    def renew_invite(self, session_id: str) -> Session:
        """Invalidates the session's invite links; returns the session with the number of the next one.

        Raises ConditionFailed when the session is canceled or erased.
        """
        ...

    def revoke_invite(self, session_id: str) -> None:
        """Invalidates the session's invite links. Raises ConditionFailed when the session does not exist."""
        ...

    def add_requests(self, session: Session, requests: Sequence[FileRequest]) -> Session:
        """Adds file requests to the session as it was read, clears ``finished_at``, and returns the session.

        Raises ConditionFailed when the session has other requests by now, or accepts no uploads.
        """
        ...

    def withdraw_request(self, session_id: str, request: FileRequest, asset: Asset | None) -> None:
        """Removes a file request. Raises ConditionFailed when its asset is not ``asset``, or has changed its status."""
        ...

    def finish_session(self, session_id: str, now: float) -> Session:
        """Records that the person has finished, if this is not recorded, and returns the session.

        Raises ConditionFailed when the session is not verified.
        """
        ...

    def keep_consent_text(self, text: ConsentText) -> None:
        """Stores a text permanently, before a person agrees to it."""
        ...

    def find_consent_text(self, sha256: str) -> ConsentText | None:
        """The text with this digest, as a person agreed to it."""
        ...

    def record_consent(self, session: Session, consent: Consent, now: float) -> None:
        """Adds a consent to the ledger and to the session, which is as it was read.

        It replaces an earlier refusal and a withdrawal. Raises ConditionFailed when the same text and terms were agreed
        to already and still hold, the terms have changed, the session no longer accepts consent, or a client consents
        after its person's withdrawal.
        """
        ...

    def withdraw_consent(self, session: Session, withdrawal: Withdrawal) -> None:
        """Adds a withdrawal to the ledger and to the session: from then on, no intent is stored.

        A person's withdrawal replaces one of the client. Raises ConditionFailed when it was withdrawn already, or the
        session is canceled or erased.
        """
        ...

    def record_in_flight(self, session_id: str, withdrawal: Withdrawal, in_flight: Sequence[str]) -> Session:
        """Records what had been sent to crun before ``withdrawal``, if this is not recorded; returns the session.

        Raises ConditionFailed when another withdrawal or a consent has followed.
        """
        ...

    def set_consent_terms(self, session: Session, terms: ConsentTerms) -> Session:
        """Replaces the terms that the person is asked for; returns the session.

        Raises ConditionFailed when the terms are not those of ``session``, or it is canceled or erased.
        """
        ...

    def record_consent_notice(self, session: Session, days: int, now: float) -> None:
        """Records the notice ``days`` before the end of the session's consent (0: the end), unless it has changed."""
        ...

    def decline_consent(self, session_id: str, now: float) -> Session:
        """Records that the person declined to consent; returns the session.

        Raises ConditionFailed when a consent exists, the person declined before, or the session no longer accepts
        consent.
        """
        ...

    def lease_lookup(self, session_id: str, number: int, execution: str, now: float, until: float) -> Session:
        """Gives ``execution`` the lease on this look-up until ``until``; returns the session *before* the lease.

        Raises ConditionFailed when another execution has a valid lease.
        """
        ...

    def release_lookup(self, session_id: str, number: int, execution: str) -> None:
        """Releases the lease after a look-up that certainly did not happen."""
        ...

    def record_not_yet(
        self, session_id: str, number: int, execution: str, answers: int, since: float, *, release: bool
    ) -> None:
        """Records that crun has responded ``answers`` times, first at ``since``, that there is no result yet.

        ``release`` also releases the lease of ``execution``.
        """
        ...

    def next_execution(self, session_id: str, number: int, executions: int) -> None:
        """Counts an execution that ended without an outcome, after ``executions`` others, for the next one's name."""
        ...

    def next_generation(self, session_id: str, generation: int) -> None:
        """Starts the next generation after an execution that ended before it claimed anything."""
        ...


class Receipts(Protocol):
    """Receipts: each has an item of its own, and its session has the valid one of each holder."""

    def add(self, issued: IssuedReceipt, before: Receipt | None) -> None:
        """Makes a receipt the valid one of its holder, in place of ``before``, which ends.

        Raises ConditionFailed when the session is erased, or has another receipt by now.
        """
        ...

    def add_pending(self, issued: IssuedReceipt) -> None:
        """Stores a receipt that becomes valid with its first use, in place of the one that it ``replaces``.

        Raises ConditionFailed when the session is erased, or that one is not valid anymore.
        """
        ...

    def use(self, session_id: str, holder: Holder, receipt: Receipt, replaces: str) -> None:
        """Makes a pending receipt the valid one, and ends the one that it replaces. A repetition changes nothing.

        Raises ConditionFailed when another one is valid.
        """
        ...

    def revoke(self, session: Session, holder: Holder) -> None:
        """Ends the holder's receipt that ``session`` has. Raises ConditionFailed when it has another one by now."""
        ...


class ConsentTexts(Protocol):
    """The operator's consent texts."""

    def current(self, language: Language, terms: ConsentTerms | None = None) -> ConsentText:
        """The current text, with sentences that name ``terms``."""
        ...

    def purpose(self, name: str, language: Language) -> str:
        """The words for a purpose, in a sentence; its name when the operator's list does not have it anymore."""
        ...

    def purposes(self, language: Language) -> dict[str, str]:
        """The words for every purpose of the operator's list, by its name."""
        ...


class Workflows(Protocol):
    """Executions of one state machine: ``onboard_person`` or ``make_generation``."""

    def start(self, name: str, document: str) -> bool:
        """Starts an execution; returns False when one of that name exists, running or ended."""
        ...

    def status(self, name: str) -> ExecutionStatus | None:
        """The status of the execution of that name; None when it does not exist or has expired."""
        ...

    def is_running(self, name: str) -> bool:
        """Whether the execution of that name has not ended."""
        ...

    def results(self, name: str) -> Results:
        """The results in the history of the execution of that name; none when the history has expired."""
        ...

    def stop(self, name: str) -> None:
        """Stops the execution of that name, if it exists."""
        ...
