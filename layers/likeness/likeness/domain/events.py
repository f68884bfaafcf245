"""Events for the event bus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """An event: ``type`` is EventBridge's detail-type, ``detail`` its body (contracts/events.py)."""

    type: str
    detail: Mapping[str, Any]
