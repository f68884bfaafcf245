"""The types of generated media, by their first bytes: what browsers play and show."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from likeness.domain.media import iso_bmff

#: How many bytes decide.
HEAD_BYTES = 64
#: The extension of each type that a generation may have.
RESULT_EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/webm": "webm",
        "image/jpeg": "jpg",
        "image/png": "png",
        "image/webp": "webp",
    }
)


def result_type(head: bytes) -> str | None:
    """The content type of a file that begins with ``head`` (HEAD_BYTES); None when it is of no type in the list."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"\x1aE\xdf\xa3"):  # EBML: WebM, or Matroska, which browsers do not play
        return "video/webm" if b"\x42\x82\x84webm" in head else None
    found = iso_bmff.content_type(head)
    return found if found in RESULT_EXTENSIONS else None
