"""Inspection of uploads: the real type of a file, and whether crun would accept it. It only reads the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.domain.media.limits import MAX_BYTES
from likeness.domain.media.types import (
    CONTENT_TYPES,
    AssetType,
    MediaFacts,
    MediaRefused,
    content_type_of,
    standard_type,
)

if TYPE_CHECKING:
    from likeness.domain.media.inspection import inspect

__all__ = [
    "CONTENT_TYPES",
    "MAX_BYTES",
    "AssetType",
    "MediaFacts",
    "MediaRefused",
    "content_type_of",
    "inspect",
    "standard_type",
]


def __getattr__(name: str) -> Any:
    # All functions need the types, but only one needs the readers, so they are loaded on the import of ``inspect``.
    if name == "inspect":
        from likeness.domain.media.inspection import inspect

        return inspect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
