"""Upload inspection: what a file really is and whether the upstream would take it. Pure: it only reads the file."""

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
    # Every function needs the types, one needs the readers: they load when somebody imports ``inspect``.
    if name == "inspect":
        from likeness.domain.media.inspection import inspect

        return inspect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
