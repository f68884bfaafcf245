"""Ports of statistics and erasures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.asset import Asset
    from likeness.domain.session import Session
    from likeness.domain.stats import Facts


class UpkeepStore(Protocol):
    """The inventory's operations for statistics and erasures."""

    def read_facts(self, client_id: str, *, oldest: str, newest: str, page_size: int) -> Facts:
        """A client's sessions and assets with ULIDs from ``oldest`` to ``newest``, both included, newest first.

        Reads a bounded number of pages of at most ``page_size`` items.
        """
        ...

    def redact_session(self, session: Session, now: float, *, by: str = "client", stays_due: bool = False) -> bool:
        """Removes all personal data from a session; returns False when it has changed: read it again.

        ``by`` is the kind of credential that asked for it, which is stored (see ``Session.erased_by``).
        ``stays_due``: for the policy about withdrawals. The session stays due until ``record_erasure``, and is not
        erased when its consent is not withdrawn anymore.
        """
        ...

    def redact_asset(self, asset: Asset, now: float, *, give_back: bool = False) -> None:
        """Removes all personal data from an asset in any status; ``give_back`` frees its slot in the session."""
        ...

    def earlier_ids(self, session_id: str) -> dict[str, str]:
        """The earlier AssetIds of a session's files, by asset id, as ``keep_earlier_id`` stored them."""
        ...

    def record_earlier_id(self, asset: Asset, crun_asset_id: str) -> None:
        """Stores an earlier AssetId in the asset itself, which earlier versions did not do."""
        ...

    def record_erasure(self, session_id: str, now: float) -> Session:
        """Records the end of an erasure and returns the tombstone. A repetition keeps the first time."""
        ...
