"""Duration of MP3 and WAV files.

MP3 frames are counted one by one as far as the limit matters, since neither a first frame's bit rate nor a Xing
header tells the length of a file that was cut, joined or made with a variable rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from likeness.domain.media.source import Source, riff_chunks
from likeness.domain.media.types import damaged, truncated

# Layer III bit rates in kbit/s and sample rates in Hz (ISO 11172-3 2.4.2.3, ISO 13818-3); index 0 is "free", 15 is bad.
_KBITS_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_KBITS_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG1 = 3
_LAYER_III = 1

#: Frames are counted up to here; what is longer is far over the limit, and an estimate will do for the message.
_COUNTED_SECONDS = 30.0
#: How far behind a tag or a fault the next frame may stand.
_SEARCH_BYTES = 4096
_MAX_FAULTS = 16
_MAX_ID3_TAGS = 4


@dataclass(frozen=True, slots=True)
class _Frame:
    """``stream`` is what all frames of one stream share: version, layer, sample rate."""

    stream: tuple[int, int]
    hertz: int
    samples: int
    length: int
    mono: bool


def _frame(header: bytes) -> _Frame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate_index = header[2] >> 2 & 3
    if version not in _HERTZ or layer != _LAYER_III or rate_index == 3:
        return None
    hertz = _HERTZ[version][rate_index]
    kbits = (_KBITS_V1 if version == _MPEG1 else _KBITS_V2)[header[2] >> 4]
    if kbits == 0:
        return None
    samples = 1152 if version == _MPEG1 else 576
    length = samples // 8 * kbits * 1000 // hertz + (header[2] >> 1 & 1)
    return _Frame((version, rate_index), hertz, samples, length, mono=header[3] >> 6 == 3)


def _after_id3(source: Source, offset: int) -> int:
    """The first byte behind the ID3v2 tags that start at ``offset`` (ID3 2.4.0 section 3.1)."""
    for _ in range(_MAX_ID3_TAGS):
        if offset + 10 > source.size:
            break
        header = source.read(offset, 10)
        if header[:3] != b"ID3":
            break
        length = 0
        for byte in header[6:]:
            length = length << 7 | byte & 0x7F
        offset += 10 + length + (10 if header[5] & 0x10 else 0)
    return offset


def _frame_at(source: Source, offset: int) -> _Frame | None:
    return _frame(source.read(offset, 4)) if offset + 4 <= source.size else None


def _next_frame(source: Source, start: int, window: int) -> int | None:
    """Where, within ``window`` bytes, a frame stands that is followed by another one of its stream."""
    if start >= source.size:
        return None
    data = source.read(start, min(window + 4, source.size - start))
    at = data.find(b"\xff")
    while 0 <= at < window:
        frame = _frame(data[at : at + 4])
        if frame:
            follower = _frame_at(source, start + at + frame.length)
            if follower and follower.stream == frame.stream:
                return start + at
        at = data.find(b"\xff", at + 1)
    return None


def first_mp3_frame(source: Source) -> int | None:
    """Where an MP3's sound begins; None when this is no MP3. Two frames must agree: 11 bits alone prove nothing."""
    start = _after_id3(source, 0)
    # Tags are often followed by padding that their length leaves out; a bare stream starts with its first frame.
    return _next_frame(source, start, _SEARCH_BYTES if start else 1)


def mp3_seconds(source: Source, start: int) -> float:
    """Duration in seconds of the MP3 stream whose first frame is at ``start``."""
    first = _frame_at(source, start)
    if first is None:
        raise damaged()
    silent, trimmed = _info_frame(source, start, first)
    offset = start + first.length if silent else start
    frames, faults = 0, 0
    most = int(_COUNTED_SECONDS * first.hertz / first.samples)
    while frames < most:
        frame = _frame_at(source, offset)
        if frame and frame.stream == first.stream:
            if offset + frame.length > source.size:
                break  # a last frame that was cut off is not played
            offset += frame.length
            frames += 1
            continue
        if source.size - offset < 4 or source.read(offset, 3) in (b"TAG", b"APE", b"LYR"):
            break
        faults += 1
        found = _next_frame(source, max(offset, _after_id3(source, offset)), _SEARCH_BYTES)
        if found is None and source.size - offset <= _SEARCH_BYTES:
            break  # a little padding at the end
        if found is None or faults > _MAX_FAULTS:
            raise damaged()
        offset = found
    if frames == most:  # estimate the rest from the average length so far
        frames = max(frames, round(frames * (source.size - start) / (offset - start)))
    return max(0.0, (frames * first.samples - trimmed) / first.hertz)


def _info_frame(source: Source, start: int, frame: _Frame) -> tuple[bool, int]:
    """Whether the first frame is a Xing/Info header, which is not played, and the padding samples it declares.

    Layout: Xing's VBR header SDK and the LAME tag revision 1. Refuses a file shorter than the header says.
    """
    mpeg1 = frame.stream[0] == _MPEG1
    at = start + 4 + ((17 if frame.mono else 32) if mpeg1 else (9 if frame.mono else 17))
    if at + 8 > min(source.size, start + frame.length):
        return False, 0
    tag, flags = source.unpack(">4sI", at)
    if tag not in (b"Xing", b"Info"):
        return False, 0
    field = at + 8 + (4 if flags & 1 else 0)
    if flags & 2:
        (stream_bytes,) = source.unpack(">I", field)
        if start + stream_bytes > source.size:
            raise truncated()
    if flags & 15 != 15 or start + frame.length < at + 144 or at + 144 > source.size:
        return True, 0
    encoder, delays = source.read(at + 120, 4), source.read(at + 141, 3)
    if encoder not in (b"LAME", b"Lavc", b"Lavf"):
        return True, 0
    return True, (delays[0] << 4 | delays[1] >> 4) + ((delays[1] & 15) << 8 | delays[2])


_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
# What a writer that could not seek back leaves in the data chunk's length.
_OPEN_LENGTHS = frozenset({0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFF000})


def wav_seconds(source: Source) -> float:
    """Duration in seconds of a RIFF/WAVE file."""
    (claimed,) = source.unpack("<I", 4)
    bytes_per_second = 0
    for chunk in riff_chunks(source):
        if chunk.kind == b"fmt ":
            codec, channels, hertz, average, block = source.unpack("<HHIIH", chunk.start)
            if not channels or not hertz or not block or chunk.length < 16:
                raise damaged()
            plain = codec in (_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE)
            bytes_per_second = block * hertz if plain else average
        elif chunk.kind == b"data":
            if not bytes_per_second:
                raise damaged()
            rest = source.size - chunk.start
            if chunk.length in _OPEN_LENGTHS:
                return rest / bytes_per_second
            # The file's own length leaves out its first 8 bytes and a last pad byte may be missing: writers that get
            # this wrong lose no sound, so only a claim beyond all of that means that chunks behind the sound are cut.
            if chunk.length > rest or claimed > source.size:
                raise truncated()
            return chunk.length / bytes_per_second
    raise truncated()
