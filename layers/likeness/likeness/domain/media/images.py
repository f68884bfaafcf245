"""Width and height of still pictures from their headers, and whether the file is complete. Nothing is decoded.

There is one reader per container. Each checks the limits as soon as it knows the sides, before it searches for the
file's end: a picture of 60,000 x 60,000 pixels is refused regardless of the rest of the file.

The Exif orientation is not applied: sides are reported as stored (the limits are symmetric). iso_bmff.py reads HEIC
pictures.
"""

from __future__ import annotations

import struct
import zlib

from likeness.domain.media.limits import check_sides
from likeness.domain.media.source import Source, Window, riff_chunks
from likeness.domain.media.types import AssetType, MediaRefused, damaged, truncated

Sides = tuple[int, int]

# Markers without a length (ITU-T T.81, table B.1): RST0..RST7 and SOI, which some cameras write twice. Headers do not
# have markers below SOF0.
_JPEG_BARE = frozenset(range(0xD0, 0xD9))
_JPEG_FIRST = 0xC0
# Start of frame, without DHT (C4), JPG (C8) and DAC (CC), which share the range.
_JPEG_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SOS, _JPEG_EOI = 0xDA, 0xD9
_MAX_JPEG_SEGMENTS = 4000
#: The bytes between segments that decoders skip; some cameras write their own data there.
_MAX_JPEG_JUNK = 1 << 16


def jpeg(source: Source) -> Sides:
    """A JPEG's sides. The file must have a scan and an end-of-image marker."""
    sides: Sides | None = None
    offset, junk = 2, _MAX_JPEG_JUNK
    for _ in range(_MAX_JPEG_SEGMENTS):
        prefix, marker = source.read(offset, 2)
        if prefix != 0xFF or marker < _JPEG_FIRST:
            skipped = _bytes_before_marker(source, offset, junk)
            offset, junk = offset + skipped, junk - skipped
            continue
        if marker == 0xFF or marker in _JPEG_BARE:  # fill bytes may precede any marker
            offset += 1 if marker == 0xFF else 2
            continue
        if marker == _JPEG_EOI:
            raise damaged()
        (length,) = source.unpack(">H", offset + 2)
        length = max(length, 2)  # it includes itself; decoders read a smaller one as an empty segment
        if marker in _JPEG_SOF and sides is None:
            height, width = source.unpack(">HH", offset + 5)
            sides = width, height
            check_sides(width, height, AssetType.IMAGE)
        offset += 2 + length
        if marker == _JPEG_SOS:
            if sides is None:
                raise damaged()
            # In a scan, FF is always followed by 00 or a restart marker, so FF D9 cannot be picture data.
            if offset >= source.size or source.find(b"\xff\xd9", offset) < 0:
                raise truncated()
            return sides
    raise damaged()


def _bytes_before_marker(source: Source, offset: int, most: int) -> int:
    """The number of bytes from ``offset`` to the next marker, at most ``most``."""
    data = source.read(offset, min(most + 2, source.size - offset))
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 1:
        if data[at + 1] >= _JPEG_FIRST:
            return at
        at = data.find(b"\xff", at + 1)
    raise truncated() if len(data) < most + 2 else damaged()


_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def png(source: Source) -> Sides:
    """A PNG's sides. Its header's checksum must match, and its last chunk must be present."""
    length, header = source.unpack(">I17s", 8)
    (checksum,) = source.unpack(">I", 29)
    if length != 13 or header[:4] != b"IHDR" or zlib.crc32(header) != checksum:
        raise damaged()
    width, height = struct.unpack_from(">II", header, 4)
    check_sides(width, height, AssetType.IMAGE)
    if source.size >= 45 and source.read(source.size - 12, 12) == _PNG_END:
        return width, height
    # Data follows the last chunk, or the chunk is missing: only then are all chunks read.
    offset = 33
    while True:
        length, kind = source.unpack(">I4s", offset)
        offset += 12 + length
        if offset > source.size:
            raise truncated()
        if kind == b"IEND":
            return width, height


_GIF_EXTENSION, _GIF_PICTURE, _GIF_FILL = 0x21, 0x2C, 0


def gif(source: Source) -> Sides:
    """A GIF's canvas. Reads its blocks; at least one picture must be complete.

    The trailer may be missing, and any data may follow it: decoders show the picture anyway (GIF89a, section 27).
    """
    width, height, flags = source.unpack("<HHB", 6)
    check_sides(width, height, AssetType.IMAGE)
    window = Window(source)
    offset = 13 + _gif_colours(flags)
    if window.byte(offset) not in (_GIF_EXTENSION, _GIF_PICTURE):
        raise damaged()
    pictures = 0
    while offset < source.size:
        kind = window.byte(offset)
        if kind == _GIF_EXTENSION:
            offset = _after_gif_data(window, offset + 2)
        elif kind == _GIF_PICTURE:
            offset = _after_gif_data(window, offset + 11 + _gif_colours(window.byte(offset + 9)))
            pictures += 1
        elif kind == _GIF_FILL:
            offset += 1
        else:
            break
    if not pictures:
        raise truncated() if offset >= source.size else damaged()
    return width, height


def _gif_colours(flags: int) -> int:
    """The length in bytes of the colour table, by ``flags``."""
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _after_gif_data(window: Window, offset: int) -> int:
    """The first byte after a chain of data sub-blocks, which ends with an empty one."""
    while length := window.byte(offset):
        offset += 1 + length
    return offset + 1


