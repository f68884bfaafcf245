"""POST /api/v1/client/job/asset-upload: fetches a file by its URL into our bucket, and submits it to crun from there.

The caller's URL may expire soon and crun may be slow, so the file is stored first. The response waits for crun's
AssetId, so that ``asset://<AssetId>`` works in a generation request. If crun defers for longer than a caller can wait,
the response has our own id, and the onboarding continues in the background.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.messages import AssetsReady
from likeness.domain.asset import OPEN_WORK, Asset, AssetStatus, new_asset, refused
from likeness.domain.caller import Caller
from likeness.domain.files import Download
from likeness.domain.media import MAX_BYTES, MediaRefused, inspect
from likeness.domain.media.limits import MAX_PIXELS, MIN_PIXELS
from likeness.domain.media.types import AssetType
from likeness.domain.session import Problem, Session
from likeness.errors import (
    ConditionFailed,
    InvalidRequest,
    NotFound,
    RequestError,
    StorageUnavailable,
    TooManyAttempts,
    UpstreamDeferred,
    UpstreamError,
    UpstreamRefused,
    WorkInProgress,
)
from likeness.steps.crun_routes.get_result import UpstreamIds, find_in_index
from likeness.steps.crun_routes.retry_policy import RetryPolicy

if TYPE_CHECKING:
    from likeness.ports.files import Downloads, Files
    from likeness.ports.store import Store
    from likeness.ports.system import Clock, Queue

#: The time for all attempts to fetch the file. The rest fits into API Gateway's 29 s.
_FETCH_SECONDS, _FETCH_PAUSE_SECONDS = 10.0, 0.5
#: When the last call to crun may start, after the request began.
_TRIES_SECONDS = 12.0
_PAUSE_SECONDS = 0.4
_NOT_FETCHED = "The file could not be fetched from its URL ({})."


@dataclass(frozen=True, slots=True)
class FetchAsset:
    """Adds files by URL. ``submit(session_id, asset_id, submitter)`` is the step SubmitAsset.

    A video has at most ``max_pixels`` (width x height).
    """

    store: Store
    ids: UpstreamIds
    downloads: Downloads
    files: Files
    queue: Queue
    submit: Callable[[str, str, str], object]
    retry: RetryPolicy
    clock: Clock
    max_pixels: int = MAX_PIXELS

    def __call__(
        self, caller: Caller, *, name: str, asset_type: str, asset_url: str, group_id: str, submitter: str
    ) -> Asset:
        """Returns the asset. For a file that cannot be fetched or used, the asset is Failed with the reason.

        Raises NotFound when the group is not the caller's, InvalidRequest when it is full, and UpstreamRefused when
        crun refuses the file. ``submitter`` names the request.
        """
        began = self.clock.now()
        session = self._session(caller, group_id)
        kind = AssetType(asset_type)
        found = self._fetch(asset_url, MAX_BYTES[kind], began + _FETCH_SECONDS)
        asset = self._stored(session, name, kind, found)
        if asset.status is AssetStatus.FAILED:
            self._register(asset)
            return asset
        try:
            self._register(asset)
        except RequestError:  # after any other error the row may exist
            self.files.delete(asset.object_key, asset.version_id)
            raise
        # Sent before crun is called, so that the file is submitted even if this request fails.
        self.queue.send(AssetsReady(session_id=session.id, correlation_id=session.correlation_id).to_json())
        return self._submitted(asset, submitter, began + _TRIES_SECONDS)

    def _session(self, caller: Caller, group_id: str) -> Session:
        found = find_in_index(lambda: self.ids.session_of(group_id, caller.client_id), self.retry.sleep)
        session = self.store.get_session(found) if found else None
        if session is None or session.client_id != caller.client_id or not session.accepts_uploads:
            raise NotFound("group_id: asset group not found")
        session.require_permitted(self.clock.now())
        return session

    def _fetch(self, url: str, limit_bytes: int, until: float) -> Download:
        pause = _FETCH_PAUSE_SECONDS
        while True:
            found = self.downloads.fetch(url, limit_bytes, until - self.clock.now())
            if not found.retryable or self.clock.now() + pause >= until:
                return found
            self.retry.sleep(pause)
            pause *= 2

    def _stored(self, session: Session, name: str, kind: AssetType, found: Download) -> Asset:
        """Stores the file and returns the asset to register: uploaded, or failed with the reason."""
        now, size = self.clock.now(), len(found.content)
        asset = new_asset(
            session, now, self.clock.entropy(),
            name=name, asset_type=kind, content_type="application/octet-stream", size_bytes=size,
        )  # fmt: skip
        if found.problem:
            code = "file_too_large" if found.problem == "too_large" else "download_failed"
            why = Problem(code, _NOT_FETCHED.format(found.problem), retryable=found.retryable)
            return asset.failed(why, now)
        try:
            facts = inspect(
                io.BytesIO(found.content),
                size_bytes=size,
                declared=kind,
                min_pixels=MIN_PIXELS,
                max_pixels=self.max_pixels,
            )
        except MediaRefused as refused:
            return asset.failed(Problem(refused.code, refused.message, refused.crun_code), now)
        version_id = self.files.put(asset.object_key, facts.content_type, found.content)
        digest = hashlib.sha256(found.content).hexdigest()
        return asset.received(version_id, size, now).uploaded(kind, facts.content_type, digest, now)

    def _register(self, asset: Asset) -> None:
        try:
            self.store.add_asset(asset)
        except ConditionFailed:
            raise NotFound("group_id: asset group not found") from None
        except TooManyAttempts as full:
            raise InvalidRequest(f"group_id: {full.message}", field="group_id") from None

    def _submitted(self, asset: Asset, submitter: str, until: float) -> Asset:
        """Returns the asset once crun has accepted or refused it, or its current state when the time is over."""
        while self.clock.now() <= until:
            waits = self._submit(asset, submitter, until)
            asset = self.store.get_asset(asset.session_id, asset.id) or asset
            self._raise_refusal(asset)
            if asset.status not in OPEN_WORK or waits:
                break
            self.retry.sleep(_PAUSE_SECONDS)
        return asset

    def _submit(self, asset: Asset, submitter: str, until: float) -> bool:
        """Submits the asset. Returns whether further attempts in this request are useless."""
        try:
            self.retry(lambda: self.submit(asset.session_id, asset.id, submitter), until)
        except UpstreamRefused as refusal:
            self._withdraw(asset, refusal)
            raise
        except (UpstreamDeferred, StorageUnavailable):
            return True
        except (UpstreamError, WorkInProgress):
            pass  # an ambiguous call, which is repeated once, or an execution is submitting the asset
        return False

    def _withdraw(self, asset: Asset, refusal: UpstreamRefused) -> None:
        """Fails the asset, so that a file whose refusal the caller sees is not submitted later."""
        failed = asset.failed(refused(refusal), self.clock.now())
        # fails if the execution that the message started has already claimed the file
        with suppress(ConditionFailed):
            self.store.change_asset(failed, [AssetStatus.UPLOADED])

    @staticmethod
    def _raise_refusal(asset: Asset) -> None:
        """Raises UpstreamRefused when crun refused the upload, as crun's own route does."""
        code: Any = asset.error and asset.error.upstream_code
        if asset.crun_asset_id is None and code and code.isdecimal():
            listed = asset.error and asset.error.upstream_message
            raise UpstreamRefused(int(code), errors=[listed] if listed else ())
