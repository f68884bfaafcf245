"""Ports of the files: assets, the upload bucket, downloads from other servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.asset import Asset, AssetStatus
    from likeness.domain.files import Download, FoundFile, UploadForm
    from likeness.domain.polling import History
    from likeness.domain.session import Session


class AssetStore(Protocol):
    """Assets in the inventory. Every change is one conditional write and safe to repeat."""

    def add_asset(self, asset: Asset, earlier: Asset | None = None) -> bool:
        """Registers an asset and counts it in its session; returns False when it exists.

        A person's asset clears ``finished_at``. One for a file request becomes the request's asset, instead of
        ``earlier`` (None: the first one). Frees expired slots first. Raises TooManyAttempts when the session is full,
        or its person has MAX_PERSON_SLOTS pending uploads, and ConditionFailed when it does not accept uploads, the
        person declined to consent, or the request or the status of ``earlier`` has changed.
        """
        ...

    def extend_slot(self, asset: Asset) -> None:
        """Extends the slot of a file that was not uploaded yet, from ``asset.updated_at`` on.

        Raises TooManyAttempts when the slot was freed and the session is full, and ConditionFailed when the asset does
        not wait for its file anymore.
        """
        ...

    def get_asset(self, session_id: str, asset_id: str) -> Asset | None:
        """The current asset (strongly consistent)."""
        ...

    def list_assets(self, session_id: str) -> list[Asset]:
        """All assets of a session, in order of registration (strongly consistent)."""
        ...

    def load(self, session_id: str) -> tuple[Session | None, list[Asset]]:
        """The session and all its assets in one read (strongly consistent)."""
        ...

    def load_asset(self, session_id: str, asset_id: str) -> tuple[Session | None, Asset | None]:
        """The session and one of its assets in one read (strongly consistent)."""
        ...

    def claim_driver(self, session_id: str, execution: str, takes_over: str | None) -> bool:
        """Makes ``execution`` the driver of this session's assets; returns False when another one is."""
        ...

    def release_driver(self, session_id: str, execution: str) -> None:
        """Removes the session's driver; does nothing when ``execution`` is not the driver."""
        ...

    def change_asset(
        self,
        asset: Asset,
        expected: Sequence[AssetStatus],
        seen: History | None = None,
        *,
        first_active: bool = False,
    ) -> None:
        """Writes ``asset`` if its status is still one of ``expected``; raises ConditionFailed otherwise.

        The same write adds ``seen`` to the history of its type; under contention, it may be lost. With
        ``first_active`` it also records in the session that a file is active; an earlier time stays.
        """
        ...

    def retry_asset(self, asset: Asset, before: Asset) -> None:
        """Writes ``asset`` if it is still as ``before``, its session accepts uploads, and its request still names it.

        Raises ConditionFailed otherwise.
        """
        ...

    def begin_submission(self, intent: Asset, before: Asset) -> None:
        """Writes ``intent`` before a submission if the asset is still as ``before``; raises ConditionFailed otherwise.

        Of two callers that have read the same state, only one succeeds: each intent increments
        ``ambiguous_submissions``.
        """
        ...

    def keep_earlier_id(self, asset: Asset) -> None:
        """Keeps the asset findable by its current id at crun, before it gets another one."""
        ...

    def record_late_submission(self, asset: Asset) -> None:
        """Stores the AssetId of a file that crun received while its session was erased, for the deletion at crun."""
        ...

    def record_late_group(self, session_id: str, group_id: str) -> None:
        """Stores a further GroupId that arrived after the session was erased or verified, for the deletion at crun.

        Does nothing when the session has it already, or has no group yet.
        """
        ...


class Files(Protocol):
    """The upload bucket."""

    def upload_form(self, key: str, content_type: str, size_bytes: int, now: float) -> UploadForm:
        """A presigned POST for exactly this key, type and size."""
        ...

    def download_url(self, key: str, version_id: str | None) -> str:
        """A presigned GET of one version, valid for at most 15 minutes. A secret."""
        ...

    def preview_url(self, key: str, version_id: str | None, content_type: str) -> str:
        """A presigned GET of one version for an ``<img>``, valid for PREVIEW_SECONDS. A secret.

        The response has this content type, and a fixed file name.
        """
        ...

    def put(self, key: str, content_type: str, content: bytes) -> str | None:
        """Stores an object and returns its version."""
        ...

    def erase(self, prefix: str) -> None:
        """Deletes all versions of all objects with keys that begin with ``prefix``."""
        ...

    def delete(self, key: str, version_id: str | None) -> None:
        """Deletes one version."""
        ...

    def find(self, key: str) -> FoundFile | None:
        """The newest version of an object, or None."""
        ...

    def keeps(self, key: str, version_id: str | None) -> bool:
        """Whether this version of an object, the newest for None, is still stored."""
        ...

    def open(self, key: str, version_id: str | None, size_bytes: int) -> BinaryIO:
        """A seekable file of one version that downloads only the ranges that are read."""
        ...


class Downloads(Protocol):
    """Files behind untrusted URLs."""

    def fetch(self, url: str, limit_bytes: int, seconds: float) -> Download:
        """Downloads a file with one try, at most ``limit_bytes`` and, without name resolution, ``seconds``.

        Never raises for the URL or the server's behaviour. The problems: ``too_large``, ``timeout``,
        ``private_address``, ``tls``, ``no_connection``, ``no_answer``, ``status`` (any but 200), ``incomplete``,
        ``too_many_redirects``, ``not_http``. A file without a Content-Length ends with its connection.
        """
        ...
