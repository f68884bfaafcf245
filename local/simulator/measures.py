"""Measures the sides of pictures and the duration of recordings, from the whole content in memory.

The product measures files too (`likeness.domain.media`); this is a second implementation, based on the formats'
specifications and not on that code, so that a mistake in one causes a difference between the two.
"""

import re
import struct
from collections.abc import Iterator

Sides = tuple[int, int]

# --- sound -------------------------------------------------------------------------------------------

_JUNK = 65_536
_OPEN_ENDED = 0x7FFF_0000  # this or more when the writer could not seek back
_KBITS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {0xF0: (44100, 48000, 32000), 0xE0: (11025, 12000, 8000)}
_FRAME = re.compile(rb"\xff[\xfa\xfb\xf2\xf3\xe2\xe3]")


def _mp3_frame(content: bytes, at: int) -> tuple[int, float, tuple[int, int]] | None:
    """Return length in bytes, seconds, and (version, sample rate) of the layer III frame at a position."""
    if not _FRAME.match(content, at) or at + 4 > len(content):
        return None
    version = content[at + 1] & 0xF8
    rate, kbits = content[at + 2] >> 2 & 3, content[at + 2] >> 4
    if rate == 3 or not 0 < kbits < 15:
        return None
    hertz = _HERTZ[0xF0 if version != 0xE0 else 0xE0][rate] // (2 if version == 0xF0 else 1)
    samples = 1152 if version == 0xF8 else 576
    length = samples * 125 * _KBITS[1 if version == 0xF8 else 2][kbits - 1] // hertz + (content[at + 2] >> 1 & 1)
    return length, samples / hertz, (version, hertz)


def find_mp3(content: bytes, start: int = 0) -> int | None:
    """Return the position within 64 KB of `start` of three consecutive frames of one kind, or None."""
    for found in _FRAME.finditer(content, start, start + _JUNK):
        at, kinds = found.start(), set()
        for _ in range(3):
            frame = _mp3_frame(content, at)
            kinds.add(frame and frame[2])
            at += frame[0] if frame else 0
        if len(kinds) == 1 and None not in kinds:
            return found.start()
    return None


def mp3_start(content: bytes) -> int | None:
    """Return the position of an MP3's first frame, after its ID3v2 tag and other bytes, or None."""
    start = 0
    if content[:3] == b"ID3" and len(content) > 10:
        start = 10 + sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
    found = find_mp3(content, start)
    return find_mp3(content) if found is None else found


def mp3_seconds(content: bytes) -> float | None:
    """Return an MP3's duration, that of its frames alone; None without frames."""
    at = mp3_start(content)
    if at is None:
        return None
    seconds, first = 0.0, True
    while at is not None:
        while (frame := _mp3_frame(content, at)) and at + frame[0] <= len(content):
            header = content[at : at + 200]
            if not first or (b"Xing" not in header and b"Info" not in header):  # those are not played
                seconds += frame[1]
            first = False
            at += frame[0]
        at = find_mp3(content, at + 1)
    return seconds


def wav_seconds(content: bytes) -> float | None:
    """Return a WAV's duration from the size of its samples, or None."""
    layout, facts, position = b"", 0, 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        rest = len(content) - position - 8
        if name == b"fmt ":
            layout = content[position + 8 : position + 8 + size]
        elif name == b"fact" and rest >= 4:
            (facts,) = struct.unpack_from("<I", content, position + 8)
        elif name == b"data":
            return _wav_length(layout, rest if not size or size >= _OPEN_ENDED else size, facts)
        position += 8 + size + size % 2
    return None


