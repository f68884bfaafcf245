"""Is a file what it says, and within crun's limits? By its content, never by its name.

Limits: the strictest that the vendor and its fellow gateways have published.
"""

from __future__ import annotations

from typing import BinaryIO

from likeness.domain.media.audio import mp3_seconds, wav_seconds
from likeness.domain.media.images import is_complete, sides
from likeness.domain.media.iso_bmff import clip, heic_sides
from likeness.domain.media.types import (
    CONTENT_TYPES,
    MAX_BYTES,
    AssetType,
    MediaFacts,
    MediaRefused,
    content_type_of,
)

__all__ = ["CONTENT_TYPES", "MAX_BYTES", "AssetType", "MediaFacts", "MediaRefused", "content_type_of", "inspect"]

SIDE_PIXELS = (300, 6000)
RATIO = (0.4, 2.5)
DURATION_SECONDS = (2.0, 15.0)
FRAMES_PER_SECOND = (24.0, 60.0)
#: Containers round durations to whole frames, and "24 fps" film runs at 23.976.
_DURATION_SLACK, _RATE_SLACK = 0.1, 0.05
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_QUICKTIME_STARTS = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip"})


def inspect(file: BinaryIO, *, size_bytes: int, declared: AssetType | None) -> MediaFacts:
    """The facts of a file that may go to crun. ``declared`` is what the caller said it is, None to find out.

    Raises MediaRefused: empty_file, file_too_large, format_unsupported, type_mismatch, file_truncated, file_damaged,
    dimensions_out_of_range, aspect_ratio_out_of_range, duration_out_of_range or frame_rate_out_of_range.
    """
    if size_bytes == 0:
        raise MediaRefused("empty_file", "The file is empty.")
    try:
        facts = _facts(file, size_bytes, declared)
    except MediaRefused:
        raise
    except Exception as exc:  # whatever hostile bytes do to a reader, the file is at fault
        if type(exc).__module__.startswith("likeness."):
            raise  # the storage did not answer: that is not the file's fault
        raise MediaRefused("file_damaged", "The file cannot be read; please choose another one.") from exc
    _check_limits(facts)
    return facts


def _facts(file: BinaryIO, size: int, declared: AssetType | None) -> MediaFacts:
    file.seek(0)
    content_type = _magic(file.read(4096))
    if content_type is None:
        raise MediaRefused("format_unsupported", "This kind of file is not supported.")
    kind = CONTENT_TYPES[content_type]
    if declared not in (None, kind):
        raise MediaRefused("type_mismatch", f"This is not the kind of file that was announced ({declared}).")
    if size > MAX_BYTES[kind]:
        limit = (MAX_BYTES[kind] + 1) // 1_000_000
        raise MediaRefused("file_too_large", f"The file has {size / 1e6:.1f} MB; the limit is {limit} MB.")
    if kind is AssetType.VIDEO:
        film = clip(file, size)
        return MediaFacts(kind, content_type, size, film.width, film.height, film.duration, film.rate)
    if kind is AssetType.AUDIO:
        seconds = wav_seconds(file, size) if content_type == "audio/wav" else mp3_seconds(file)
        return MediaFacts(kind, content_type, size, duration_seconds=seconds)
    width, height = heic_sides(file, size) if content_type == "image/heic" else sides(file)
    if not is_complete(file, content_type, size):
        raise MediaRefused("file_truncated", "The picture is not complete; please upload it again.")
    return MediaFacts(kind, content_type, size, width, height)


def _magic(head: bytes) -> str | None:
    """The content type that the first bytes prove."""
    if head[4:8] == b"ftyp":
        brands = {head[8:12]} | {head[at : at + 4] for at in range(16, min(len(head), 64), 4)}
        if head[8:12] in _HEIC_BRANDS:
            return "image/heic"
        return "video/quicktime" if b"qt  " in brands else "video/mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    if head[4:8] in _QUICKTIME_STARTS:
        return "video/quicktime"
    for start, content_type in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"BM", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"ID3", "audio/mpeg"),
    ):
        if head.startswith(start):
            return content_type
    return "audio/mpeg" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 else None


def _check_limits(facts: MediaFacts) -> None:
    if facts.width is not None and facts.height is not None:
        low, high = SIDE_PIXELS
        if not (low <= facts.width <= high and low <= facts.height <= high):
            found = f"{facts.width} x {facts.height}"
            raise MediaRefused("dimensions_out_of_range", f"It has {found} pixels; each side must have {low} to {high}.")
        ratio = facts.width / facts.height
        if not RATIO[0] <= ratio <= RATIO[1]:
            message = f"Its width is {ratio:.2f} times its height; {RATIO[0]} to {RATIO[1]} is accepted."
            raise MediaRefused("aspect_ratio_out_of_range", message)
    seconds, (low_s, high_s) = facts.duration_seconds, DURATION_SECONDS
    if seconds is not None and not low_s - _DURATION_SLACK <= seconds <= high_s + _DURATION_SLACK:
        message = f"It lasts {seconds:.1f} s; {low_s:.0f} to {high_s:.0f} s are accepted."
        raise MediaRefused("duration_out_of_range", message)
    rate, (low_r, high_r) = facts.frames_per_second, FRAMES_PER_SECOND
    if rate is not None and not low_r - _RATE_SLACK <= rate <= high_r + _RATE_SLACK:
        message = f"It has {rate:.0f} pictures a second; {low_r:.0f} to {high_r:.0f} are accepted."
        raise MediaRefused("frame_rate_out_of_range", message)
