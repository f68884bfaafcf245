"""Reads records of the table's stream."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from likeness.adapters.table.generation_items import GENERATION, generation_from
from likeness.adapters.table.items import asset_from, session_from
from likeness.contracts.events import AssetChange, Change, GenerationChange, SessionChange


def read_change(record: Mapping[str, Any]) -> Change | None:
    """Returns the change of a session, an asset or a generation in a record, None for other items and for deletions.

    Any error means that this version cannot read the item.
    """
    written = record["dynamodb"]
    before, after = written.get("OldImage"), written.get("NewImage")
    kind = written["Keys"]["sk"]["S"]
    if after is None or not (kind in ("SESSION", GENERATION) or kind.startswith("ASSET#")):
        return None
    sequence = written["SequenceNumber"]
    event_id = _event_id(written["Keys"]["pk"]["S"], kind, sequence)
    if kind == "SESSION":
        return SessionChange(event_id, sequence, before and session_from(before), session_from(after))
    if kind == GENERATION:
        return GenerationChange(event_id, sequence, before and generation_from(before), generation_from(after))
    return AssetChange(event_id, sequence, before and asset_from(before), asset_from(after))


def _event_id(*place: str) -> str:
    # Sequence numbers are unique within a shard only, and an item stays in its shard.
    return "evt_" + hashlib.sha256("\n".join(place).encode()).hexdigest()[:32]
