"""Duration, displayed size and average frame rate of MP4 and QuickTime videos, from their index.

The index is the ``moov`` box, which may be at either end of the file, and the ``moof`` box of each fragment: a file may
have both, and its content is the samples of both. Durations come from the sample tables, because those in headers are
often missing or wrong. Only headers are read, never samples. Field positions: ISO/IEC 14496-12 section 8; QuickTime
has the same ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from likeness.domain.media.iso_bmff import Box, boxes, child, children, field
from likeness.domain.media.source import MAX_READ, Source
from likeness.domain.media.types import MediaRefused, damaged, truncated

_MAX_TRACKS = 64
#: Pictures per track: 4.6 hours at 60 per second.
_MAX_SAMPLES = 1_000_000
_CONTENT = (b"mdat", b"imda")
_PICTURES, _SOUND = b"vide", b"soun"


@dataclass(frozen=True, slots=True)
class Movie:
    """Pixels after the track's rotation, seconds, and pictures per second on average.

    ``steady_rate`` excludes the longest picture: some are shown until the sound begins, or until it ends.
    """

    width: int
    height: int
    seconds: float
    frames_per_second: float
    steady_rate: float


#: Duration in ticks of the movie, first tick of the media (-1: an empty edit), speed.
_Edit = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class _Track:
    """A track: ``samples`` last ``ticks`` / ``timescale`` seconds. ``edits`` select the parts that are shown.

    ``longest`` is the duration of the longest sample in ticks, ``lead`` the tick at which the first one is shown.
    ``chapters`` are the tracks that hold its chapters' titles and pictures.
    """

    number: int
    kind: bytes
    enabled: bool
    timescale: int
    ticks: int
    samples: int
    longest: int = 0
    width: int = 0
    height: int = 0
    lead: int = 0
    edits: tuple[_Edit, ...] = ()
    chapters: tuple[int, ...] = ()

    @property
    def media_seconds(self) -> float:
        """The duration of the samples."""
        return self.ticks / self.timescale if self.timescale else 0.0

    @property
    def steady_rate(self) -> float:
        """Samples per second, without the longest one."""
        if self.samples > 1 and self.ticks > self.longest:
            return (self.samples - 1) * self.timescale / (self.ticks - self.longest)
        return self.samples / self.media_seconds

    def shown_seconds(self, movie_timescale: int) -> float:
        """The playback duration of the track: the part of its samples that its edits show."""
        if not self.edits or not movie_timescale:
            return self.media_seconds
        seconds = 0.0
        for length, start, speed in self.edits:
            wanted = length / movie_timescale
            if start >= 0 and speed > 0:
                there = (self.media_seconds - max(0, start - self.lead) / self.timescale) / speed
                wanted = max(0.0, min(wanted, there) if wanted else there)
            seconds += wanted
        return seconds


def movie(source: Source) -> Movie:
    """Reads a video. Raises ``format_unsupported`` without pictures, ``file_truncated`` without index or content."""
    top = list(boxes(source, 0, source.size))
    index = next((box for box in top if box.kind == b"moov"), None)
    fragments = [box for box in top if box.kind == b"moof"]
    content = [box for box in top if box.kind in _CONTENT]
    if index is None or not (content or fragments):
        raise truncated()
    header = child(source, index, b"mvhd")
    tracks = _with_fragments(source, index, fragments, list(_tracks(source, index)))
    pictures = [track for track in tracks if track.kind == _PICTURES]
    if not pictures:
        raise MediaRefused(
            "format_unsupported", "This video file has no picture in it; send a recording of sound as MP3 or WAV."
        )
    if header is None:
        raise damaged()
    if fragments and (not content or content[-1].start < fragments[-1].start):
        raise truncated()  # the last fragment's samples follow its index
    track = _shown(pictures)
    if not track.ticks or not track.timescale:
        raise damaged()
    timescale, _ = _times(source, header)
    sounds = [each for each in tracks if each.kind == _SOUND and each.enabled and each.timescale]
    seconds = max(each.shown_seconds(timescale) for each in (track, *sounds))
    width, height = track.width, track.height
    if _is_turned(source, header, 36):
        width, height = height, width
    return Movie(width, height, seconds, track.samples / track.media_seconds, track.steady_rate)


def _shown(pictures: list[_Track]) -> _Track:
    """The track that players show: the first enabled one with pictures, else the largest; chapters only if no other."""
    chapters = {number for track in pictures for number in track.chapters}
    whole = [track for track in pictures if track.samples]
    if not whole:
        raise damaged()
    films = [track for track in whole if track.number not in chapters] or whole
    enabled = [track for track in films if track.enabled]
    if enabled:
        return min(enabled, key=lambda track: track.number)
    return max(films, key=lambda track: (track.width * track.height, -track.number))


def _is_wide(source: Source, header: Box) -> bool:
    """Whether a header's times have 64 bits (version 1)."""
    return source.read(header.start, 1)[0] == 1


