"""Pictures: their sides from the header, and whether the file ends where it should. Nothing is decoded."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import imagesize

from likeness.domain.media.types import MediaRefused

#: Enough for the header of every format, with an EXIF block, an ICC profile and a preview before it.
_HEAD_BYTES = 512 * 1024


def sides(file: BinaryIO) -> tuple[int, int]:
    """Width and height in pixels. MediaRefused when the header tells none."""
    file.seek(0)
    width, height = imagesize.get(io.BytesIO(file.read(_HEAD_BYTES)))
    if width <= 0 or height <= 0:
        raise MediaRefused("file_damaged", "The picture cannot be read; please choose another one.")
    return int(width), int(height)


def is_complete(file: BinaryIO, content_type: str, size: int) -> bool:
    """Whether the picture's end is there."""
    check = {
        "image/jpeg": _jpeg_ends,
        "image/png": _png_ends,
        "image/gif": _gif_ends,
        "image/webp": _riff_fits,
        "image/bmp": _bmp_fits,
    }.get(content_type)
    return check is None or check(file, size)


def _jpeg_ends(file: BinaryIO, _size: int) -> bool:
    """An end-of-image marker stands behind the start of the scan; phones may append more behind it."""
    file.seek(0)
    data = file.read()
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA:
            # Inside the scan 0xFF is stuffed, so the first FFD9 is the end.
            return data.find(b"\xff\xd9", position + 2 + length) >= 0
        position += 1 if marker == 0xFF else 2 + max(2, length)
    return False


def _png_ends(file: BinaryIO, size: int) -> bool:
    position = 8
    while position + 12 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        position += 12 + length
        if kind == b"IEND":
            return position <= size
    return False


def _gif_ends(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - 1024))
    return b"\x3b" in file.read(1024).rstrip(b"\0")[-1:]


def _riff_fits(file: BinaryIO, size: int) -> bool:
    file.seek(4)
    return int.from_bytes(file.read(4), "little") + 8 <= size


def _bmp_fits(file: BinaryIO, size: int) -> bool:
    file.seek(2)
    return int.from_bytes(file.read(4), "little") <= size
