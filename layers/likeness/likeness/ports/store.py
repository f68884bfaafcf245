"""The inventory, for a step that works on more than one area of it."""

from __future__ import annotations

from typing import Protocol

from likeness.ports.files import AssetStore
from likeness.ports.onboarding import SessionStore
from likeness.ports.upkeep import UpkeepStore


class Store(SessionStore, AssetStore, UpkeepStore, Protocol):
    """Sessions, assets and their upkeep: one table, and one adapter (adapters/table/dynamodb.py)."""
