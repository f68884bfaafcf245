"""Finds whether a picture shows a face, roughly: a region of skin colour with other colours inside it, such as eyes.

It is no recognition. A cup of coffee may pass, and a black-and-white portrait does not. Its purpose: a picture of a
wall, a screenshot or a landscape does not become Active, as at crun.
"""

from collections.abc import Iterable

from PIL import Image

_SIDE = 160
#: The bounds of skin in YCbCr, from dark to light: its blue and red difference, and its least lightness.
_CB, _CR, _LEAST_Y = range(77, 128), range(137, 176), 40
#: The least part of the picture that a face fills.
_LEAST_PART = 0.03
_LEAST_HOLE = 3

Pixels = set[tuple[int, int]]


def has_face(picture: Image.Image) -> bool:
    """Return whether a picture shows a face. Raises OSError when its pixels cannot be read."""
    picture.draft("RGB", (2 * _SIDE, 2 * _SIDE))  # a JPEG is read at a fraction of its size
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    width, height = small.size
    values = small.convert("YCbCr").tobytes()
    skin = {
        (at % width, at // width)
        for at in range(width * height)
        if values[3 * at] >= _LEAST_Y and values[3 * at + 1] in _CB and values[3 * at + 2] in _CR
    }
    return any(
        _holes(region, width, height) for region in _regions(skin) if len(region) >= _LEAST_PART * width * height
    )


def _holes(region: Pixels, width: int, height: int) -> bool:
    """Return whether something is inside a region: pixels that cannot reach the edge without crossing it."""
    # A frame of one pixel connects everything that is outside.
    rest = {(x, y) for x in range(-1, width + 1) for y in range(-1, height + 1)} - region
    return any(len(each) >= _LEAST_HOLE for each in _regions(rest) if (-1, -1) not in each)


def _regions(pixels: Pixels) -> Iterable[Pixels]:
    """Yield the connected regions of a set of pixels."""
    left = set(pixels)
    while left:
        region, waiting = set(), [left.pop()]
        while waiting:
            x, y = waiting.pop()
            region.add((x, y))
            for beside in ((x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)):
                if beside in left:
                    left.discard(beside)
                    waiting.append(beside)
        yield region
