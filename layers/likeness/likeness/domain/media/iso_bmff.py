"""ISO base media files (ISO/IEC 14496-12): the box walk, brands, and the sides of HEIC and HEIF pictures.

Boxes are named by paths of fixed depth, never by recursion, and a container of too many is refused, so that hostile
sizes (0, 64-bit, past the end), long chains and deep nesting cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from likeness.domain.media.limits import check_sides
from likeness.domain.media.source import Source
from likeness.domain.media.types import AssetType, damaged, truncated

MAX_BOXES = 4000


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the four-character ``kind``; its payload is the bytes from ``start`` to before ``end``."""

    kind: bytes
    start: int
    end: int
    open_ended: bool = False


def boxes(source: Source, start: int, end: int) -> Iterator[Box]:
    """The boxes between two positions, in order.

    A box that leaves the file is ``file_truncated``, one that leaves its parent ``file_damaged``. Bytes that can't be
    a box end the walk: QuickTime closes some lists with four zero bytes, and some programs append their own data.
    """
    top = end == source.size
    offset = start
    for _ in range(MAX_BOXES):
        if end - offset < 8:
            return
        size, kind = source.unpack(">I4s", offset)
        if not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind):
            return
        header, open_ended = 8, size == 0
        if size == 1:
            header = 16
            (size,) = source.unpack(">Q", offset + 8)
        elif open_ended:
            size = end - offset
        if size < header:
            raise damaged()
        if offset + size > end:
            raise truncated() if top else damaged()
        yield Box(kind, offset + header, offset + size, open_ended)
        offset += size
    raise damaged()


def children(source: Source, box: Box, *path: bytes, skip: int = 0) -> Iterator[Box]:
    """Every box at ``path`` below ``box``; ``skip`` is the length of the fields before its first child."""
    for child in boxes(source, box.start + skip, box.end):
        if child.kind == path[0]:
            if len(path) == 1:
                yield child
            else:
                yield from children(source, child, *path[1:])


def child(source: Source, box: Box, *path: bytes) -> Box | None:
    """The first box at ``path`` below ``box``."""
    return next(children(source, box, *path), None)


def field(source: Source, box: Box, layout: str, offset: int = 0) -> tuple[int, ...]:
    """``struct.unpack`` of a field of ``box``, ``offset`` bytes into its payload; the field must lie inside it."""
    values = source.unpack(layout, box.start + offset)
    if box.start + offset + sum(4 if code == "I" else 8 if code in "Qq" else 2 for code in layout[1:]) > box.end:
        raise damaged()
    return values


_HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"})
_HEIF = frozenset({b"mif1", b"mif2", b"msf1"})
_QUICKTIME = b"qt  "
_MP4 = frozenset(
    {
        b"isom",
        b"avc1",
        b"mp41",
        b"mp42",
        b"mp71",
        b"M4V ",
        b"M4VH",
        b"M4VP",
        b"mmp4",
        b"MSNV",
        b"dash",
        b"f4v ",
        b"F4V ",
    }
    | {b"iso%d" % number for number in range(2, 10)}
)
# Formats of their own that name an MP4 brand among the compatible ones: sound, Canon's raw pictures, AVIF, JPEG 2000.
_OTHERS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"crx ", b"avif", b"avis", b"jp2 ", b"jpx ", b"jpm ", b"F4A ", b"f4a "})
# What QuickTime files from before ftyp start with.
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def content_type(head: bytes) -> str | None:
    """``image/heic``, ``image/heif``, ``video/mp4`` or ``video/quicktime`` by a file's first bytes; else None."""
    if len(head) < 8:
        return None
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if kind in _OLD_QUICKTIME:
        # The size keeps a sentence with the word "free" in it out: letters make more than 500 MB.
        return "video/quicktime" if size in (0, 1) or 8 <= size < 0x20000000 else None
    if kind != b"ftyp" or size < 12:
        return None
    major = head[8:12]
    brands = {head[at : at + 4] for at in range(16, min(size, len(head)), 4)}
    if major in _OTHERS:
        return None
    if major in _HEIC:
        return "image/heic"
    if major in _HEIF:  # AVIF pictures share these
        return "image/heif" if brands & _HEIC else None
    if major == _QUICKTIME:
        return "video/quicktime"
    return "video/mp4" if major in _MP4 or brands & _MP4 else None


def heif(source: Source) -> tuple[int, int]:
    """The sides of a HEIF picture in pixels: the largest ``ispe`` (ISO/IEC 23008-12), since thumbnails and the tiles
    of a large picture have their own."""
    meta: Box | None = None
    sides: tuple[int, int] | None = None
    has_data = False
    for box in boxes(source, 0, source.size):
        has_data = has_data or box.kind == b"mdat"
        if box.kind == b"meta" and meta is None:
            meta = box
            found = [
                field(source, item, ">II", 4)
                for properties in children(source, box, b"iprp", skip=4)
                for item in children(source, properties, b"ipco", b"ispe")
            ]
            if found:
                width, height = max(found, key=lambda pair: pair[0] * pair[1])
                sides = width, height
                check_sides(width, height, AssetType.IMAGE)
    if meta is None:
        raise truncated()
    if sides is None:
        raise damaged()
    if not has_data and not any(children(source, meta, b"idat", skip=4)):
        raise truncated()
    return sides