_BMP_UNCOMPRESSED = frozenset({0, 3, 6})  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS


def bmp(source: Source) -> Sides:
    """A Windows or OS/2 bitmap's sides. All its rows must be present.

    The size in the file's header only counts for compressed rows, where it cannot be calculated: no decoder reads it,
    and it is often wrong.
    """
    (claimed, _, pixels, header) = source.unpack("<IIII", 2)
    compression = length = 0
    if header == 12:  # OS/2 1.x
        width, height, _, depth = source.unpack("<HHHH", 18)
    else:
        width, height, _, depth, compression = source.unpack("<iiHHI", 18)
        length = source.unpack("<I", 34)[0] if header >= 40 else 0
    height = abs(height)  # negative: rows from the top
    if width <= 0 or height == 0 or depth == 0:
        raise damaged()
    check_sides(width, height, AssetType.IMAGE)
    if compression in _BMP_UNCOMPRESSED:
        length = (width * depth + 31) // 32 * 4 * height
    if (pixels + length if length else claimed) > source.size:
        raise truncated()
    return width, height


def webp(source: Source) -> Sides:
    """A WebP's canvas. The RIFF length must match the file, and the chunks must include picture data."""
    (claimed,) = source.unpack("<I", 4)
    sides: Sides | None = None
    for chunk in riff_chunks(source):
        if chunk.kind in (b"VP8X", b"VP8 ", b"VP8L") and sides is None:
            sides = _webp_sides(source, chunk.kind, chunk.start)
            check_sides(*sides, AssetType.IMAGE)
            if claimed + 8 > source.size:
                raise truncated()
        if chunk.kind in (b"VP8 ", b"VP8L", b"ANMF"):
            if sides is None:
                raise damaged()
            if chunk.start + chunk.length > source.size:
                raise truncated()
            return sides
    raise truncated() if claimed + 8 > source.size else damaged()


def _webp_sides(source: Source, kind: bytes, start: int) -> Sides:
    if kind == b"VP8X":  # canvas minus one in two 24-bit numbers
        raw = source.read(start + 4, 6)
        return int.from_bytes(raw[:3], "little") + 1, int.from_bytes(raw[3:], "little") + 1
    if kind == b"VP8L":
        signature, bits = source.unpack("<BI", start)
        if signature != 0x2F:
            raise damaged()
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    mark, width, height = source.unpack("<3sHH", start + 3)
    if mark != b"\x9d\x01\x2a":
        raise damaged()
    return width & 0x3FFF, height & 0x3FFF  # the two top bits are a scaling hint


# Tags of TIFF 6.0, section 8; DNGVersion of the DNG specification.
_WIDTH, _HEIGHT = 256, 257
_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS = 273, 279, 324, 325
_DNG_VERSION = 50706
_TIFF_TYPES = {3: "H", 4: "I"}  # SHORT, LONG
_MAX_TIFF_ENTRIES = 1000
_MAX_TIFF_PIECES = 200_000  # 6000 x 6000 in tiles of 16 x 16 are 140,625

_Entry = tuple[int, int, bytes]  # type, count, value or offset


def tiff(source: Source) -> Sides:
    """A TIFF's sides (first page); its strips or tiles must lie inside the file."""
    order = "<" if source.read(0, 2) == b"II" else ">"
    (directory,) = source.unpack(order + "I", 4)
    (count,) = source.unpack(order + "H", directory)
    if not 0 < count <= _MAX_TIFF_ENTRIES:
        raise damaged()
    raw = source.read(directory + 2, 12 * count)
    entries: dict[int, _Entry] = {
        tag: (kind, number, value) for tag, kind, number, value in struct.iter_unpack(order + "HHI4s", raw)
    }
    if _DNG_VERSION in entries:
        raise MediaRefused("format_unsupported", "This is a raw camera file; please send the picture as JPEG.")
    if _WIDTH not in entries or _HEIGHT not in entries:
        raise damaged()
    (width,), (height,) = (_tiff_numbers(source, order, entries[tag], most=1) for tag in (_WIDTH, _HEIGHT))
    check_sides(width, height, AssetType.IMAGE)
    places, lengths = (_TILE_OFFSETS, _TILE_COUNTS) if _TILE_OFFSETS in entries else (_STRIP_OFFSETS, _STRIP_COUNTS)
    if places not in entries:
        raise damaged()
    starts = _tiff_numbers(source, order, entries[places], most=_MAX_TIFF_PIECES)
    sizes: tuple[int, ...] = (1,) * len(starts)  # old files lack the lengths
    if lengths in entries:
        sizes = _tiff_numbers(source, order, entries[lengths], most=_MAX_TIFF_PIECES)
    if len(starts) != len(sizes):
        raise damaged()
    if any(start + size > source.size for start, size in zip(starts, sizes, strict=True)):
        raise truncated()
    return width, height


def _tiff_numbers(source: Source, order: str, entry: _Entry, *, most: int) -> tuple[int, ...]:
    kind, count, value = entry
    if kind not in _TIFF_TYPES or not 0 < count <= most:
        raise damaged()
    layout = f"{order}{count}{_TIFF_TYPES[kind]}"
    length = struct.calcsize(layout)
    if length <= 4:  # stored in the entry itself
        return struct.unpack(layout, value[:length])
    return source.unpack(layout, struct.unpack(order + "I", value)[0])
