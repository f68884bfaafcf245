"""Duration, displayed size and average frame rate of MP4 and QuickTime videos, from their index (``moov``).

The index may stand at either end of the file or be spread over fragments (browsers record those). Only headers are
read, never samples. Field positions: ISO/IEC 14496-12 section 8; QuickTime shares them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from likeness.domain.media.iso_bmff import Box, boxes, child, children, field
from likeness.domain.media.source import Source
from likeness.domain.media.types import MediaRefused, damaged, truncated

_MAX_TRACKS = 64
#: Pictures per track: 4.6 hours at 60 per second.
_MAX_SAMPLES = 1_000_000


@dataclass(frozen=True, slots=True)
class Movie:
    """Pixels after the track's rotation, seconds, and pictures per second on average."""

    width: int
    height: int
    seconds: float
    frames_per_second: float


@dataclass(frozen=True, slots=True)
class _Track:
    """A picture track: ``samples`` last ``ticks`` / ``timescale`` seconds; ``edited`` says that not all is shown."""

    number: int
    width: int
    height: int
    timescale: int
    ticks: int
    samples: int
    edited: bool


def movie(source: Source) -> Movie:
    """Read a video; ``format_unsupported`` when it has no pictures, ``file_truncated`` without index or content."""
    top = list(boxes(source, 0, source.size))
    index = next((box for box in top if box.kind == b"moov"), None)
    if index is None or not any(box.kind in (b"mdat", b"moof") for box in top):
        raise truncated()
    tracks = [track for track in _tracks(source, index) if track]
    if not tracks:
        raise MediaRefused(
            "format_unsupported", "This video file has no picture in it; send a recording of sound as MP3 or WAV."
        )
    track = max(tracks, key=lambda one: one.samples)
    seconds = 0.0
    if child(source, index, b"mvex") and not track.samples:
        track = _fragmented(source, index, [box for box in top if box.kind == b"moof"], track)
    else:
        seconds = _presentation_seconds(source, index)
    if not track.timescale or not track.ticks or not track.samples:
        raise damaged()
    media_seconds = track.ticks / track.timescale
    if not track.edited:
        seconds = max(seconds, media_seconds)
    return Movie(track.width, track.height, seconds or media_seconds, track.samples / media_seconds)


def _presentation_seconds(source: Source, index: Box) -> float:
    """The movie header's duration: that of the longest track as it is shown. 0 when unknown."""
    header = child(source, index, b"mvhd")
    if header is None:
        raise damaged()
    timescale, duration = _times(source, header, 12)
    return duration / timescale if timescale else 0.0


def _times(source: Source, header: Box, offset: int) -> tuple[int, int]:
    """Time scale and duration of an mvhd or mdhd (version 0 at ``offset``); all bits set mean unknown, given as 0."""
    version = source.read(header.start, 1)[0]
    layout, place = (">IQ", offset + 8) if version == 1 else (">II", offset)
    timescale, duration = field(source, header, layout, place)
    return timescale, 0 if duration in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF) else duration


def _tracks(source: Source, index: Box) -> Iterator[_Track | None]:
    for number, trak in enumerate(children(source, index, b"trak")):
        if number >= _MAX_TRACKS:
            raise damaged()
        yield _picture_track(source, trak)


