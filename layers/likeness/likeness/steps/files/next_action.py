"""What ClaimAssets and PollAssets share: which execution drives a session's assets, and the next action.

Both return a ``NextAction``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from likeness.domain.asset import OPEN_WORK, Asset, AssetStatus, duplicate_of
from likeness.domain.polling import Schedule
from likeness.errors import ConditionFailed
from likeness.ports.crun import PollHistory
from likeness.ports.files import AssetStore

#: What an execution may spend before a fresh one goes on, in polls of 9 history events each: 18,900 events, where Step
#: Functions ends an execution at 25,000. A day of waiting is under 70 polls.
MAX_POLLS = 2100
#: An execution that is a day old hands over at its next poll, and none begins a pause that would make it older than
#: six days: the machine's own time-out (seven days, TimeoutSeconds) is never met.
HAND_OVER_SECONDS, LONGEST_SECONDS = 86_400.0, 6 * 86_400.0
#: What one submission counts for: 7 events, and 3 for each of 28 tries when crun is away.
POLLS_PER_SUBMISSION = 10


class NextAction(TypedDict):
    """What the execution does next, as the state machine reads it.

    ``asset_ids`` are to be submitted. ``wait_seconds`` is the pause before crun is asked. ``round`` counts what the
    execution has spent. What is processing was not Active at ``asked_at`` (epoch seconds); None when nobody knows.
    """

    next: Literal["submit", "wait", "done"]
    asset_ids: list[str]
    wait_seconds: int
    round: int
    asked_at: float | None


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """When crun is asked again: a schedule, and what this stack has seen."""

    schedule: Schedule
    history: PollHistory

    def pause(self, waiting: Sequence[Asset], now: float, retry_after: float) -> int:
        """Seconds until the first of ``waiting`` is due. What is yet to be submitted is as young as can be."""
        ages = {(each.asset_type, round(each.seconds_at_crun(now))) for each in waiting}
        return min(
            self.schedule.next_delay(age, self.history.of(kind, now), retry_after=retry_after) for kind, age in ages
        )


def done(polls: int) -> NextAction:
    """Nothing is left for this execution."""
    return {"next": "done", "asset_ids": [], "wait_seconds": 1, "round": polls, "asked_at": None}


def next_action(
    store: AssetStore,
    assets: Sequence[Asset],
    poll_policy: PollPolicy,
    now: float,
    polls: int,
    *,
    asked_at: float | None,
    retry_after: float = 0,
) -> NextAction:
    """Submit what is uploaded; else wait for what crun still looks at; else there is nothing to do.

    Of files with the same bytes one goes first; the others follow when it has its AssetId, and share it. ``round``
    counts what the execution has spent. ``asked_at``: what is processing then was not Active at that time (epoch
    seconds); None when nobody knows.
    """
    assets = [_share(store, each, assets, now) for each in assets]
    submit = [asset for asset in assets if asset.status in OPEN_WORK and not _duplicate(asset, assets)]
    waiting = [asset for asset in assets if asset.status is AssetStatus.PROCESSING]
    if not submit and not waiting:
        return done(polls)
    return {
        "next": "submit" if submit else "wait",
        "asset_ids": [asset.id for asset in submit],
        "wait_seconds": poll_policy.pause([*submit, *waiting], now, retry_after),
        "round": polls + POLLS_PER_SUBMISSION * len(submit),
        "asked_at": asked_at,
    }


def _duplicate(asset: Asset, assets: Sequence[Asset]) -> Asset | None:
    return duplicate_of(asset, assets) if asset.status is AssetStatus.UPLOADED else None


def _share(store: AssetStore, asset: Asset, assets: Sequence[Asset], now: float) -> Asset:
    """The same bytes are at crun already: one AssetId for both, and no second upload. Only the driver decides that."""
    duplicate = _duplicate(asset, assets)
    if duplicate is None or duplicate.crun_asset_id is None:
        return asset
    shared = asset.shares_id_of(duplicate, now)
    try:
        store.change_asset(shared, [asset.status])
    except ConditionFailed:
        return store.get_asset(asset.session_id, asset.id) or asset
    return shared


def finish(
    store: AssetStore, session_id: str, execution: str, poll_policy: PollPolicy, now: float, polls: int
) -> NextAction:
    """Lets go of the session, then looks once more: an upload that came in between saw a driver and started nothing."""
    store.release_driver(session_id, execution)
    # Nothing was processing, and without a driver nothing is submitted.
    following = next_action(store, store.list_assets(session_id), poll_policy, now, polls, asked_at=now)
    if following["next"] == "done" or store.claim_driver(session_id, execution, None):
        return following
    return done(polls)  # somebody else has taken over
