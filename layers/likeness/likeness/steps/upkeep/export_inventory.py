"""Exports the inventory as parts in JSON Lines, and a manifest when all parts are complete.

A run continues where the last one stopped. A part is written before the progress is saved, so a run that fails in
between writes the same part again. Only one run at a time holds the export, so a part's digest is that of its last
write.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from likeness.contracts.inventory import MANIFEST, VERSION, lines_of, text_of
from likeness.domain.ids import ulid
from likeness.domain.inventory import Export, HeldExport, InventoryCursor, InventoryPage, Part
from likeness.domain.times import iso
from likeness.ports.system import Clock

#: The size at which a part is complete. A part is held in memory and written in one call.
PART_BYTES = 8 << 20
#: A page has at most 1 MB: 256 read units a second, a fiftieth of the capacity of a new on-demand table.
PAGES_PER_SECOND = 2.0
#: A run may be this much early, because schedules are not exact.
_SLACK_SECONDS = 600.0


class InventoryPages(Protocol):
    """The whole table, page by page."""

    def page(self, cursor: InventoryCursor | None) -> InventoryPage:
        """Returns the page after ``cursor``. A partition is complete, unless it is longer than a page."""
        ...


class ExportFiles(Protocol):
    """The bucket of exports."""

    def put(self, key: str, body: bytes) -> None:
        """Writes a file, replacing an earlier one."""
        ...


class ExportProgress(Protocol):
    """The progress of the current export, and the run that holds it."""

    def take(self, run: str, now: float, until: float) -> HeldExport | None:
        """Gives the export to ``run`` until ``until``. Returns None when another run holds it."""
        ...

    def save(self, run: str, export: Export, until: float) -> None:
        """Saves the progress of ``run``. Raises ConditionFailed when it no longer holds the export."""
        ...

    def release(self, run: str) -> None:
        """Releases the export. Does nothing when ``run`` does not hold it."""
        ...


@dataclass
class _Gathered:
    """The lines of the next part, up to ``cursor``. ``end`` is whether the table ends there."""

    cursor: InventoryCursor | None
    text: bytearray
    lines: int
    counts: Counter[str]
    end: bool = False


@dataclass(frozen=True, slots=True)
class ExportInventory:
    """Exports the inventory at most every ``every_seconds``. ``sleep`` takes seconds."""

    pages: InventoryPages
    files: ExportFiles
    progress: ExportProgress
    clock: Clock
    sleep: Callable[[float], None]
    every_seconds: float
    part_bytes: int = PART_BYTES

    def __call__(self, until: float, held_until: float) -> dict[str, str | int]:
        """Starts or continues the export, until ``until`` (epoch seconds).

        The run holds the export until ``held_until``, when this process has certainly ended. ``outcome`` is
        ``exported``, ``unfinished``, ``not_due`` or ``held``. Raises ConditionFailed when another run has taken over.
        """
        now = self.clock.now()
        run = self.clock.entropy().hex()
        held = self.progress.take(run, now, held_until)
        if held is None:
            return {"outcome": "held"}
        export = held.export
        if export and export.finished_at is not None:
            if now < export.started_at + self.every_seconds - _SLACK_SECONDS:
                self.progress.release(run)
                return {"outcome": "not_due"}
            export = None
        export = export or Export(f"inv_{ulid(int(now * 1000), self.clock.entropy())}", now)
        return self._continue_export(run, export, until, held_until)

    def _continue_export(self, run: str, export: Export, until: float, held_until: float) -> dict[str, str | int]:
        while export.finished_at is None:
            gathered = self._gather(export.cursor, until)
            export = self._put(export, gathered)
            if gathered.end:
                export = replace(export, finished_at=self.clock.now())
                self.files.put(export.folder + MANIFEST, _manifest(export))
            self.progress.save(run, export, held_until)
            if self.clock.now() >= until:
                break
        self.progress.release(run)
        outcome = "unfinished" if export.finished_at is None else "exported"
        return {"outcome": outcome, "export": export.folder, "parts": len(export.parts), **export.counts}

    def _gather(self, cursor: InventoryCursor | None, until: float) -> _Gathered:
        """Returns the lines of at least one page, and of more until the part is full or the time is over."""
        found = _Gathered(cursor, bytearray(), 0, Counter())
        while True:
            page = self.pages.page(found.cursor)
            for items in page.partitions:
                lines = lines_of(items)
                if not lines:
                    found.counts["left_out"] += len(items)
                for line in lines:
                    found.text += text_of(line)
                    found.counts[line["kind"]] += 1
                    found.counts["asset"] += len(line.get("assets", ()))
                found.lines += len(lines)
            found.cursor, found.end = page.cursor, page.cursor is None
            if found.end or len(found.text) >= self.part_bytes or self.clock.now() >= until:
                return found
            self.sleep(1 / PAGES_PER_SECOND)

    def _put(self, export: Export, gathered: _Gathered) -> Export:
        parts = export.parts
        if gathered.lines:
            body = bytes(gathered.text)
            name = f"part-{len(parts) + 1:05}.jsonl"
            self.files.put(export.folder + name, body)
            parts = (*parts, Part(name, gathered.lines, len(body), hashlib.sha256(body).hexdigest()))
        counts = Counter(export.counts) + gathered.counts
        return replace(export, cursor=gathered.cursor, parts=parts, counts=dict(counts))


def _manifest(export: Export) -> bytes:
    document = {
        "version": VERSION,
        "id": export.id,
        "started_at": iso(export.started_at),
        "finished_at": iso(export.finished_at),
        "counts": dict(export.counts),
        "parts": [
            {"name": each.name, "lines": each.lines, "bytes": each.size, "sha256": each.sha256} for each in export.parts
        ],
    }
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"
