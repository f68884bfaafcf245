"""State ClaimAssets: become the one execution that drives this session's assets, and say what to submit."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.domain.asset import AssetStatus
from likeness.ports.files import AssetStore
from likeness.ports.system import Clock
from likeness.steps.files.next_action import NextAction, PollPolicy, done, finish, next_action


@dataclass(frozen=True, slots=True)
class ClaimAssets:
    """Claims a session's open work."""

    store: AssetStore
    clock: Clock
    poll_policy: PollPolicy

    def __call__(
        self, session_id: str, execution: str, *, takes_over: str | None = None, group_id: str | None = None
    ) -> NextAction:
        """See next_action.py. ``takes_over`` names a driver that has ended.

        ``group_id`` is what the execution's own look-up has found: where SaveGroup could not save it, because the
        session was erased in the meantime or has another group, it is kept here.
        """
        now = self.clock.now()
        if not self.store.claim_driver(session_id, execution, takes_over):
            if group_id:
                self.store.record_late_group(session_id, group_id)
            return done(0)
        session, assets = self.store.load(session_id)
        if group_id and session and session.group_id != group_id:
            self.store.record_late_group(session_id, group_id)
        # When another execution asked for what it has left behind, nobody knows.
        inherited = any(asset.status is AssetStatus.PROCESSING for asset in assets)
        following = next_action(self.store, assets, self.poll_policy, now, 0, asked_at=None if inherited else now)
        if following["next"] == "done":
            return finish(self.store, session_id, execution, self.poll_policy, now, 0)
        return following
