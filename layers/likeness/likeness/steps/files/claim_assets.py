"""State ClaimAssets: makes this execution the session's driver and returns the assets to submit."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.domain.asset import AssetStatus
from likeness.ports.files import AssetStore
from likeness.ports.system import Clock
from likeness.steps.files.next_action import NextAction, PollPolicy, done, finish, next_action


@dataclass(frozen=True, slots=True)
class ClaimAssets:
    """Claims the driver role of a session."""

    store: AssetStore
    clock: Clock
    poll_policy: PollPolicy

    def __call__(
        self, session_id: str, execution: str, *, takes_over: str | None = None, group_id: str | None = None
    ) -> NextAction:
        """Returns the next action (see next_action.py). ``takes_over`` names a driver that has ended.

        ``group_id`` is the group that this execution looked up. It is recorded here if SaveGroup could not save it
        because the session was erased in the meantime or has another group.
        """
        now = self.clock.now()
        if not self.store.claim_driver(session_id, execution, takes_over):
            if group_id:
                self.store.record_late_group(session_id, group_id)
            return done(0)
        session, assets = self.store.load(session_id)
        if group_id and session and session.group_id != group_id:
            self.store.record_late_group(session_id, group_id)
        # It is unknown when the previous driver last polled the assets that it left in processing.
        inherited = any(asset.status is AssetStatus.PROCESSING for asset in assets)
        following = next_action(
            self.store,
            assets,
            self.poll_policy,
            now,
            0,
            asked_at=None if inherited else now,
            permitted=session is not None and session.is_permitted(now),
        )
        if following["next"] == "done":
            return finish(self.store, session_id, execution, self.poll_policy, now, 0)
        return following
