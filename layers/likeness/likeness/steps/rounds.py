"""What ClaimAssets and PollAssets share: who drives a session's assets, and what comes next.

Both answer ``{"next": "submit" | "wait" | "done", "asset_ids": […], "wait_seconds": n, "round": n}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from likeness.domain.asset import OPEN_WORK, Asset, AssetStatus, twin_of
from likeness.domain.polling import Schedule
from likeness.errors import ConditionFailed
from likeness.ports import Store

#: What an execution may spend before a fresh one goes on, in rounds of 9 history events: 18,900 events, where Step
#: Functions ends an execution at 25,000. A day of waiting is under 70 rounds.
MAX_ROUNDS = 2100
#: What one submission counts for: 7 events, and 3 for each of 28 tries when crun is away.
SUBMISSION_ROUNDS = 10


def done(round_: int) -> dict[str, Any]:
    """Nothing is left for this execution."""
    return {"next": "done", "asset_ids": [], "wait_seconds": 1, "round": round_}


def plan(
    store: Store, assets: Sequence[Asset], schedule: Schedule, now: float, round_: int, retry_after: float = 0
) -> dict[str, Any]:
    """Submit what is uploaded; else wait for what crun still looks at; else there is nothing to do.

    Of files with the same bytes one goes first; the others follow when it has its AssetId, and share it. ``round``
    counts what the execution has spent.
    """
    assets = [_share(store, each, assets, now) for each in assets]
    submit = [asset.id for asset in assets if asset.status in OPEN_WORK and not _twin(asset, assets)]
    waiting = [now - (asset.submitted_at or now) for asset in assets if asset.status is AssetStatus.PROCESSING]
    spent = round_ + SUBMISSION_ROUNDS * len(submit)
    following = "submit" if submit else "wait" if waiting else "done"
    delay = schedule.next_delay(min(waiting, default=0), retry_after=retry_after)
    return {"next": following, "asset_ids": submit, "wait_seconds": delay, "round": spent}


def _twin(asset: Asset, assets: Sequence[Asset]) -> Asset | None:
    return twin_of(asset, assets) if asset.status is AssetStatus.UPLOADED else None


def _share(store: Store, asset: Asset, assets: Sequence[Asset], now: float) -> Asset:
    """The same bytes are at crun already: one AssetId for both, and no second upload. Only the driver decides that."""
    twin = _twin(asset, assets)
    if twin is None or twin.crun_asset_id is None:
        return asset
    there = twin.status is AssetStatus.ACTIVE
    shared = replace(
        # What finds its twin active was never submitted: the twin's time would make it seem to have waited since then.
        asset, status=twin.status, crun_asset_id=twin.crun_asset_id,
        submitted_at=None if there else twin.submitted_at, activated_at=now if there else None, updated_at=now,
    )  # fmt: skip
    try:
        store.change_asset(shared, [asset.status])
    except ConditionFailed:
        return store.get_asset(asset.session_id, asset.id) or asset
    return shared


def finish(
    store: Store, session_id: str, execution: str, schedule: Schedule, now: float, round_: int
) -> dict[str, Any]:
    """Lets go of the session, then looks once more: an upload that came in between saw a driver and started nothing."""
    store.release_driver(session_id, execution)
    following = plan(store, store.list_assets(session_id), schedule, now, round_)
    if following["next"] == "done" or store.claim_driver(session_id, execution, None):
        return following
    return done(round_)  # somebody else has taken over
