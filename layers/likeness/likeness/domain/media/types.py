"""What kinds of media there are, which are accepted, and what a check found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class AssetType(StrEnum):
    """The three kinds that crun takes."""

    IMAGE = "Image"
    VIDEO = "Video"
    AUDIO = "Audio"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What the content says: type, sides in pixels, duration in seconds; None where it does not tell."""

    asset_type: AssetType
    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    frames_per_second: float | None = None


class MediaRefused(Exception):
    """When a file is not fit for crun: a stable ``code``, and one sentence for the person who sent it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


#: Every content type that a registration may name.
CONTENT_TYPES: Mapping[str, AssetType] = {
    "image/jpeg": AssetType.IMAGE,
    "image/png": AssetType.IMAGE,
    "image/webp": AssetType.IMAGE,
    "image/bmp": AssetType.IMAGE,
    "image/tiff": AssetType.IMAGE,
    "image/gif": AssetType.IMAGE,
    "image/heic": AssetType.IMAGE,
    "image/heif": AssetType.IMAGE,
    "video/mp4": AssetType.VIDEO,
    "video/quicktime": AssetType.VIDEO,
    "audio/mpeg": AssetType.AUDIO,
    "audio/wav": AssetType.AUDIO,
    "audio/x-wav": AssetType.AUDIO,
}

#: Inclusive limits in bytes. A megabyte is taken as 1,000,000, the stricter reading; pictures are "< 30 MB".
MAX_BYTES: Mapping[AssetType, int] = {
    AssetType.IMAGE: 30_000_000 - 1,
    AssetType.VIDEO: 50_000_000,
    AssetType.AUDIO: 15_000_000,
}

_EXTENSIONS = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "bmp": "image/bmp",
    "tif": "image/tiff", "tiff": "image/tiff", "gif": "image/gif", "heic": "image/heic", "heif": "image/heif",
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "mp3": "audio/mpeg", "wav": "audio/wav",
}  # fmt: skip


def content_type_of(filename: str) -> str | None:
    """The content type that a file name's ending stands for."""
    return _EXTENSIONS.get(filename.rpartition(".")[2].lower())