def _picture_track(source: Source, trak: Box) -> _Track | None:
    handler = child(source, trak, b"mdia", b"hdlr")
    if handler is None or source.read(handler.start + 8, 4) != b"vide":
        return None
    header, times = child(source, trak, b"tkhd"), child(source, trak, b"mdia", b"mdhd")
    table = child(source, trak, b"mdia", b"minf", b"stbl")
    if header is None or times is None or table is None:
        raise damaged()
    wide = 12 if source.read(header.start, 1)[0] == 1 else 0
    (number,) = field(source, header, ">I", 12 + wide // 12 * 8)
    matrix = field(source, header, ">IIIII", 40 + wide)
    width, height = _pixels(source, header, table, wide)
    if matrix[0] == 0 and matrix[4] == 0 and matrix[1] and matrix[3]:  # turned by 90 or 270 degrees
        width, height = height, width
    timescale, ticks = _times(source, times, 12)
    _check_last_chunk(source, table)
    edited = child(source, trak, b"edts", b"elst") is not None
    return _Track(number, width, height, timescale, ticks, _sample_count(source, table), edited)


def _pixels(source: Source, header: Box, table: Box, wide: int) -> tuple[int, int]:
    """The coded size in the sample description; the track header's (16.16) when that is not given."""
    descriptions = child(source, table, b"stsd")
    if descriptions is not None and descriptions.end - descriptions.start >= 8 + 36:
        width, height = field(source, descriptions, ">HH", 8 + 32)
        if width and height:
            return width, height
    width, height = field(source, header, ">II", 76 + wide)
    return width >> 16, height >> 16


def _sample_count(source: Source, table: Box) -> int:
    sizes = child(source, table, b"stsz") or child(source, table, b"stz2")
    if sizes is None:
        raise damaged()
    (samples,) = field(source, sizes, ">I", 8)
    if samples > _MAX_SAMPLES:
        raise damaged()
    return samples


def _check_last_chunk(source: Source, table: Box) -> None:
    """Refuse a file that ends before its last chunk: a content box without a length hides that."""
    for kind, layout, width in ((b"stco", ">I", 4), (b"co64", ">Q", 8)):
        offsets = child(source, table, kind)
        if offsets is None:
            continue
        (count,) = field(source, offsets, ">I", 4)
        if count and field(source, offsets, layout, 8 + width * (count - 1))[0] >= source.size:
            raise truncated()


# Flags of tfhd and trun: which optional fields are there.
_TFHD_BASE, _TFHD_DESCRIPTION, _TFHD_DURATION = 0x01, 0x02, 0x08
_TRUN_OFFSET, _TRUN_FIRST_FLAGS, _TRUN_DURATION = 0x01, 0x04, 0x100
_TRUN_PER_SAMPLE = (0x100, 0x200, 0x400, 0x800)


def _fragmented(source: Source, index: Box, fragments: list[Box], track: _Track) -> _Track:
    """The track with samples and ticks summed over the movie's fragments (section 8.8)."""
    default = 0
    for extends in children(source, index, b"mvex", b"trex"):
        number, _, duration = field(source, extends, ">III", 4)
        if number == track.number:
            default = duration
    samples = ticks = 0
    for fragment in fragments:
        for part in children(source, fragment, b"traf"):
            count, duration = _fragment(source, part, track.number, default)
            samples += count
            ticks += duration
            if samples > _MAX_SAMPLES:
                raise damaged()
    return _Track(track.number, track.width, track.height, track.timescale, ticks, samples, track.edited)


def _fragment(source: Source, part: Box, number: int, default: int) -> tuple[int, int]:
    """Samples and ticks of one ``traf``; 0 of each when it belongs to another track."""
    header = child(source, part, b"tfhd")
    if header is None:
        raise damaged()
    flags, owner = field(source, header, ">II")
    if owner != number:
        return 0, 0
    if flags & _TFHD_DURATION:
        offset = 8 + (8 if flags & _TFHD_BASE else 0) + (4 if flags & _TFHD_DESCRIPTION else 0)
        (default,) = field(source, header, ">I", offset)
    samples = ticks = 0
    for run in children(source, part, b"trun"):
        flags, count = field(source, run, ">II")
        stride = 4 * sum(1 for flag in _TRUN_PER_SAMPLE if flags & flag)
        start = run.start + 8 + (4 if flags & _TRUN_OFFSET else 0) + (4 if flags & _TRUN_FIRST_FLAGS else 0)
        if count > _MAX_SAMPLES or start + stride * count > run.end:
            raise damaged()
        samples += count
        if flags & _TRUN_DURATION:
            raw = source.read(start, stride * count)
            ticks += sum(duration for (duration,) in struct.iter_unpack(f">I{stride - 4}x", raw))
        else:
            ticks += count * default
    return samples, ticks
