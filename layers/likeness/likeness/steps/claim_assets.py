"""State ClaimAssets: become the one execution that moves this session's assets, and say what to submit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from likeness.domain.polling import Schedule
from likeness.ports import Clock, Store
from likeness.steps.rounds import done, finish, plan


@dataclass(frozen=True, slots=True)
class ClaimAssets:
    """Claims a session's open work."""

    store: Store
    clock: Clock
    schedule: Schedule

    def __call__(self, session_id: str, execution: str, *, takes_over: str | None = None) -> dict[str, Any]:
        """See rounds.py. ``takes_over`` names a driver that has died."""
        now = self.clock.now()
        if not self.store.claim_driver(session_id, execution, takes_over):
            return done(0)
        following = plan(self.store, self.store.list_assets(session_id), self.schedule, now, 0)
        if following["next"] == "done":
            return finish(self.store, session_id, execution, self.schedule, now, 0)
        return following
