"""The inventory, for steps that use several areas of it."""

from __future__ import annotations

from typing import Protocol

from likeness.ports.files import AssetStore
from likeness.ports.onboarding import SessionStore
from likeness.ports.upkeep import UpkeepStore


class Store(SessionStore, AssetStore, UpkeepStore, Protocol):
    """Sessions, assets and their upkeep: one table, and one adapter (adapters/table/dynamodb.py)."""
