"""Times as texts."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(seconds: float | None) -> str | None:
    """Epoch seconds as ISO 8601 UTC."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]}Z"
