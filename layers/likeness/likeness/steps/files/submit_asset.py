"""State SubmitAsset: hand one checked file to crun.

asset-upload has no idempotency key and no list call, so the intent is recorded first: who finds ``submitting`` knows
that a call may have happened, and repeats it at most once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypedDict

from likeness.domain.asset import (
    MAX_AMBIGUOUS_SUBMISSIONS,
    OPEN_WORK,
    SUBMISSION_LEASE_SECONDS,
    Asset,
    AssetStatus,
    refused,
)
from likeness.domain.session import Problem
from likeness.errors import (
    ACCOUNT_REFUSALS,
    ConditionFailed,
    StorageUnavailable,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamRefused,
    WorkInProgress,
)
from likeness.ports.crun import Crun
from likeness.ports.files import AssetStore, Files
from likeness.ports.system import Clock


class Submitted(TypedDict):
    """crun has the file. The execution's history holds the AssetId, for a row that comes to know less."""

    outcome: Literal["submitted"]
    asset_id: str
    crun_asset_id: str
    resubmissions: int


class NotSubmitted(TypedDict):
    """The asset has ``failed``, or there was ``nothing`` to submit."""

    outcome: Literal["failed", "nothing"]


Submission = Submitted | NotSubmitted


@dataclass(frozen=True, slots=True)
class SubmitAsset:
    """Submits one asset. ``possible_orphan()`` counts an upload that may live at crun without our knowing its id."""

    store: AssetStore
    crun: Crun
    files: Files
    clock: Clock
    possible_orphan: Callable[[], None]

    def __call__(self, session_id: str, asset_id: str, submitter: str) -> Submission:
        """What became of the asset. Raises what is worth repeating.

        ``submitter`` names who submits, an execution or a request. Each invocation signs for itself: Lambda and Step
        Functions may run a second one while the first is still at it, and nobody repeats what another one may be at.
        """
        session, asset = self.store.load_asset(session_id, asset_id)
        if session is None or session.group_id is None or asset is None or asset.status not in OPEN_WORK:
            return {"outcome": "nothing"}
        if asset.status is AssetStatus.SUBMITTING:
            leased_until = asset.updated_at + SUBMISSION_LEASE_SECONDS
            if asset.submitting_by and self.clock.now() < leased_until:
                raise WorkInProgress("Somebody else is submitting this asset")
            if asset.ambiguous_submissions >= MAX_AMBIGUOUS_SUBMISSIONS:
                self.possible_orphan()
                problem = Problem("submission_unknown", "It is not known whether the file arrived.", retryable=True)
                return self._fail(asset, problem)
        try:
            intent = self._intend(asset, f"{submitter}/{self.clock.entropy().hex()}")
        except ConditionFailed:
            return {"outcome": "nothing"}
        if asset.status is AssetStatus.SUBMITTING:
            self.possible_orphan()
        try:
            crun_asset_id = self.crun.upload_asset(
                name=asset.name,
                asset_type=asset.asset_type.value,
                asset_url=self.files.download_url(asset.object_key, asset.version_id),
                group_id=session.group_id,
                correlation_id=session.correlation_id,
                client_id=session.client_id,
            )
        except UpstreamAmbiguous:
            self._release(intent)
            raise
        except (UpstreamDeferred, StorageUnavailable):
            self._revert(intent, asset)
            raise
        except UpstreamRefused as refusal:
            if refusal.upstream_code in ACCOUNT_REFUSALS:
                self._revert(intent, asset)
                raise
            return self._fail(intent, refused(refusal))
        submitted = intent.submitted(crun_asset_id, self.clock.now())
        try:
            self.store.change_asset(submitted, [AssetStatus.SUBMITTING])
        except ConditionFailed:
            # Only an erasure takes an asset out of our hands: what reached crun must be known to its tombstone.
            self.store.record_late_submission(submitted)
            return {"outcome": "nothing"}
        return {
            "outcome": "submitted",
            "asset_id": asset.id,
            "crun_asset_id": crun_asset_id,
            "resubmissions": asset.resubmissions,
        }

    def _intend(self, asset: Asset, signature: str) -> Asset:
        intent = asset.claimed(signature, self.clock.now())
        self.store.begin_submission(intent, asset)
        return intent

    def _revert(self, intent: Asset, before: Asset) -> None:
        """The call certainly did not happen: the asset waits as before, and nothing counts as ambiguous."""
        self.store.change_asset(before.released(self.clock.now()), [intent.status])

    def _release(self, intent: Asset) -> None:
        """The call may have happened, but nobody is at it any more: the next try need not wait out the lease."""
        # Where this cannot be written, it waits.
        with suppress(ConditionFailed, StorageUnavailable):
            self.store.change_asset(intent.released(self.clock.now()), [AssetStatus.SUBMITTING])

    def _fail(self, asset: Asset, problem: Problem) -> Submission:
        self.store.change_asset(asset.failed(problem, self.clock.now()), [asset.status])
        return {"outcome": "failed"}
