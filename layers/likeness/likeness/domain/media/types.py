"""Types and facts of media files."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class AssetType(StrEnum):
    """The types of asset in crun's API, in its spelling."""

    IMAGE = "Image"
    VIDEO = "Video"
    AUDIO = "Audio"


class MediaFacts(NamedTuple):
    """The result of an inspection.

    ``content_type`` comes from the content, not from a name. ``width`` and ``height`` are pixels: as displayed (after
    the rotation of the track or of the HEIC item) for a video and a HEIC picture, as stored for every other picture,
    None for sound. ``duration_seconds`` is None for a picture, ``frames_per_second`` (the average) is None for
    everything but a video.
    """

    asset_type: AssetType
    content_type: str
    size_bytes: int
    width: int | None
    height: int | None
    duration_seconds: float | None
    frames_per_second: float | None


class MediaRefused(Exception):
    """When a file cannot become an asset. ``code`` is stable, ``message`` is for the person who sent the file.

    ``crun_code`` is crun's code, when it is more precise than ours.
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


_STANDARD_TYPES = {
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
}
#: Other names of the same formats that browsers, phones and chat apps use.
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/jpe": "image/jpeg",
    "image/jfif": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-jpeg": "image/jpeg",
    "image/x-jpg": "image/jpeg",
    "image/x-citrix-jpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/apng": "image/png",
    "image/vnd.mozilla.apng": "image/png",
    "image/x-citrix-png": "image/png",
    "image/x-webp": "image/webp",
    "image/x-bmp": "image/bmp",
    "image/x-ms-bmp": "image/bmp",
    "image/x-windows-bmp": "image/bmp",
    "image/x-bitmap": "image/bmp",
    "image/ms-bmp": "image/bmp",
    "image/tif": "image/tiff",
    "image/x-tif": "image/tiff",
    "image/x-tiff": "image/tiff",
    "image/x-gif": "image/gif",
    "image/x-citrix-gif": "image/gif",
    "image/x-heic": "image/heic",
    "image/heic-sequence": "image/heic",
    "image/x-heif": "image/heif",
    "image/heif-sequence": "image/heif",
    "video/x-mp4": "video/mp4",
    "video/x-m4v": "video/mp4",
    "video/m4v": "video/mp4",
    "video/mpeg4": "video/mp4",
    "video/mov": "video/quicktime",
    "video/x-mov": "video/quicktime",
    "video/x-quicktime": "video/quicktime",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/mpeg3": "audio/mpeg",
    "audio/x-mpeg3": "audio/mpeg",
    "audio/x-mpeg-3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/mpg": "audio/mpeg",
    "audio/x-mpg": "audio/mpeg",
    "audio/mpegaudio": "audio/mpeg",
    "audio/x-mpegaudio": "audio/mpeg",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/x-wave": "audio/wav",
    "audio/x-pn-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
}
#: Every content type that a registration may name, in lower case and without parameters.
CONTENT_TYPES: Mapping[str, AssetType] = MappingProxyType(
    _STANDARD_TYPES | {alias: _STANDARD_TYPES[standard] for alias, standard in _ALIASES.items()}
)


def standard_type(label: str) -> str | None:
    """Returns the standard form of an accepted media type: ``image/jpeg`` for ``image/JPG; charset=binary``.

    Media types are compared without case and parameters (RFC 9110 section 8.3.1). Returns None for all other types.
    """
    bare = label.partition(";")[0].strip().lower()
    found = _ALIASES.get(bare, bare)
    return found if found in _STANDARD_TYPES else None


#: The content type of a file name's extension.
EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "jpe": "image/jpeg",
        "jfif": "image/jpeg",
        "pjpeg": "image/jpeg",
        "pjp": "image/jpeg",
        "apng": "image/png",
        "dib": "image/bmp",
        "png": "image/png",
        "webp": "image/webp",
        "bmp": "image/bmp",
        "tif": "image/tiff",
        "tiff": "image/tiff",
        "gif": "image/gif",
        "heic": "image/heic",
        "heif": "image/heif",
        "hif": "image/heif",
        "heics": "image/heic",
        "heifs": "image/heif",
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
    """The content type of ``holiday/Anna.jpg``, ``.JPG`` or ``jpg`` by its extension; None when it is not accepted."""
    return EXTENSIONS.get(filename.strip().rpartition(".")[2].lower())
