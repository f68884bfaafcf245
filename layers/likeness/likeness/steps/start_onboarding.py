"""One message of the onboarding queue: start the execution that it calls for, unless one is at it already."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported
from likeness.domain.asset import IN_PROGRESS, Asset
from likeness.domain.session import AttemptStatus, Session
from likeness.errors import WorkInProgress
from likeness.ports import Store, Workflows


@dataclass(frozen=True, slots=True)
class StartOnboarding:
    """Reads the row, then acts only on what is still to be done."""

    store: Store
    workflows: Workflows

    def __call__(self, message: PassReported | LinkCheck | AssetsReady) -> str:
        """What was done: ``started``, ``exists`` or ``nothing``. Raises what should bring the message back."""
        if isinstance(message, AssetsReady):
            return self._assets(*self.store.load(message.session_id))
        session = self.store.get_session(message.session_id)
        if session is None:
            return "nothing"
        attempt = session.attempts.get(message.attempt)
        if session.group_id or attempt is None:
            return "nothing"
        if isinstance(message, PassReported):
            return self._validate(session, message.attempt, "") if attempt.status is AttemptStatus.PASSED else "nothing"
        if attempt.status is AttemptStatus.PASSED:
            return self._validate(session, message.attempt, "")
        return self._validate(session, message.attempt, "-check") if attempt.status is AttemptStatus.OPEN else "nothing"

    def _validate(self, session: Session, number: int, suffix: str) -> str:
        name = f"{session.id}-a{number}{suffix}"
        document = {
            "attempt": number,
            "last_chance": bool(suffix),
            "session_id": session.id,
            "work": "validate",
        }
        return "started" if self.workflows.start(name, _input(session, document)) else "exists"

    def _assets(self, session: Session | None, assets: list[Asset]) -> str:
        if session is None or session.group_id is None:
            return "nothing"  # the validation claims every uploaded asset once it has saved the group
        if not any(each.status in IN_PROGRESS for each in assets):
            return "nothing"  # a message that came twice, or late: somebody has done the work
        if session.driver and self.workflows.is_running(session.driver):
            return "nothing"  # the driver looks for new uploads before and after it lets go
        name = f"{session.id}-g{session.generation}"
        document = {"session_id": session.id, "takes_over": session.driver or "", "work": "assets"}
        if self.workflows.start(name, _input(session, document)):
            return "started"
        if self.workflows.is_running(name):
            return "exists"
        # It ended before it claimed anything, and its name is taken for 90 days: the next one needs another name.
        self.store.next_generation(session.id, session.generation)
        raise WorkInProgress("An execution ended without claiming; try again under a new name")


def _input(session: Session, document: dict[str, Any]) -> str:
    """The same bytes for the same execution, whatever message asks for it: the correlation id is the stored one."""
    if session.correlation_id:
        document = document | {"correlation_id": session.correlation_id}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
