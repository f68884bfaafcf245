"""An export of the inventory: its progress, and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: The primary key of the last item that was read from the table.
InventoryCursor = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """A page of the table: the decoded items of each partition; ``cursor`` is None at the end of the table."""

    partitions: list[list[dict[str, Any]]]
    cursor: InventoryCursor | None


@dataclass(frozen=True, slots=True)
class Part:
    """A written file of an export; ``size`` in bytes, ``sha256`` in hex."""

    name: str
    lines: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Export:
    """The progress of an export. Times are epoch seconds; ``counts`` by kind of line."""

    id: str
    started_at: float
    finished_at: float | None = None
    cursor: InventoryCursor | None = None
    parts: tuple[Part, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The prefix of its files' keys."""
        return f"inventory/{datetime.fromtimestamp(self.started_at, UTC):%Y-%m-%d}/{self.id}/"


@dataclass(frozen=True, slots=True)
class HeldExport:
    """The last export, None when there was none. This run holds the lease on it."""

    export: Export | None
