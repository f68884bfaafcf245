"""The driver's next action, which ClaimAssets and PollAssets both return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from likeness.domain.asset import OPEN_WORK, Asset, AssetStatus, duplicate_of
from likeness.domain.polling import Schedule
from likeness.errors import ConditionFailed
from likeness.ports.crun import PollHistory
from likeness.ports.files import AssetStore

#: Polls before an execution hands over to a new one. A poll is 9 history events: 18,900 events in total, and Step
#: Functions ends an execution at 25,000. A day of waiting is under 70 polls.
MAX_POLLS = 2100
#: An execution that is one day old hands over at its next poll. No execution starts a pause that would make it older
#: than six days, so the state machine's timeout (TimeoutSeconds, seven days) is never reached.
HAND_OVER_SECONDS, LONGEST_SECONDS = 86_400.0, 6 * 86_400.0
#: The cost of one submission: 7 history events, and 3 for each of 28 attempts when crun is unavailable.
POLLS_PER_SUBMISSION = 10


class NextAction(TypedDict):
    """The execution's next action, in the form that the state machine reads.

    ``asset_ids`` are the assets to submit. ``wait_seconds`` is the pause before the next poll. ``round`` is the cost of
    the execution so far, in polls. ``asked_at`` (epoch seconds) is a time at which no processing asset was Active, None
    when no such time is known.
    """

    next: Literal["submit", "wait", "done"]
    asset_ids: list[str]
    wait_seconds: int
    round: int
    asked_at: float | None


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """Decides when to poll again, from a schedule and from this stack's history."""

    schedule: Schedule
    history: PollHistory

    def pause(self, waiting: Sequence[Asset], now: float, retry_after: float) -> int:
        """Returns the seconds until the first of ``waiting`` is due. Assets not yet submitted have age 0."""
        ages = {(each.asset_type, round(each.seconds_at_crun(now))) for each in waiting}
        return min(
            self.schedule.next_delay(age, self.history.of(kind, now), retry_after=retry_after) for kind, age in ages
        )


def done(polls: int) -> NextAction:
    """Returns the action of an execution that has no work left."""
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
    permitted: bool = True,
) -> NextAction:
    """Returns ``submit`` if assets are uploaded, ``wait`` if crun is processing assets, and ``done`` otherwise.

    Of several files with the same bytes, one is submitted. The others wait for its AssetId and share it. ``asked_at``
    is described at ``NextAction``. Unless the session's consent permits it, no uploaded file is submitted or shares an
    AssetId; SubmitAsset ends what is ``submitting``.
    """
    if permitted:
        assets = [_share(store, each, assets, now) for each in assets]
        submit = [asset for asset in assets if asset.status in OPEN_WORK and not _duplicate(asset, assets)]
    else:
        submit = [asset for asset in assets if asset.status is AssetStatus.SUBMITTING]
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
    """Gives the asset the AssetId of a duplicate that crun already has. Only the driver does this."""
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
    """Releases the session, then checks for an upload that arrived before: it saw a driver and started nothing."""
    store.release_driver(session_id, execution)
    # No asset was processing, and without a driver none is submitted.
    session, assets = store.load(session_id)
    permitted = session is not None and session.is_permitted(now)
    following = next_action(store, assets, poll_policy, now, polls, asked_at=now, permitted=permitted)
    if following["next"] == "done" or store.claim_driver(session_id, execution, None):
        return following
    return done(polls)  # another execution has taken over
