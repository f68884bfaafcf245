"""What a media file is, in the product's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class AssetType(StrEnum):
    """The kinds of asset that crun knows, spelled as its API spells them."""

    IMAGE = "Image"
    VIDEO = "Video"
    AUDIO = "Audio"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a file turned out to be.

    ``content_type`` comes from the content, not from a name. ``width`` and ``height`` are pixels: as stored for a
    picture, as displayed (after the track's rotation) for a video, None for sound. ``duration_seconds`` is None for
    a picture, ``frames_per_second`` (the average) is None for everything but a video.
    """

    asset_type: AssetType
    content_type: str
    size_bytes: int
    width: int | None
    height: int | None
    duration_seconds: float | None
    frames_per_second: float | None


class MediaRefused(Exception):
    """When a file can't become an asset. ``code`` is stable, ``message`` is for the person who sent the file.

    ``crun_code`` is what crun calls it, where that says more than our code does.
    """

    def __init__(self, code: str, message: str, crun_code: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.crun_code = crun_code

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def truncated() -> MediaRefused:
    """The file ends before its content does."""
    return MediaRefused("file_truncated", "The file is incomplete: its end is missing, so please upload it again.")


def damaged() -> MediaRefused:
    """The file contradicts itself or its format."""
    return MediaRefused("file_damaged", "The file is damaged and can't be read; please export or record it again.")


#: Every content type that a registration may name. Browsers and phones disagree on some of them.
CONTENT_TYPES: Mapping[str, AssetType] = MappingProxyType(
    {
        "image/jpeg": AssetType.IMAGE,
        "image/png": AssetType.IMAGE,
        "image/webp": AssetType.IMAGE,
        "image/bmp": AssetType.IMAGE,
        "image/x-ms-bmp": AssetType.IMAGE,
        "image/tiff": AssetType.IMAGE,
        "image/gif": AssetType.IMAGE,
        "image/heic": AssetType.IMAGE,
        "image/heif": AssetType.IMAGE,
        "video/mp4": AssetType.VIDEO,
        "video/x-m4v": AssetType.VIDEO,
        "video/quicktime": AssetType.VIDEO,
        "audio/mpeg": AssetType.AUDIO,
        "audio/mp3": AssetType.AUDIO,
        "audio/wav": AssetType.AUDIO,
        "audio/x-wav": AssetType.AUDIO,
        "audio/wave": AssetType.AUDIO,
        "audio/vnd.wave": AssetType.AUDIO,
    }
)

#: What the end of a file's name promises.
EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "jpe": "image/jpeg",
        "jfif": "image/jpeg",
        "png": "image/png",
        "webp": "image/webp",
        "bmp": "image/bmp",
        "tif": "image/tiff",
        "tiff": "image/tiff",
        "gif": "image/gif",
        "heic": "image/heic",
        "heif": "image/heif",
        "hif": "image/heif",
        "mp4": "video/mp4",
        "m4v": "video/mp4",
        "mov": "video/quicktime",
        "qt": "video/quicktime",
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "wave": "audio/wav",
    }
)


def content_type_of(filename: str) -> str | None:
    """The content type that ``holiday/Anna.jpg``, ``.JPG`` or ``jpg`` promises; None when we accept no such file."""
    return EXTENSIONS.get(filename.strip().rpartition(".")[2].lower())