def _times(source: Source, header: Box) -> tuple[int, int]:
    """Time scale and duration of an mvhd or mdhd; 0 for an unknown duration (all bits set)."""
    layout, place = (">IQ", 20) if _is_wide(source, header) else (">II", 12)
    timescale, duration = field(source, header, layout, place)
    return timescale, 0 if duration in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF) else duration


def _is_turned(source: Source, header: Box, offset: int) -> bool:
    """Whether the matrix of an mvhd or tkhd (version 0 at ``offset``) rotates by about 90 or 270 degrees."""
    right, across, _, down, upright = field(source, header, ">5i", offset + (12 if _is_wide(source, header) else 0))
    return abs(right) + abs(upright) < abs(across) + abs(down)


def _tracks(source: Source, index: Box) -> Iterator[_Track]:
    for number, trak in enumerate(children(source, index, b"trak")):
        if number >= _MAX_TRACKS:
            raise damaged()
        handler = child(source, trak, b"mdia", b"hdlr")
        kind = source.read(handler.start + 8, 4) if handler else b""
        if kind == _PICTURES or (kind == _SOUND and not _lacks_tables(source, trak)):
            yield _track(source, trak, kind)


def _lacks_tables(source: Source, trak: Box) -> bool:
    paths = ((b"tkhd",), (b"mdia", b"mdhd"), (b"mdia", b"minf", b"stbl"))
    return any(child(source, trak, *path) is None for path in paths)


def _track(source: Source, trak: Box, kind: bytes) -> _Track:
    header, times = child(source, trak, b"tkhd"), child(source, trak, b"mdia", b"mdhd")
    table = child(source, trak, b"mdia", b"minf", b"stbl")
    if header is None or times is None or table is None:
        raise damaged()
    wide = 8 if _is_wide(source, header) else 0
    (number,) = field(source, header, ">I", 12 + wide)
    timescale, claimed = _times(source, times)
    samples = _sample_count(source, table, kind)
    ticks, longest = _table_ticks(source, table, samples)
    _check_last_chunk(source, table)
    track = _Track(
        number,
        kind,
        enabled=bool(source.read(header.start + 3, 1)[0] & 1),
        timescale=timescale,
        ticks=ticks or (claimed if samples else 0),
        samples=samples,
        longest=longest,
        lead=_lead(source, table),
        edits=tuple(_edits(source, trak)),
        chapters=tuple(_chapters(source, trak)),
    )
    if kind == _SOUND:
        return track
    width, height = _pixels(source, header, table, wide)
    if _is_turned(source, header, 40):
        width, height = height, width
    return replace(track, width=width, height=height)


def _pixels(source: Source, header: Box, table: Box, wide: int) -> tuple[int, int]:
    """The coded size in the sample description; the track header's (16.16) when that is missing."""
    descriptions = child(source, table, b"stsd")
    if descriptions is not None and descriptions.end - descriptions.start >= 8 + 36:
        width, height = field(source, descriptions, ">HH", 8 + 32)
        if width and height:
            return width, height
    width, height = field(source, header, ">II", 76 + (12 if wide else 0))
    return width >> 16, height >> 16


def _sample_count(source: Source, table: Box, kind: bytes) -> int:
    sizes = child(source, table, b"stsz") or child(source, table, b"stz2")
    if sizes is None:
        if kind == _SOUND:
            return 0
        raise damaged()
    (samples,) = field(source, sizes, ">I", 8)
    if samples > _MAX_SAMPLES and kind == _PICTURES:
        raise damaged()
    return samples


def _table_ticks(source: Source, table: Box, samples: int) -> tuple[int, int]:
    """The total duration of ``samples`` in ``stts``, and of the longest one, in ticks; zeros without ``stts``."""
    times = child(source, table, b"stts")
    if times is None:
        return 0, 0
    (count,) = field(source, times, ">I", 4)
    if count > _MAX_SAMPLES or times.start + 8 + 8 * count > times.end:
        raise damaged()
    ticks, longest, step = 0, 0, MAX_READ // 8
    for first in range(0, count, step):
        raw = source.read(times.start + 8 + 8 * first, 8 * min(step, count - first))
        for number, each in struct.iter_unpack(">Ii", raw):
            counted, lasting = min(number, samples), max(0, each)  # some last samples have a negative duration
            longest = max(longest, lasting if counted else 0)
            ticks += counted * lasting
            samples -= counted
    return ticks, longest


