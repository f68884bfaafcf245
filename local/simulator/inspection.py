"""crun's checks of a file: its real type, its size in pixels or seconds, and the person that it shows.

Faces are not compared: media for the simulator name the person in their metadata, as the ASCII text
`likeness-person:<name>;` (a JPEG comment, a PNG text chunk, an MP4 comment, a WAV INFO chunk). A file without this
text is accepted for each person, so that you can use your own pictures; a picture only if it shows a face (`faces.py`).
"""

import io
import re
import warnings

from PIL import Image

from local.simulator.faces import has_face
from local.simulator.measures import (
    Film,
    Sides,
    heic_sides,
    mp3_seconds,
    mp3_start,
    mp4_seconds,
    wav_seconds,
    without_junk,
)

__all__ = ["PIXELS", "Refused", "inspect", "kind_of", "marker", "mp4_seconds", "wav_seconds"]

_MARKER = re.compile(rb"likeness-person:([A-Za-z0-9_-]{1,32});")
_SIDES = (300, 6000)
_RATIOS = (0.4, 2.5)
_SECONDS = (2.0, 15.0)
# containers round: a 15 s clip of 25 fps may have 15.04 s
_SECONDS_TOLERANCE = 0.1
#: The least and the most width times height of a clip; the most is the strictest published limit.
PIXELS = (0, 2_086_876)


class Refused(Exception):
    """When an asset does not become Active: the `code` and `message` of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def marker(person: str) -> str:
    """Return the metadata text for the person that a file shows."""
    return f"likeness-person:{person};"


def inspect(
    content: bytes,
    asset_type: str,
    person: str,
    pixels: tuple[int, int] = PIXELS,
    *,
    require_face: bool = True,
) -> None:
    """Check a file against its declared type, the media limits and the person of its group.

    `pixels` are the least and the most that a clip may have. With `require_face`, a picture without a face is refused;
    in a HEIC, a clip or a recording, nothing looks for a face. Raises `Refused` with FormatUnsupported,
    ImageSizeInvalid, PixelCountTooSmall, PixelCountTooLarge, DurationTooShort, DurationTooLong, MultipleFaces or
    FaceMismatch.
    """
    kind = kind_of(content)
    if kind is None or kind[0] != asset_type:
        raise Refused("FormatUnsupported", f"the content is not a supported {asset_type.lower()}")
    if asset_type == "Image":
        _check_sides(_picture_sides(content, kind[1]))
    elif asset_type == "Video":
        _check_film(content, pixels)
    else:
        _check_duration(wav_seconds(content) if kind[1] == "wav" else mp3_seconds(content))
    shown = {match.decode().lower() for match in _MARKER.findall(content)}
    if len(shown) > 1:
        raise Refused("MultipleFaces", "more than one face was detected")
    if shown and shown != {person}:
        raise Refused("FaceMismatch", "the face is not the one that was validated for this group")
    if require_face and not shown and asset_type == "Image" and kind[1] != "heic" and not _shows_face(content, kind[1]):
        raise Refused("FaceMismatch", "no face was detected")


def kind_of(content: bytes) -> tuple[str, str] | None:
    """Return (asset type, format) by the first bytes of a file, or None when it is not supported."""
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
    return ("Audio", "mp3") if mp3_start(content) is not None else None


def _picture_sides(content: bytes, form: str) -> Sides | None:
    if form == "heic":
        return heic_sides(content)
    try:
        return _pillow_sides(without_junk(content) if form == "jpeg" else content)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused("ImageSizeInvalid", "the picture has too many pixels") from None
    except (OSError, ValueError, SyntaxError):  # Pillow's errors for damaged files
        raise Refused("FormatUnsupported", "the picture cannot be read") from None


def _shows_face(content: bytes, form: str) -> bool:
    try:
        with Image.open(io.BytesIO(without_junk(content) if form == "jpeg" else content)) as picture:
            return has_face(picture)
    except (OSError, ValueError, SyntaxError):
        raise Refused("FormatUnsupported", "the picture cannot be read") from None


def _pillow_sides(content: bytes) -> Sides:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content)) as picture:
            return picture.size


def _check_film(content: bytes, pixels: tuple[int, int]) -> None:
    try:
        film = Film(content)
    except ValueError:  # a clip that cannot be measured is not refused
        return
    _check_duration(film.seconds)
    _check_sides((film.width, film.height))
    count = film.width * film.height
    if count > pixels[1]:
        raise Refused("PixelCountTooLarge", f"width x height is {count}, more than {pixels[1]}")
    if count < pixels[0]:
        raise Refused("PixelCountTooSmall", f"width x height is {count}, less than {pixels[0]}")


def _check_sides(sides: Sides | None) -> None:
    if sides is None:
        return
    width, height = sides
    if not all(_SIDES[0] <= side <= _SIDES[1] for side in sides):
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
