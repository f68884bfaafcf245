"""The media limits of the upstream model, and the messages for files that exceed them.

The values are the strictest that crun and other providers of the same model publish. All are inclusive.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from likeness.domain.media.types import AssetType, MediaFacts, MediaRefused

#: "30 MB" may mean 30,000,000 or 31,457,280 bytes. The smaller value is valid with both: a person can shrink a file
#: that is refused here, but a refusal by crun comes much later.
MEGABYTE = 1_000_000

#: Largest size in bytes, inclusive. Pictures must be *under* 30 MB, so their limit is one byte less.
MAX_BYTES: Mapping[AssetType, int] = MappingProxyType(
    {
        AssetType.IMAGE: 30 * MEGABYTE - 1,
        AssetType.VIDEO: 50 * MEGABYTE,
        AssetType.AUDIO: 15 * MEGABYTE,
    }
)

MIN_SIDE, MAX_SIDE = 300, 6000
#: Width times height of a clip. The maximum is a setting (``VideoMaxPixels``), because newer models accept 8,295,044.
MIN_PIXELS, MAX_PIXELS = 409_600, 2_086_876
MIN_RATIO, MAX_RATIO = 0.4, 2.5
MIN_SECONDS, MAX_SECONDS = 2.0, 15.0
MIN_RATE, MAX_RATE = 24.0, 60.0

#: A clip cut at 15 s ends with a whole frame (42 ms at 24 per second) and a whole block of sound (64 ms for AAC at
#: 16 kHz; MP3 pads at both ends), so valid files may be up to 0.1 s longer.
DURATION_TOLERANCE = 0.1
#: A rate is allowed when it rounds to an allowed whole number: cameras record "24" as 24000/1001 = 23.976, and phones
#: sometimes drop a frame.
RATE_TOLERANCE = 0.5

NOUNS: Mapping[AssetType, str] = MappingProxyType(
    {AssetType.IMAGE: "picture", AssetType.VIDEO: "video", AssetType.AUDIO: "sound recording"}
)


def check_size(size_bytes: int, kind: AssetType | None) -> None:
    """Raises MediaRefused for an empty file, or one over the limit of ``kind`` (of every kind, when it is unknown)."""
    if size_bytes <= 0:
        raise MediaRefused("empty_file", "The file is empty (0 bytes); please upload it again.")
    limit = max(MAX_BYTES.values()) if kind is None else MAX_BYTES[kind]
    if size_bytes > limit:
        noun = "file" if kind is None else NOUNS[kind]
        # One decimal would print 30,000,001 bytes as the allowed 30.0, so close sizes are printed in bytes.
        found = _number(size_bytes / MEGABYTE, 1)
        allowed = f"{round(limit / MEGABYTE)} MB"
        shown = f"{size_bytes:,} bytes" if size_bytes - limit < MEGABYTE else f"{found} MB"
        under = "under" if kind is AssetType.IMAGE else "at most"
        raise MediaRefused("file_too_large", f"The {noun} has {shown}; allowed are {under} {allowed}.")


def check_sides(width: int, height: int, kind: AssetType) -> None:
    """Raises MediaRefused for a frame (``width`` x ``height`` pixels) that is too small, too large or too narrow."""
    found = f"The {NOUNS[kind]} is {width} x {height} pixels"
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise MediaRefused("dimensions_out_of_range", f"{found}; each side must have {MIN_SIDE} to {MAX_SIDE} pixels.")
    # The range is symmetric (1/2.5 = 0.4), so it does not matter whether a rotation was applied.
    if not MIN_RATIO <= width / height <= MAX_RATIO:
        raise MediaRefused(
            "aspect_ratio_out_of_range",
            f"{found}: its width is {_number(width / height, 3)} times its height, "
            f"allowed are {MIN_RATIO} to {MAX_RATIO} times.",
        )


def check_pixels(width: int, height: int, least: int, most: int) -> None:
    """Raises MediaRefused for a clip of fewer than ``least`` or more than ``most`` pixels (width x height)."""
    if not least <= width * height <= most:
        raise MediaRefused(
            "dimensions_out_of_range",
            f"The video is {width} x {height} pixels, {width * height:,} in all; "
            f"allowed are {least:,} to {most:,} (width x height).",
            "PixelCountTooLarge" if width * height > most else "PixelCountTooSmall",
        )


def check_duration(seconds: float, kind: AssetType) -> None:
    """Raises MediaRefused for a clip or recording of under 2 s or over 15 s, with DURATION_TOLERANCE."""
    if not MIN_SECONDS - DURATION_TOLERANCE <= seconds <= MAX_SECONDS + DURATION_TOLERANCE:
        raise MediaRefused(
            "duration_out_of_range",
            f"The {NOUNS[kind]} lasts {_number(seconds, 2)} seconds; "
            f"allowed are {MIN_SECONDS:.0f} to {MAX_SECONDS:.0f} seconds.",
            "DurationTooLong" if seconds > MAX_SECONDS else "DurationTooShort",
        )


def check_rate(frames_per_second: float) -> None:
    """Raises MediaRefused for a video of under 24 or over 60 frames per second, with RATE_TOLERANCE."""
    if not MIN_RATE - RATE_TOLERANCE <= frames_per_second <= MAX_RATE + RATE_TOLERANCE:
        raise MediaRefused(
            "frame_rate_out_of_range",
            f"The video has {_number(frames_per_second, 2)} frames per second; "
            f"allowed are {MIN_RATE:.0f} to {MAX_RATE:.0f}.",
        )


def check(facts: MediaFacts, least_pixels: int, most_pixels: int) -> MediaFacts:
    """Returns ``facts`` when they satisfy every limit of their type; raises MediaRefused otherwise.

    ``least_pixels`` and ``most_pixels`` bound the width times height of a clip.
    """
    check_size(facts.size_bytes, facts.asset_type)
    if facts.width is not None and facts.height is not None:
        check_sides(facts.width, facts.height, facts.asset_type)
        if facts.asset_type is AssetType.VIDEO:
            check_pixels(facts.width, facts.height, least_pixels, most_pixels)
    if facts.duration_seconds is not None:
        check_duration(facts.duration_seconds, facts.asset_type)
    if facts.frames_per_second is not None:
        check_rate(facts.frames_per_second)
    return facts


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
