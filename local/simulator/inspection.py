"""What the upstream sees in a file: its real type, its size in pixels or seconds, and whose likeness it is.

Faces are not compared: media made for the simulator say in their metadata whom they show, as the ASCII
text `likeness-person:<name>;` (a JPEG comment, a PNG text chunk, an MP4 comment, a WAV INFO chunk). A file
that says nothing is accepted, so that anybody's own pictures can be used.
"""

import io
import re
import struct
import warnings

from PIL import Image

_MARKER = re.compile(rb"likeness-person:([A-Za-z0-9_-]{1,32});")
_SIDES = (300, 6000)
_RATIOS = (0.4, 2.5)
_SECONDS = (2.0, 15.0)
# a container's clock rounds; a 15 s clip of 25 fps may say 15.04 s
_SECONDS_TOLERANCE = 0.1


class Refused(Exception):
    """When an asset does not become Active: the `code` and `message` of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def marker(person: str) -> str:
    """Return the text that says whom a file shows."""
    return f"likeness-person:{person};"


def inspect(content: bytes, asset_type: str, person: str) -> None:
    """Hold a file against its declared type, the media limits and the person of its group.

    Raises `Refused` with FormatUnsupported, ImageSizeInvalid, DurationTooShort, DurationTooLong,
    MultipleFaces or FaceMismatch.
    """
    kind = kind_of(content)
    if kind is None or kind[0] != asset_type:
        raise Refused("FormatUnsupported", f"the content is not a supported {asset_type.lower()}")
    if asset_type == "Image":
        _check_picture(content, kind[1])
    else:
        seconds = wav_seconds(content) if kind[1] == "wav" else None
        seconds = mp4_seconds(content) if asset_type == "Video" else seconds
        _check_duration(seconds)
    shown = {match.decode().lower() for match in _MARKER.findall(content)}
    if len(shown) > 1:
        raise Refused("MultipleFaces", "more than one face was detected")
    if shown and shown != {person}:
        raise Refused("FaceMismatch", "the face is not the one that was validated for this group")


def kind_of(content: bytes) -> tuple[str, str] | None:
    """Return (asset type, format) by the first bytes of a file, or None when it is none of the supported."""
    head = content[:16]
    starts = {
        b"\xff\xd8\xff": ("Image", "jpeg"),
        b"\x89PNG\r\n\x1a\n": ("Image", "png"),
        b"BM": ("Image", "bmp"),
        b"GIF87a": ("Image", "gif"),
        b"GIF89a": ("Image", "gif"),
        b"II*\x00": ("Image", "tiff"),
        b"MM\x00*": ("Image", "tiff"),
        b"ID3": ("Audio", "mp3"),
    }
    for start, kind in starts.items():
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return {b"WAVE": ("Audio", "wav"), b"WEBP": ("Image", "webp")}.get(head[8:12])
    if head[4:8] == b"ftyp":
        heif = head[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
        return ("Image", "heic") if heif else ("Video", "mp4")
    # an MPEG audio frame without a tag: eleven set bits, and a layer that is not the reserved one
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return ("Audio", "mp3")
    return None


def _check_picture(content: bytes, form: str) -> None:
    if form == "heic":  # not readable with Pillow alone
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as picture:
                width, height = picture.size
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused("ImageSizeInvalid", "the picture has too many pixels") from None
    except (OSError, ValueError, SyntaxError):  # what Pillow raises on damaged files
        raise Refused("FormatUnsupported", "the picture cannot be read") from None
    if not all(_SIDES[0] <= side <= _SIDES[1] for side in (width, height)):
        raise Refused("ImageSizeInvalid", f"each side must have {_SIDES[0]} to {_SIDES[1]} pixels")
    if not _RATIOS[0] <= width / height <= _RATIOS[1]:
        raise Refused("ImageSizeInvalid", f"width / height must be {_RATIOS[0]} to {_RATIOS[1]}")


def _check_duration(seconds: float | None) -> None:
    if seconds is None:
        return
    if seconds > _SECONDS[1] + _SECONDS_TOLERANCE:
        raise Refused("DurationTooLong", f"the file plays {seconds:.1f} s, more than {_SECONDS[1]:.0f} s")
    if seconds < _SECONDS[0] - _SECONDS_TOLERANCE:
        raise Refused("DurationTooShort", f"the file plays {seconds:.1f} s, less than {_SECONDS[0]:.0f} s")


def wav_seconds(content: bytes) -> float | None:
    """Return a WAV's duration by its byte rate and its data chunk, or None."""
    rate, position = 0, 12
    while position + 8 <= len(content):
        name, size = content[position : position + 4], struct.unpack_from("<I", content, position + 4)[0]
        if name == b"fmt " and position + 20 <= len(content):
            rate = struct.unpack_from("<I", content, position + 16)[0]
        if name == b"data":
            return float(size) / rate if rate else None
        position += 8 + size + size % 2
    return None


def mp4_seconds(content: bytes) -> float | None:
    """Return an MP4's duration by its movie header, or None."""
    at = content.find(b"mvhd")
    if at < 0 or at + 36 > len(content):
        return None
    if content[at + 4] == 1:
        scale, length = struct.unpack_from(">IQ", content, at + 24)
    else:
        scale, length = struct.unpack_from(">II", content, at + 16)
    return length / scale if scale else None
