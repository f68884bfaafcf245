"""What ClaimAssets and PollAssets share: who drives a session's assets, and what comes next.

Both answer ``{"next": "submit" | "wait" | "done", "asset_ids": […], "wait_seconds": n, "round": n}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from likeness.domain.asset import OPEN_WORK, Asset, AssetStatus, twin_of
from likeness.domain.polling import Schedule
from likeness.ports import Store


def done(round_: int) -> dict[str, Any]:
    """Nothing is left for this execution."""
    return {"next": "done", "asset_ids": [], "wait_seconds": 1, "round": round_}


def plan(
    assets: Sequence[Asset], schedule: Schedule, now: float, round_: int, retry_after: float = 0
) -> dict[str, Any]:
    """Submit what is uploaded; else wait for what crun still looks at; else there is nothing to do.

    Of files with the same bytes one goes first; the others follow when it has its AssetId, and share it.
    """
    submit = [asset.id for asset in assets if asset.status in OPEN_WORK and not _waits_for_its_twin(asset, assets)]
    waiting = [now - (asset.submitted_at or now) for asset in assets if asset.status is AssetStatus.PROCESSING]
    following = "submit" if submit else "wait" if waiting else "done"
    delay = schedule.next_delay(min(waiting, default=0), retry_after=retry_after)
    return {"next": following, "asset_ids": submit, "wait_seconds": delay, "round": round_}


def _waits_for_its_twin(asset: Asset, assets: Sequence[Asset]) -> bool:
    twin = twin_of(asset, assets) if asset.status is AssetStatus.UPLOADED else None
    return twin is not None and twin.crun_asset_id is None


def finish(
    store: Store, session_id: str, execution: str, schedule: Schedule, now: float, round_: int
) -> dict[str, Any]:
    """Lets go of the session, then looks once more: an upload that came in between saw a driver and started nothing."""
    store.release_driver(session_id, execution)
    following = plan(store.list_assets(session_id), schedule, now, round_)
    if following["next"] == "done" or store.claim_driver(session_id, execution, None):
        return following
    return done(round_)  # somebody else has taken over
