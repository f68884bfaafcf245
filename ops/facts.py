"""Prints what an operator asked for as text: one line for each fact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def lines(found: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yields a line for each fact that has a value."""
    for name, value in found.items():
        if isinstance(value, list):
            for index, each in enumerate(value, 1):
                yield f"{indent}{name} {index}"
                yield from lines(each, indent + "  ")
        elif isinstance(value, dict):
            yield f"{indent}{name}"
            yield from lines(value, indent + "  ")
        elif value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield f"{indent}{name}: {text}"
