"""Ports of the files: assets, the upload bucket, downloads from other servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol

from likeness.domain.polling import NOTHING_SEEN, History

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.asset import Asset, AssetStatus
    from likeness.domain.files import Download, FoundFile, UploadForm
    from likeness.domain.session import Session


class AssetStore(Protocol):
    """Assets in the inventory. Every change is one conditional write and safe to repeat."""

    def add_asset(self, asset: Asset) -> bool:
        """Registers an asset and counts it in its session; False when it is there already.

        TooManyAttempts when the session is full, or its person has MAX_PERSON_SLOTS waiting; ConditionFailed when it
        takes no uploads. Places that are over are given back before.
        """
        ...

    def extend_slot(self, asset: Asset) -> None:
        """Keeps the slot of a file that is awaited for some more time: ``asset.updated_at`` says since when.

        TooManyAttempts when it was given back and the session is full; ConditionFailed when it waits no more.
        """
        ...

    def get_asset(self, session_id: str, asset_id: str) -> Asset | None:
        """The asset as it is now (strongly consistent)."""
        ...

    def list_assets(self, session_id: str) -> list[Asset]:
        """All assets of a session, in the order of their registration (strongly consistent)."""
        ...

    def load(self, session_id: str) -> tuple[Session | None, list[Asset]]:
        """The session and all its assets in one read (strongly consistent)."""
        ...

    def load_asset(self, session_id: str, asset_id: str) -> tuple[Session | None, Asset | None]:
        """The session and one of its assets in one read (strongly consistent)."""
        ...

    def claim_driver(self, session_id: str, execution: str, takes_over: str | None) -> bool:
        """Makes ``execution`` the one that moves this session's assets; False when another one does."""
        ...

    def release_driver(self, session_id: str, execution: str) -> None:
        """The session has no driver any more; nothing happens when ``execution`` was not the driver."""
        ...

    def change_asset(self, asset: Asset, expected: Sequence[AssetStatus], seen: History = NOTHING_SEEN) -> None:
        """Writes ``asset`` if its status is still one of ``expected``; ConditionFailed otherwise.

        ``seen`` is added to the history of its type with the same write; where that is contended, it may be lost.
        """
        ...

    def begin_submission(self, intent: Asset, before: Asset) -> None:
        """Writes ``intent`` to hand an asset to crun if it is still as ``before``; ConditionFailed otherwise.

        Of two who have read the same state one begins: each intent counts up ``ambiguous_submissions``.
        """
        ...

    def keep_earlier_id(self, asset: Asset) -> None:
        """Keeps the asset findable by the id that crun has given it, before it gets another one."""
        ...

    def record_late_submission(self, asset: Asset) -> None:
        """Keeps the AssetId of a file that reached crun while its session was erased: it has to be asked for there."""
        ...

    def record_late_group(self, session_id: str, group_id: str) -> None:
        """Keeps a GroupId that came when the session was erased or had another one: crun has to be asked for it too.

        Nothing happens when the session knows it, or is still to get its group.
        """
        ...


class Files(Protocol):
    """The upload bucket."""

    def upload_form(self, key: str, content_type: str, size_bytes: int, now: float) -> UploadForm:
        """A presigned POST for exactly this key, type and size."""
        ...

    def download_url(self, key: str, version_id: str | None) -> str:
        """A presigned GET of one version, good for 15 minutes at most. A secret."""
        ...

    def put(self, key: str, content_type: str, content: bytes) -> str | None:
        """Stores an object: its version."""
        ...

    def erase(self, prefix: str) -> None:
        """Deletes all versions of all objects whose keys begin with ``prefix``."""
        ...

    def delete(self, key: str, version_id: str | None) -> None:
        """Deletes one version."""
        ...

    def find(self, key: str) -> FoundFile | None:
        """The newest version of an object; None when there is none."""
        ...

    def open(self, key: str, version_id: str | None, size_bytes: int) -> BinaryIO:
        """A seekable view of one version that fetches only the ranges that are read."""
        ...


class Downloads(Protocol):
    """Files behind untrusted URLs."""

    def fetch(self, url: str, limit_bytes: int, seconds: float) -> Download:
        """One try, at most ``limit_bytes``, at most ``seconds`` besides the looking up of names.

        Never raises for what the other side does, nor for what the URL is. The problems: ``too_large``, ``timeout``,
        ``private_address``, ``tls``, ``no_connection``, ``no_answer``, ``status`` (any but 200), ``incomplete``,
        ``too_many_redirects``, ``not_http``. A file whose length nobody said ends where its connection does.
        """
        ...
