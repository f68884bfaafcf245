"""ISO base media files (ISO/IEC 14496-12): boxes, brands, and the sides of HEIC and HEIF pictures.

Boxes are addressed by paths of fixed depth, never by recursion, and a container with too many boxes is refused. So
hostile sizes (0, 64-bit, past the end), long chains and deep nesting are cheap to reject.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from likeness.domain.media.limits import check_sides
from likeness.domain.media.source import Source
from likeness.domain.media.types import AssetType, damaged, truncated

MAX_BOXES = 4000
#: The boxes at the top level of a file. Other data there that is not a complete box was appended by some program.
_TOP_KINDS = frozenset(
    {
        b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"imda", b"mfra", b"meta", b"sidx", b"ssix", b"prft", b"emsg",
        b"pdin", b"free", b"skip", b"wide", b"pnot", b"udta", b"uuid",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the four-character ``kind``; its payload is the bytes from ``start`` to before ``end``."""

    kind: bytes
    start: int
    end: int
    open_ended: bool = False


def boxes(source: Source, start: int, end: int) -> Iterator[Box]:
    """The boxes between two positions, in order.

    A box that exceeds the file is ``file_truncated``, one that exceeds its parent ``file_damaged``. Bytes that cannot
    be a box end the iteration: QuickTime closes some lists with four zero bytes, and some programs append their own
    data (for example an ID3 tag, which reads like a box of an unknown kind).
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
        if start == 0 < offset and kind not in _TOP_KINDS and not header <= size <= end - offset:
            return
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


def child(source: Source, box: Box, *path: bytes, skip: int = 0) -> Box | None:
    """The first box at ``path`` below ``box``; ``skip`` as for ``children``."""
    return next(children(source, box, *path, skip=skip), None)


def field(source: Source, box: Box, layout: str, offset: int = 0) -> tuple[int, ...]:
    """``struct.unpack`` of a field of ``box``, ``offset`` bytes into its payload; the field must be inside it."""
    values = source.unpack(layout, box.start + offset)
    if box.start + offset + struct.calcsize(layout) > box.end:
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
# Other formats that list an MP4 brand as compatible: sound, Canon's raw pictures, AVIF, JPEG 2000.
_OTHERS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"crx ", b"avif", b"avis", b"jp2 ", b"jpx ", b"jpm ", b"F4A ", b"f4a "})
_PADDING = frozenset({b"free", b"skip", b"wide"})
# The first boxes of QuickTime files without ftyp.
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def content_type(head: bytes) -> str | None:
    """``image/heic``, ``image/heif``, ``video/mp4`` or ``video/quicktime`` by a file's first bytes; else None."""
    if len(head) < 8:
        return None
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if kind in _PADDING and size >= 8 and head[size + 4 : size + 8] == b"ftyp":  # some editors begin with free space
        head = head[size:]
        size, kind = int.from_bytes(head[:4], "big"), b"ftyp"
    if kind in _OLD_QUICKTIME:
        # The size excludes a text that contains the word "free": letters, read as a size, are more than 500 MB.
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
    """The sides in pixels of a HEIF file's primary picture, as it is shown (ISO/IEC 23008-12).

    ``pitm`` names the picture, ``ipma`` its properties: the size, then crop and rotation. Thumbnails, tiles and further
    pictures have other sizes. Without an assigned property, the largest size counts.
    """
    meta: Box | None = None
    sides: tuple[int, int] | None = None
    has_data = False
    for box in boxes(source, 0, source.size):
        has_data = has_data or box.kind == b"mdat"
        if box.kind == b"meta" and meta is None:
            meta = box
            sides = _primary_sides(source, box) or _largest_sides(source, box)
            if sides:
                check_sides(*sides, AssetType.IMAGE)
    if meta is None:
        raise truncated()
    if sides is None:
        raise damaged()
    if not has_data and not any(children(source, meta, b"idat", skip=4)):
        raise truncated()
    return sides


def _properties(source: Source, meta: Box) -> list[Box]:
    """The item properties in order; associations refer to them by number, from 1."""
    found = child(source, meta, b"iprp", b"ipco", skip=4)
    return list(boxes(source, found.start, found.end)) if found else []


def _largest_sides(source: Source, meta: Box) -> tuple[int, int] | None:
    found = [field(source, each, ">II", 4) for each in _properties(source, meta) if each.kind == b"ispe"]
    if not found:
        return None
    width, height = max(found, key=lambda pair: pair[0] * pair[1])
    return width, height


def _primary_sides(source: Source, meta: Box) -> tuple[int, int] | None:
    primary = child(source, meta, b"pitm", skip=4)
    if primary is None:
        return None
    wide = source.read(primary.start, 1)[0] > 0
    (item,) = field(source, primary, ">I" if wide else ">H", 4)
    properties = _properties(source, meta)
    own = [properties[each - 1] for each in _associations(source, meta, item) if 0 < each <= len(properties)]
    size = next((each for each in own if each.kind == b"ispe"), None)
    if size is None:
        return None
    width, height = field(source, size, ">II", 4)
    for each in own:  # crops and rotations apply in this order
        if each.kind == b"clap":
            across, across_of, down, down_of = field(source, each, ">IIII")
            if across_of and down_of:  # players ignore an invalid crop
                width, height = min(width, round(across / across_of)), min(height, round(down / down_of))
        elif each.kind == b"irot" and source.read(each.start, 1)[0] & 1:
            width, height = height, width
    return width, height


def _associations(source: Source, meta: Box, item: int) -> list[int]:
    """The indexes of an item's properties, in the order in which they apply."""
    found: list[int] = []
    for table in children(source, meta, b"iprp", b"ipma", skip=4):
        data = source.read(table.start, table.end - table.start)
        version, flags = data[0], data[3]
        (count,) = struct.unpack_from(">I", data, 4)
        at = 8
        for _ in range(min(count, len(data))):  # an entry has at least three bytes
            (owner,) = struct.unpack_from(">H" if version < 1 else ">I", data, at)
            at += 2 if version < 1 else 4
            number, width = data[at], 2 if flags & 1 else 1
            raw = data[at + 1 : at + 1 + number * width]
            at += 1 + number * width
            if owner == item:
                # the highest bit marks the property as essential
                found += (
                    [each & 0x7F for each in raw]
                    if width == 1
                    else [each & 0x7FFF for (each,) in struct.iter_unpack(">H", raw)]
                )
    return found
