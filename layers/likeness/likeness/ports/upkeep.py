"""Ports of statistics and erasures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.asset import Asset
    from likeness.domain.session import Session
    from likeness.domain.stats import Facts


class UpkeepStore(Protocol):
    """What statistics and erasures ask of the inventory."""

    def read_facts(self, client_id: str, *, oldest: str, newest: str, page_size: int) -> Facts:
        """A client's sessions and assets with ULIDs from ``oldest`` to ``newest``, both included, newest first.

        Reads a bounded number of pages of at most ``page_size`` at a time.
        """
        ...

    def redact_session(self, session: Session, now: float) -> bool:
        """Takes everything personal out of a session that is as given; False when it has changed: read it again."""
        ...

    def redact_asset(self, asset: Asset, now: float, *, give_back: bool = False) -> None:
        """Takes everything personal out of an asset, whatever its status; ``give_back`` its slot to the session."""
        ...

    def earlier_ids(self, session_id: str) -> dict[str, str]:
        """The AssetIds that files of a session had before, by the assets' ids, as ``keep_earlier_id`` kept them."""
        ...

    def record_earlier_id(self, asset: Asset, crun_asset_id: str) -> None:
        """Shows an earlier AssetId in the asset itself, which versions that gave it a second one did not."""
        ...

    def record_erasure(self, session_id: str, now: float) -> Session:
        """Every part of an erasure is done; the tombstone. The first time stands."""
        ...
