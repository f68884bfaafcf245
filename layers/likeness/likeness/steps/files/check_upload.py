"""Handles S3 ``Object Created`` events: checks the uploaded file before crun gets it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from likeness.contracts.messages import AssetsReady
from likeness.domain.asset import NAME_LIMIT, Asset, AssetStatus
from likeness.domain.ids import ASSET_ID, SESSION_ID, dropped_asset_id
from likeness.domain.media import CONTENT_TYPES, MAX_BYTES, MediaRefused, content_type_of, inspect
from likeness.domain.media.limits import MAX_PIXELS, MIN_PIXELS
from likeness.domain.media.types import AssetType
from likeness.domain.session import Problem, SessionStatus
from likeness.errors import ConditionFailed, TooManyAttempts
from likeness.ports.files import Files
from likeness.ports.store import Store
from likeness.ports.system import Clock, Queue

#: Larger than the file's read buffer, because each read is one request to S3.
_CHUNK = 4 << 20


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Upload:
    """One object version from an S3 event. ``at`` is the event's time in epoch seconds."""

    key: str
    version_id: str | None
    size_bytes: int
    at: float

    @classmethod
    def from_event(cls, detail: dict[str, object], time: str) -> Upload:
        """Reads an EventBridge event ``Object Created`` (its keys are not URL-encoded)."""
        about = detail["object"]
        if not isinstance(about, dict):
            raise TypeError("detail.object")
        return cls(
            key=str(about["key"]),
            version_id=about.get("version-id"),
            size_bytes=int(about.get("size", 0)),
            at=datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp(),
        )


@dataclass(frozen=True, slots=True)
class CheckUpload:
    """Checks an uploaded file and starts its submission. A video has at most ``max_pixels`` (width x height).

    ``has_key(client_id)`` returns whether the client has a valid key.
    """

    store: Store
    files: Files
    queue: Queue
    clock: Clock
    max_pixels: int = MAX_PIXELS
    has_key: Callable[[str], bool] = lambda _: True

    def __call__(self, upload: Upload) -> str:
        """Returns ``ignored``, ``erased``, ``failed``, ``held``, ``waiting`` (for the validation) or ``ready``.

        ``held``: a person uploaded it through an invite link, but the client no longer has a valid key. The asset
        keeps waiting for its upload.
        """
        asset = self._registered(upload) or self._dropped(upload)
        if asset is None:
            return self._erased(upload) or "ignored"
        return self.of(asset, upload)

    def of(self, asset: Asset, upload: Upload) -> str:
        """Does the same for an asset that is known to wait for this object."""
        if asset.status is AssetStatus.AWAITING_UPLOAD:
            if asset.by_person and not self.has_key(asset.client_id):
                return "held"
            asset = self._check(asset, upload)
        if asset.status is AssetStatus.REDACTED:
            return self._delete(upload)
        if asset.status is AssetStatus.FAILED:
            return "failed"
        # Read after the write above: if the group is not visible here, the validation claims this asset later.
        session = self.store.get_session(asset.session_id)
        if session is None or session.group_id is None or asset.status is not AssetStatus.UPLOADED:
            return "waiting"
        self.queue.send(AssetsReady(session_id=session.id, correlation_id=session.correlation_id).to_json())
        return "ready"

    def _erased(self, upload: Upload) -> str | None:
        """Deletes a file that arrives after its session was erased. Returns None for any other file."""
        _, _, rest = upload.key.partition("/")
        session_id = rest.partition("/")[0]
        session = self.store.get_session(session_id) if SESSION_ID.fullmatch(session_id) else None
        if session is None or session.status is not SessionStatus.REDACTED:
            return None
        return self._delete(upload)

    def _delete(self, upload: Upload) -> str:
        self.files.delete(upload.key, upload.version_id)
        return "erased"

    def _registered(self, upload: Upload) -> Asset | None:
        parts = upload.key.split("/")
        if len(parts) != 4 or (parts[0], parts[3]) != ("uploads", "file") or not SESSION_ID.fullmatch(parts[1]):
            return None
        _, session_id, asset_id, _ = parts
        asset = self.store.get_asset(session_id, asset_id) if ASSET_ID.fullmatch(asset_id) else None
        # Only the version that was checked is submitted. Later versions are ignored.
        if asset and asset.version_id not in (None, upload.version_id):
            return None
        return asset

    def _dropped(self, upload: Upload) -> Asset | None:
        parts = upload.key.split("/")
        if len(parts) != 3 or parts[0] != "inbox" or not SESSION_ID.fullmatch(parts[1]) or not parts[2]:
            return None
        _, session_id, name = parts
        session = self.store.get_session(session_id)
        if session is None or not session.accepts_uploads:
            return None
        asset_id = dropped_asset_id(int(upload.at * 1000), upload.key, upload.version_id or "")
        now = self.clock.now()
        content_type = content_type_of(name) or "application/octet-stream"
        asset = Asset(
            id=asset_id,
            session_id=session_id,
            name=re.sub(r"[\x00-\x1f\x7f]", "", name)[:NAME_LIMIT] or "file",
            # From the file name. The check that follows sets the type of the content.
            asset_type=CONTENT_TYPES.get(content_type, AssetType.IMAGE),
            content_type=content_type,
            status=AssetStatus.AWAITING_UPLOAD,
            object_key=upload.key,
            created_at=now,
            updated_at=now,
            size_bytes=upload.size_bytes,
            client_id=session.client_id,
        )
        try:
            is_new = self.store.add_asset(asset)
        except (ConditionFailed, TooManyAttempts):
            return None
        return asset if is_new else self.store.get_asset(session_id, asset_id)

    def _inspect(self, upload: Upload, declared: AssetType | None) -> tuple[AssetType, str, str]:
        if upload.size_bytes > max(MAX_BYTES.values()):
            raise MediaRefused("file_too_large", "The file is too large.")
        file = self.files.open(upload.key, upload.version_id, upload.size_bytes)
        facts = inspect(
            file,
            size_bytes=upload.size_bytes,
            declared=declared,
            min_pixels=MIN_PIXELS,
            max_pixels=self.max_pixels,
        )
        return facts.asset_type, facts.content_type, _digest(file)

    def _check(self, asset: Asset, upload: Upload) -> Asset:
        now = self.clock.now()
        checked = asset.received(upload.version_id, upload.size_bytes, now)
        dropped = asset.object_key.startswith("inbox/")
        try:
            kind, content_type, digest = self._inspect(upload, None if dropped else asset.asset_type)
            if asset.sha256 not in (None, digest):
                raise MediaRefused("content_mismatch", "This is not the file that was registered.")
            checked = checked.uploaded(kind, content_type, digest, now)
        except MediaRefused as refused:
            code = refused.code
            if asset.request is not None and code == "type_mismatch":
                code = "unexpected_type"
            checked = checked.failed(Problem(code, refused.message, refused.crun_code), now)
        try:
            self.store.change_asset(checked, [AssetStatus.AWAITING_UPLOAD])
        except ConditionFailed:
            return self.store.get_asset(asset.session_id, asset.id) or checked
        return checked