def _lead(source: Source, table: Box) -> int:
    """The ticks between decoding and showing the first sample (``ctts``)."""
    offsets = child(source, table, b"ctts")
    if offsets is None or not field(source, offsets, ">I", 4)[0]:
        return 0
    return max(0, field(source, offsets, ">Ii", 8)[1])


_MAX_EDITS = 1000


def _edits(source: Source, trak: Box) -> Iterator[_Edit]:
    edits = child(source, trak, b"edts", b"elst")
    if edits is None:
        return
    layout = ">Qqi" if _is_wide(source, edits) else ">Iii"
    width = struct.calcsize(layout)
    (count,) = field(source, edits, ">I", 4)
    if count > _MAX_EDITS:
        raise damaged()
    unknown = (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    for number in range(count):
        length, start, speed = field(source, edits, layout, 8 + width * number)
        yield 0 if length in unknown else length, start, speed / 65536


def _chapters(source: Source, trak: Box) -> Iterator[int]:
    named = child(source, trak, b"tref", b"chap")
    if named is not None:
        for offset in range(0, min(named.end - named.start - 3, 4 * _MAX_TRACKS), 4):
            yield from field(source, named, ">I", offset)


def _check_last_chunk(source: Source, table: Box) -> None:
    """Raises MediaRefused for a file that ends before its last chunk; a content box without a length hides that."""
    for kind, layout, width in ((b"stco", ">I", 4), (b"co64", ">Q", 8)):
        offsets = child(source, table, kind)
        if offsets is None:
            continue
        (count,) = field(source, offsets, ">I", 4)
        if count and field(source, offsets, layout, 8 + width * (count - 1))[0] >= source.size:
            raise truncated()


# Flags of tfhd and trun: the optional fields that are present.
_TFHD_BASE, _TFHD_DESCRIPTION, _TFHD_DURATION = 0x01, 0x02, 0x08
_TRUN_OFFSET, _TRUN_FIRST_FLAGS, _TRUN_DURATION = 0x01, 0x04, 0x100
_TRUN_PER_SAMPLE = (0x100, 0x200, 0x400, 0x800)


def _with_fragments(source: Source, index: Box, fragments: list[Box], tracks: list[_Track]) -> list[_Track]:
    """The tracks with the samples and ticks of the movie's fragments added to those of its index (section 8.8).

    An edit was written before the fragments and does not cover them, so all samples are shown.
    """
    if not fragments:
        return tracks
    defaults: dict[int, int] = {}
    for extends in children(source, index, b"mvex", b"trex"):
        number, _, duration = field(source, extends, ">III", 4)
        defaults[number] = duration
    added: dict[int, tuple[int, int, int]] = {}
    total = 0
    for fragment in fragments:
        for part in children(source, fragment, b"traf"):
            number, samples, ticks, longest = _fragment(source, part, defaults)
            if samples:
                before = added.get(number, (0, 0, 0))
                added[number] = before[0] + samples, before[1] + ticks, max(before[2], longest)
            total += samples
            if total > _MAX_SAMPLES:
                raise damaged()
    return [_longer(track, *added[track.number]) if track.number in added else track for track in tracks]


def _longer(track: _Track, samples: int, ticks: int, longest: int) -> _Track:
    return replace(
        track,
        samples=track.samples + samples,
        ticks=track.ticks + ticks,
        longest=max(track.longest, longest),
        edits=(),
    )


def _fragment(source: Source, part: Box, defaults: dict[int, int]) -> tuple[int, int, int, int]:
    """The track, samples and ticks of one ``traf``, and the ticks of its longest sample."""
    header = child(source, part, b"tfhd")
    if header is None:
        raise damaged()
    flags, number = field(source, header, ">II")
    default = defaults.get(number, 0)
    if flags & _TFHD_DURATION:
        offset = 8 + (8 if flags & _TFHD_BASE else 0) + (4 if flags & _TFHD_DESCRIPTION else 0)
        (default,) = field(source, header, ">I", offset)
    samples = ticks = longest = 0
    for run in children(source, part, b"trun"):
        flags, count = field(source, run, ">II")
        stride = 4 * sum(1 for flag in _TRUN_PER_SAMPLE if flags & flag)
        start = run.start + 8 + (4 if flags & _TRUN_OFFSET else 0) + (4 if flags & _TRUN_FIRST_FLAGS else 0)
        if count > _MAX_SAMPLES or start + stride * count > run.end:
            raise damaged()
        samples += count
        if flags & _TRUN_DURATION:
            raw = source.read(start, stride * count)
            durations = [duration for (duration,) in struct.iter_unpack(f">I{stride - 4}x", raw)]
            ticks += sum(durations)
            longest = max([longest, *durations])
        elif count:
            ticks += count * default
            longest = max(longest, default)
    return number, samples, ticks, longest
