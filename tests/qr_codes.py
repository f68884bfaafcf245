"""Reads QR codes (ISO/IEC 18004): byte mode, versions 1 to 15, without error correction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BytesIO

from PIL import Image

#: Rows of modules (True for dark), without the quiet zone.
Modules = list[list[bool]]

_QUIET = 4
_FORMAT_MASK = 0b101010000010010
#: Maps the two bits of the level to a row of the tables below.
_LEVELS = {0b01: 0, 0b00: 1, 0b11: 2, 0b10: 3}
#: By level (L, M, Q, H) and version (from 1): error correction codewords per block, and the number of blocks.
_CORRECTION = [
    [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22],
    [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24],
    [13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30],
    [17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24],
]
_BLOCKS = [
    [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6],
    [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10],
    [1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12],
    [1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18],
]
_MASKS: list[Callable[[int, int], bool]] = [
    lambda y, x: (y + x) % 2 == 0,
    lambda y, _: y % 2 == 0,
    lambda _, x: x % 3 == 0,
    lambda y, x: (y + x) % 3 == 0,
    lambda y, x: (y // 2 + x // 3) % 2 == 0,
    lambda y, x: y * x % 2 + y * x % 3 == 0,
    lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0,
    lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0,
]


def read_svg(svg: str) -> str:
    """Returns the text of a QR code from an SVG that draws it with strokes one module high."""
    (side,) = {int(each) for each in re.findall(r'viewBox="0 0 (\d+) \1"', svg)}
    (path,) = re.findall(r'stroke="#141c26" d="([^"]+)"', svg)
    drawn = [[False] * side for _ in range(side)]
    x, y = 0, 0.0
    for step, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", path):
        if step == "h":
            drawn[int(y)][x : x + int(first)] = [True] * int(first)
            x += int(first)
        else:
            x, y = (int(first), float(second)) if step == "M" else (x + int(first), y + float(second))
    quiet = [*drawn[:_QUIET], *drawn[-_QUIET:], *([*row[:_QUIET], *row[-_QUIET:]] for row in drawn)]
    assert not any(any(each) for each in quiet)
    return read([row[_QUIET:-_QUIET] for row in drawn[_QUIET:-_QUIET]])


def read_picture(png: bytes) -> str:
    """Returns the text of a QR code from a screenshot, which the code fills up to its quiet zone."""
    grey = Image.open(BytesIO(png)).convert("L").point(lambda value: 255 * (value < 128))
    edge = grey.width // 33  # the page is visible behind rounded corners
    box = grey.crop((edge, edge, grey.width - edge, grey.height - edge)).getbbox()
    assert box
    dark = grey.crop((box[0] + edge, box[1] + edge, box[2] + edge, box[3] + edge))
    side = dark.width
    finder = next(x for x in range(side) if not dark.getpixel((x, 0)))
    count = 17 + 4 * round((7 * side / finder - 17) / 4)
    centres = [int((each + 0.5) * side / count) for each in range(count)]
    return read([[bool(dark.getpixel((x, y))) for x in centres] for y in centres])


def read(modules: Modules) -> str:
    """Returns the text of a QR code of version 1 to 15, which must be complete and in byte mode."""
    version = (len(modules) - 17) // 4
    places = [(8, x) for x in (0, 1, 2, 3, 4, 5, 7, 8)] + [(y, 8) for y in (7, 5, 4, 3, 2, 1, 0)]
    format_bits = int("".join(str(int(modules[y][x])) for y, x in places), 2) ^ _FORMAT_MASK
    level, mask = _LEVELS[format_bits >> 13], _MASKS[format_bits >> 10 & 0b111]
    bits = "".join(str(int(modules[y][x] ^ mask(y, x))) for y, x in _order(version))
    codewords = [int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8)]
    data = _in_order(codewords, _BLOCKS[level][version - 1], _CORRECTION[level][version - 1])
    bits = "".join(f"{each:08b}" for each in data)
    assert bits[:4] == "0100", "byte mode"
    start = 12 if version < 10 else 20
    length = int(bits[4:start], 2)
    return bytes(int(bits[at : at + 8], 2) for at in range(start, start + 8 * length, 8)).decode()


def _order(version: int) -> Iterator[tuple[int, int]]:
    """Yields row and column of every data module in bit order: two columns at a time, up and down."""
    side = 17 + 4 * version
    upward = True
    for right in (*range(side - 1, 6, -2), 5, 3, 1):
        for y in range(side - 1, -1, -1) if upward else range(side):
            yield from ((y, x) for x in (right, right - 1) if not _is_fixed(y, x, version))
        upward = not upward


def _is_fixed(y: int, x: int, version: int) -> bool:
    side = 17 + 4 * version
    finders = (y < 9 and x < 9) or (y < 9 and x >= side - 8) or (y >= side - 8 and x < 9)
    versions = version >= 7 and ((y < 6 and x >= side - 11) or (x < 6 and y >= side - 11))
    if finders or versions or 6 in (y, x):
        return True
    centres = _alignment(version)
    corners = {(6, 6), (6, side - 7), (side - 7, 6)}
    return any(
        (each, other) not in corners and abs(y - each) <= 2 and abs(x - other) <= 2
        for each in centres
        for other in centres
    )


def _alignment(version: int) -> list[int]:
    if version == 1:
        return []
    count = version // 7 + 2
    step = (version * 4 + count * 2 + 1) // (count * 2 - 2) * 2
    return [6, *(10 + 4 * version - step * each for each in range(count - 1))]


def _in_order(codewords: list[int], blocks: int, correction: int) -> list[int]:
    """Returns the data codewords of all blocks, block by block. The last blocks may be one codeword longer."""
    total = len(codewords) - blocks * correction
    short, longer = divmod(total, blocks)
    found: list[list[int]] = [[] for _ in range(blocks)]
    for at, each in enumerate(codewords[:total]):
        row, block = divmod(at, blocks)
        found[block if row < short else blocks - longer + block].append(each)
    return [each for block in found for each in block]
