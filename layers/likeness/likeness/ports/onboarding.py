"""Ports of the onboarding: sessions, the texts that people agree to, executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.asset import Asset
    from likeness.domain.consent import ConsentText
    from likeness.domain.executions import ExecutionStatus, Results
    from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Problem, Session, SessionPage


class SessionStore(Protocol):
    """Sessions in the inventory. Every change is one conditional write and safe to repeat."""

    def create_session(self, session: Session, assets: Sequence[Asset]) -> None:
        """Stores a session and its first assets, all or nothing."""
        ...

    def get_session(self, session_id: str) -> Session | None:
        """The session as it is now (strongly consistent)."""
        ...

    def list_sessions(
        self, client_id: str, *, limit: int, cursor: str | None, status: str | None, reference: str | None
    ) -> SessionPage:
        """A client's sessions, newest first."""
        ...

    def add_attempt(self, session_id: str, attempt: Attempt, now: float, *, given_up: Sequence[int] = ()) -> None:
        """Adds attempt ``attempt.number``; ConditionFailed when it exists or the session has moved on.

        ``given_up`` are the numbers of passes whose results nobody waits for any more: they become ``lost``.
        """
        ...

    def record_pass(self, session_id: str, number: int, result_code: str, now: float) -> Session:
        """An authentic callback said 10000.

        Repeating it succeeds until the group is known, so that the message behind it is sent again. ConditionFailed
        when the session has moved on.
        """
        ...

    def record_failed_attempt(self, session_id: str, number: int, result_code: str, why: Problem, now: float) -> None:
        """An authentic callback said that the newest attempt failed.

        ConditionFailed when it is not the newest, or something better is known.
        """
        ...

    def record_refused_result(
        self, session: Session, number: int, status: AttemptStatus, why: Problem, now: float
    ) -> None:
        """Crun has refused the result of attempt ``number`` of a session that is as given.

        The session asks for a further attempt, unless another one's result is on its way or a newer link is open.
        ConditionFailed when the session has changed: read it again.
        """
        ...

    def record_no_result(self, session_id: str, why: Problem, now: float) -> None:
        """A session in ``processing`` asks for a further attempt; nothing happens when it has moved on."""
        ...

    def save_group(self, session_id: str, number: int, group_id: str, now: float) -> None:
        """The group of attempt ``number`` is known: the session is verified.

        ConditionFailed when another group is known, or the session was canceled or erased.
        """
        ...

    def renew_invite(self, session_id: str) -> Session:
        """Ends the session's invite links; returns the session with the number of the next one.

        ConditionFailed when the session is canceled or erased.
        """
        ...

    def keep_consent_text(self, text: ConsentText) -> None:
        """Keeps the text that somebody is about to agree to; nothing deletes it."""
        ...

    def record_consent(self, session: Session, consent: Consent) -> None:
        """Adds a consent to the ledger, and shows it in the session.

        ConditionFailed when the same text was agreed to already, or the session takes no consent any more.
        """
        ...

    def lease_lookup(self, session_id: str, number: int, execution: str, now: float, until: float) -> Session:
        """Makes ``execution`` the only one to look this attempt up until ``until``; the session *before* the lease.

        ConditionFailed when another execution's lease is still good.
        """
        ...

    def release_lookup(self, session_id: str, number: int, execution: str) -> None:
        """Gives the lease back after a look-up that certainly did not happen."""
        ...

    def record_not_yet(
        self, session_id: str, number: int, execution: str, answers: int, since: float, *, release: bool
    ) -> None:
        """Crun has answered ``answers`` times, first at ``since``, that there is no result yet.

        ``release`` also gives ``execution``'s lease back.
        """
        ...

    def next_execution(self, session_id: str, number: int, executions: int) -> None:
        """Counts an execution that ended without an outcome, after ``executions`` others: names follow from it."""
        ...

    def next_generation(self, session_id: str, generation: int) -> None:
        """Moves on from a generation whose execution ended before it claimed anything."""
        ...


class ConsentTexts(Protocol):
    """What the operator asks people to agree to."""

    def current(self, language: Language) -> ConsentText:
        """The text in force."""
        ...


class Workflows(Protocol):
    """Executions of the state machine ``onboard_person``."""

    def start(self, name: str, document: str) -> bool:
        """Starts an execution; False when one of that name exists, running or ended."""
        ...

    def status(self, name: str) -> ExecutionStatus | None:
        """Where the execution of that name stands; None when there is none, or none any more."""
        ...

    def is_running(self, name: str) -> bool:
        """Whether the execution of that name has not ended."""
        ...

    def results(self, name: str) -> Results:
        """What the history of the execution of that name holds; nothing when there is no history any more."""
        ...

    def stop(self, name: str) -> None:
        """Ends the execution of that name, if there is one."""
        ...
