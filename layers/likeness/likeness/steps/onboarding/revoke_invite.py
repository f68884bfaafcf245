"""DELETE /sessions/{id}/invite: invite links of the session stop working, and no new one is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from likeness.contracts.views import session_view
from likeness.domain.caller import Caller
from likeness.ports.store import Store
from likeness.ports.system import Clock
from likeness.steps.onboarding.get_session import own_session_with_assets


@dataclass(frozen=True, slots=True)
class RevokeInvite:
    """Revokes invite links. ``max_attempts`` per session is for the view."""

    store: Store
    clock: Clock
    max_attempts: int

    def __call__(self, caller: Caller, wanted: str) -> dict[str, Any]:
        """Returns the session's view. A repetition has no further effect, and a new link can be created afterwards.

        Raises NotFound, and Forbidden for a person.
        """
        session, assets = own_session_with_assets(self.store, caller, wanted)
        caller.require_client()
        self.store.revoke_invite(session.id)
        return session_view(session, assets, now=self.clock.now(), max_attempts=self.max_attempts)
