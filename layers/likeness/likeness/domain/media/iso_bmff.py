"""The boxes of ISO base media files (ISO/IEC 14496-12): MP4, QuickTime and HEIC."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from likeness.domain.media.types import MediaRefused

_MOST_BOXES = 4096
_LARGEST_TABLE = 8 * 1024 * 1024
_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"iprp", b"ipco"})
_META_IS_FULL_BOX = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A box's kind, and where its content starts and ends in the file."""

    kind: bytes
    start: int
    end: int


def _truncated() -> MediaRefused:
    return MediaRefused("file_truncated", "The file is not complete; please upload it again.")


def walk(file: BinaryIO, start: int, end: int, budget: list[int]) -> Iterator[Box]:
    """The boxes between two positions. ``budget`` bounds the boxes of a whole file."""
    while start + 8 <= end:
        budget[0] -= 1
        if budget[0] < 0:
            raise MediaRefused("file_damaged", "The file cannot be read; please choose another one.")
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", file.read(8))[0], 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            raise _truncated()
        yield Box(kind, start + header, start + size)
        start += size


def find(file: BinaryIO, size: int) -> list[tuple[tuple[bytes, ...], Box]]:
    """Every box outside the media data with the path to it, depth first."""
    budget = [_MOST_BOXES]
    found: list[tuple[tuple[bytes, ...], Box]] = []

    def descend(path: tuple[bytes, ...], start: int, end: int) -> None:
        for box in walk(file, start, end, budget):
            found.append(((*path, box.kind), box))
            if box.kind in _PARENTS:
                descend((*path, box.kind), box.start, box.end)
            elif box.kind == b"meta":
                descend((*path, box.kind), box.start + _META_IS_FULL_BOX, box.end)

    descend((), 0, size)
    return found


def _content(file: BinaryIO, box: Box, most: int = 1024) -> bytes:
    file.seek(box.start)
    return file.read(min(box.end - box.start, most))


def heic_sides(file: BinaryIO, size: int) -> tuple[int, int]:
    """The sides of the largest picture in a HEIC file."""
    sides = [
        struct.unpack(">II", _content(file, box)[4:12]) for path, box in find(file, size) if path[-1] == b"ispe"
    ]
    if not sides:
        raise MediaRefused("file_damaged", "The picture cannot be read; please choose another one.")
    width, height = max(sides, key=lambda each: each[0] * each[1])
    return int(width), int(height)


@dataclass(frozen=True, slots=True)
class Clip:
    """A video's duration in seconds, sides in pixels and mean frame rate."""

    duration: float
    width: int
    height: int
    rate: float


def clip(file: BinaryIO, size: int) -> Clip:
    """What the first video track says. MediaRefused when there is none, or the film's parts are missing."""
    boxes = find(file, size)
    kinds = {path[0] for path, _ in boxes}
    if b"moov" not in kinds or b"mdat" not in kinds:
        raise _truncated()
    tracks: list[dict[bytes, Box]] = []
    for path, box in boxes:
        if path == (b"moov", b"trak"):
            tracks.append({})
        elif path[:2] == (b"moov", b"trak") and tracks:
            tracks[-1].setdefault(path[-1], box)
    for track in tracks:
        if b"hdlr" in track and _content(file, track[b"hdlr"])[8:12] == b"vide":
            return _video(file, track)
    raise MediaRefused("format_unsupported", "There is no picture in this film.")


def _video(file: BinaryIO, track: dict[bytes, Box]) -> Clip:
    header = _content(file, track[b"mdhd"])
    scale, length = struct.unpack(">IQ" if header[0] else ">II", header[20:32] if header[0] else header[12:20])
    shown = _content(file, track[b"tkhd"])
    matrix_at = 52 if shown[0] else 40
    a, b = struct.unpack(">ii", shown[matrix_at : matrix_at + 8])
    width, height = (side >> 16 for side in struct.unpack(">II", shown[matrix_at + 36 : matrix_at + 44]))
    if a == 0 and b != 0:  # turned by a quarter
        width, height = height, width
    table = _content(file, track[b"stts"], _LARGEST_TABLE)
    frames = sum(count for count, _ in struct.iter_unpack(">II", table[8 : 8 + (len(table) - 8) // 8 * 8]))
    duration = length / scale
    return Clip(duration, width, height, frames / duration if duration else 0.0)