def _wav_length(layout: bytes, size: int, facts: int) -> float | None:
    if len(layout) < 16:
        return None
    codec, channels, hertz, average, block, bits = (int(each) for each in struct.unpack_from("<HHIIHH", layout))
    if codec == 0xFFFE and len(layout) >= 26:
        (codec,) = struct.unpack_from("<H", layout, 24)
    if not channels or not hertz:
        return None
    if codec in (1, 3, 6, 7):  # PCM, float, A-law, mu-law
        sample = (bits + 7) // 8 or (1 if codec in (6, 7) else max(1, block // channels))
        return size / (sample * channels * hertz)
    if codec in (2, 0x11, 0x31) and block:  # Microsoft's and IMA's ADPCM, GSM
        in_block = (block // channels - (7 if codec == 2 else 4)) * 2 + (2 if codec == 2 else 1)
        if codec == 0x31 and len(layout) >= 20:
            (in_block,) = struct.unpack_from("<H", layout, 18)
        blocks = size / block
        exact = facts if blocks * in_block - in_block < facts <= blocks * in_block + in_block else 0
        return (exact or blocks * in_block) / hertz
    if 0 < facts < _OPEN_ENDED:
        return facts / hertz
    return size / average if average else None


# --- boxes: MP4, MOV, HEIC ---------------------------------------------------------------------------

_Box = tuple[bytes, bytes]  # kind, payload
_MAX_SAMPLES = 100_000


def _boxes(content: bytes) -> Iterator[_Box]:
    at = 0
    for _ in range(_MAX_SAMPLES):
        if at + 8 > len(content):
            return
        size, kind = struct.unpack_from(">I4s", content, at)
        header = 8
        if size == 1 and at + 16 <= len(content):
            size, header = struct.unpack_from(">Q", content, at + 8)[0], 16
        size = size or len(content) - at
        if size < header:
            return
        yield kind, content[at + header : at + size]
        at += size


def _inside(content: bytes, path: str) -> list[bytes]:
    """Return the payloads of all boxes at a path such as `moov/trak`."""
    found = [content]
    for step in path.split("/"):
        found = [payload for each in found for kind, payload in _boxes(each) if kind == step.encode()]
    return found


def _first(content: bytes, path: str) -> bytes:
    return next(iter(_inside(content, path)), b"")


class Film:
    """A video by its boxes: `width` and `height` as shown, `seconds`, or ValueError when there is no picture track."""

    def __init__(self, content: bytes) -> None:
        try:
            self._read(content)
        except (struct.error, IndexError) as exc:
            raise ValueError("the boxes are damaged") from exc

    def _read(self, content: bytes) -> None:
        index = _first(content, "moov")
        scale = _ticks(_first(index, "mvhd"))[0]
        added = _fragments(content, index)
        tracks = []
        for trak in _inside(index, "trak"):
            kind = _first(trak, "mdia/hdlr")[8:12]
            if kind in (b"vide", b"soun"):
                head = _first(trak, "tkhd")
                (number,) = struct.unpack_from(">I", head, 20 if head[0] else 12)
                tracks.append((not head[3] & 1, number, kind, trak, _play_seconds(trak, scale, added.get(number, 0))))
        films = sorted(each[:2] + each[3:] for each in tracks if each[2] == b"vide" and each[4])
        if not films:
            raise ValueError("no picture track")
        hidden, _, trak, self.seconds = films[0]
        if hidden:  # none is enabled: the largest
            trak, self.seconds = max(((each[2], each[3]) for each in films), key=lambda each: _area(each[0]))
        self.width, self.height = _shown(trak)
        if _lies(_first(index, "mvhd"), 36):
            self.width, self.height = self.height, self.width
        for off, _, kind, _, seconds in tracks:
            if kind == b"soun" and not off:
                self.seconds = max(self.seconds, seconds)


def _ticks(head: bytes) -> tuple[int, int]:
    """Return time scale and duration of an mvhd or mdhd."""
    if len(head) < 20:
        return 0, 0
    scale, length = struct.unpack_from(*(">IQ", head, 20) if head[0] else (">II", head, 12))
    return scale, length


def _lies(head: bytes, at: int) -> bool:
    """Return whether a header's matrix rotates the picture by 90 degrees."""
    a, b, _, c, d = struct.unpack_from(">5i", head, at + (12 if head[0] else 0))
    return bool(abs(b) + abs(c) > abs(a) + abs(d))


def _shown(trak: bytes) -> Sides:
    width, height = struct.unpack_from(">HH", _first(trak, "mdia/minf/stbl/stsd"), 40)
    return (height, width) if _lies(_first(trak, "tkhd"), 40) else (width, height)


def _area(trak: bytes) -> int:
    width, height = _shown(trak)
    return width * height


def _play_seconds(trak: bytes, movie_scale: int, added: int) -> float:
    scale, declared = _ticks(_first(trak, "mdia/mdhd"))
    times = _first(trak, "mdia/minf/stbl/stts")
    pairs = list(struct.iter_unpack(">Ii", times[8 : 8 + 8 * struct.unpack_from(">I", times, 4)[0]])) if times else []
    ticks = sum(count * max(0, each) for count, each in pairs) or (declared if pairs and declared < 0xFFFF_FFFF else 0)
    total = (ticks + added) / scale if scale else 0.0
    edits = _first(trak, "edts/elst")
    if added or not edits or not movie_scale:
        return total
    layout, unit = (">Qqi", 20) if edits[0] else (">Iii", 12)
    delays = _first(trak, "mdia/minf/stbl/ctts")
    lead = max(0, struct.unpack_from(">i", delays, 12)[0]) if len(delays) >= 16 else 0
    shown = 0.0
    for number in range(min(struct.unpack_from(">I", edits, 4)[0], 1000)):
        length, start, speed = struct.unpack_from(layout, edits, 8 + unit * number)
        part = 0.0 if length in (0xFFFF_FFFF, 2**64 - 1) else length / movie_scale
        if start >= 0 and speed > 0:
            left = (total - max(0, start - lead) / scale) * 65536 / speed
            part = min(part or left, left)
        shown += max(0.0, part)
    return shown


def _fragments(content: bytes, index: bytes) -> dict[int, int]:
    """Return the ticks that each track has in the film's fragments."""
    usual = {}
    for each in _inside(index, "mvex/trex"):
        number, _, usual[number] = struct.unpack_from(">III", each, 4)
    ticks: dict[int, int] = {}
    for part in _inside(content, "moof/traf"):
        head = _first(part, "tfhd")
        flags, number = struct.unpack_from(">II", head)
        each = usual.get(number, 0)
        if flags & 8:
            (each,) = struct.unpack_from(">I", head, 8 + 8 * (flags & 1) + 2 * (flags & 2))
        for run in _inside(part, "trun"):
            flags, count = struct.unpack_from(">II", run)
            if count > _MAX_SAMPLES:
                raise ValueError("too many samples")
            step = 4 * (flags >> 8 & 15).bit_count()
            at = 8 + 4 * (flags & 1) + (flags & 4)
            own = (struct.unpack_from(">I", run, at + step * place)[0] for place in range(count))
            ticks[number] = ticks.get(number, 0) + (sum(own) if flags & 0x100 else count * each)
    return ticks


def mp4_seconds(content: bytes) -> float | None:
    """Return the duration of an MP4 or MOV, with index and fragments; None when it has no pictures."""
    try:
        return Film(content).seconds
    except ValueError:
        return None


def heic_sides(content: bytes) -> Sides | None:
    """Return the sides of a HEIC's primary picture as it is shown, or None when no size is assigned to it."""
    meta = _first(content, "meta")[4:]
    try:
        named = _first(meta, "pitm")
        (item,) = struct.unpack_from(">I" if named[0] else ">H", named, 4)
        properties = list(_boxes(_first(meta, "iprp/ipco")))
        own = [properties[each - 1] for each in _assigned(_first(meta, "iprp/ipma"), item) if each]
        size = next(payload for kind, payload in own if kind == b"ispe")
        shown: Sides = struct.unpack_from(">II", size, 4)
        for kind, payload in own:
            if kind == b"clap":
                across, of, down, per = struct.unpack_from(">4I", payload)
                shown = (round(across / of), round(down / per)) if of and per else shown
            elif kind == b"irot" and payload[0] & 1:
                shown = shown[::-1]
    except (struct.error, IndexError, StopIteration):
        return None
    return shown


def _assigned(table: bytes, item: int) -> list[int]:
    wide_id, wide_index = table[0] > 0, table[3] & 1
    at = 8
    for _ in range(struct.unpack_from(">I", table, 4)[0]):
        (owner,) = struct.unpack_from(">I" if wide_id else ">H", table, at)
        at += 4 if wide_id else 2
        indexes = struct.unpack_from(f">{table[at]}{'H' if wide_index else 'B'}", table, at + 1)
        at += 1 + table[at] * (2 if wide_index else 1)
        if owner == item:
            return [each & (0x7FFF if wide_index else 0x7F) for each in indexes]
    return []


# --- JPEG --------------------------------------------------------------------------------------------


def without_junk(jpeg: bytes) -> bytes:
    """Return a JPEG without the bytes between its segments: decoders skip them, Pillow does not."""
    kept, at = [jpeg[:2]], 2
    while at + 4 <= len(jpeg):
        marker = jpeg[at + 1]
        if jpeg[at] != 0xFF or marker < 0xC0 or marker == 0xFF or 0xD0 <= marker <= 0xD8:
            at += 1
            continue
        if marker == 0xDA:
            kept.append(jpeg[at:])
            break
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        kept.append(jpeg[at:end])
        at = end
    return b"".join(kept)
