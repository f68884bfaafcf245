"""State SubmitAsset: submits one checked file to crun.

crun's asset-upload has no idempotency key, and crun cannot list assets. The intent is therefore stored first: the
status ``submitting`` means that a call may have happened. It is repeated at most once.
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
    """crun has the file. The AssetId is in the execution's history, from where a restored table can recover it."""

    outcome: Literal["submitted"]
    asset_id: str
    crun_asset_id: str
    resubmissions: int


class NotSubmitted(TypedDict):
    """The asset has ``failed``, or it needed no submission (``nothing``)."""

    outcome: Literal["failed", "nothing"]


Submission = Submitted | NotSubmitted


@dataclass(frozen=True, slots=True)
class SubmitAsset:
    """Submits one asset. ``possible_orphan()`` counts an upload that crun may keep under an AssetId unknown to us."""

    store: AssetStore
    crun: Crun
    files: Files
    clock: Clock
    possible_orphan: Callable[[], None]

    def __call__(self, session_id: str, asset_id: str, submitter: str) -> Submission:
        """Returns the outcome. Raises an error that is worth a retry.

        ``submitter`` names the execution or request that submits. Each invocation takes a lease of its own, because
        Lambda and Step Functions may run a second one while the first is still running.
        """
        session, asset = self.store.load_asset(session_id, asset_id)
        if session is None or session.group_id is None or asset is None or asset.status not in OPEN_WORK:
            return {"outcome": "nothing"}
        if asset.status is AssetStatus.SUBMITTING:
            leased_until = asset.updated_at + SUBMISSION_LEASE_SECONDS
            if asset.submitting_by and self.clock.now() < leased_until:
                raise WorkInProgress("Somebody else is submitting this asset")
            # Without a consent, a call that may have happened is not repeated either.
            if asset.ambiguous_submissions >= MAX_AMBIGUOUS_SUBMISSIONS or not session.is_permitted(self.clock.now()):
                self.possible_orphan()
                problem = Problem("submission_unknown", "It is not known whether the file arrived.", retryable=True)
                return self._fail(asset, problem)
        if not session.is_permitted(self.clock.now()):
            return {"outcome": "nothing"}
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
            # Only an erasure ends a submission like this. The tombstone must name what reached crun.
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
        """Restores the asset after a call that certainly did not happen, so that it does not count as ambiguous."""
        self.store.change_asset(before.released(self.clock.now()), [intent.status])

    def _release(self, intent: Asset) -> None:
        """Ends the lease of a call that may have happened, so that the next attempt need not wait for it to expire."""
        # If this write fails, the lease expires by itself.
        with suppress(ConditionFailed, StorageUnavailable):
            self.store.change_asset(intent.released(self.clock.now()), [AssetStatus.SUBMITTING])

    def _fail(self, asset: Asset, problem: Problem) -> Submission:
        self.store.change_asset(asset.failed(problem, self.clock.now()), [asset.status])
        return {"outcome": "failed"}
