"""An export of the inventory: how far it is, and what it has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: Where the reading of the table goes on: after the item of this primary key.
InventoryCursor = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """Some of the table: the items of each partition, decoded; ``cursor`` None at the end of the table."""

    partitions: list[list[dict[str, Any]]]
    cursor: InventoryCursor | None


@dataclass(frozen=True, slots=True)
class Part:
    """A file of an export that is written; ``size`` in bytes, ``sha256`` in hex."""

    name: str
    lines: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Export:
    """How far an export is. Times are epoch seconds; ``counts`` by kind of line."""

    id: str
    started_at: float
    finished_at: float | None = None
    cursor: InventoryCursor | None = None
    parts: tuple[Part, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where its files are."""
        return f"inventory/{datetime.fromtimestamp(self.started_at, UTC):%Y-%m-%d}/{self.id}/"


@dataclass(frozen=True, slots=True)
class HeldExport:
    """The last export that there is to know of, None when there was none: it is now this run's alone."""

    export: Export | None
