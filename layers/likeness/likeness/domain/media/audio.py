"""Duration of MP3 and WAV files.

MP3 frames are counted one by one up to a limit, because neither the first frame's bit rate nor a Xing header is
reliable for a file that was cut, joined or encoded with a variable rate. Data before the first frame and after the last
one is ignored, as players do. A WAV's duration is calculated from its samples; the fields that repeat it are often
wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from likeness.domain.media.source import Chunk, Source, riff_chunks
from likeness.domain.media.types import damaged, truncated

# Layer III bit rates in kbit/s and sample rates in Hz (ISO 11172-3 2.4.2.3, ISO 13818-3); index 0 is "free", 15 is bad.
_KBITS_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_KBITS_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG1 = 3
_LAYER_III = 1

#: Frames are counted up to here. A longer file is far over the limit, and an estimate is enough for the message.
_COUNTED_SECONDS = 30.0
#: The maximum distance of the next frame from the file's start, a tag or a fault.
_SEARCH_BYTES = 1 << 16
#: More bytes than this between two frames are a gap in the sound, not junk.
_MAX_HOLE_BYTES = 4096
_MAX_FAULTS = 16
_MAX_TAGS = 8
#: The number of consecutive frames that identify an MP3: a frame's eleven sync bits alone are not enough.
_AGREEING = 3
_LONGEST_FRAME = 1441  # 320 kbit/s at 32 kHz, with padding


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
    if version not in _HERTZ or layer != _LAYER_III or rate_index == 3 or header[3] & 3 == 2:
        return None
    hertz = _HERTZ[version][rate_index]
    kbits = (_KBITS_V1 if version == _MPEG1 else _KBITS_V2)[header[2] >> 4]
    if kbits == 0:
        return None
    samples = 1152 if version == _MPEG1 else 576
    length = samples // 8 * kbits * 1000 // hertz + (header[2] >> 1 & 1)
    return _Frame((version, rate_index), hertz, samples, length, mono=header[3] >> 6 == 3)


def _after_tags(source: Source, offset: int) -> int:
    """The first byte after the tags that start at ``offset``: ID3v2 (2.4.0, section 3.1), APEv2 and ID3v1."""
    for _ in range(_MAX_TAGS):
        if offset + 32 > source.size:
            break
        header = source.read(offset, 32)
        if header[:3] == b"ID3":
            length = 0
            for byte in header[6:10]:
                length = length << 7 | byte & 0x7F
            offset += 10 + length + (10 if header[5] & 0x10 else 0)
        elif header[:8] == b"APETAGEX" and header[23] & 0x20:  # a header, which the length does not include
            offset += 32 + int.from_bytes(header[12:16], "little")
        elif header[:3] == b"TAG":
            offset += 128
        else:
            break
    return offset


def _frame_at(source: Source, offset: int) -> _Frame | None:
    return _frame(source.read(offset, 4)) if offset + 4 <= source.size else None


def _next_frame(source: Source, start: int) -> int | None:
    """The first position within _SEARCH_BYTES of a frame that is followed by others of its stream, or None."""
    if start >= source.size:
        return None
    data = source.read(start, min(_SEARCH_BYTES + _AGREEING * _LONGEST_FRAME, source.size - start))
    at = data.find(b"\xff")
    while 0 <= at < _SEARCH_BYTES:
        if _agree(data, at):
            return start + at
        at = data.find(b"\xff", at + 1)
    return None


def _agree(data: bytes, at: int) -> bool:
    """Whether there are _AGREEING consecutive frames of one stream at ``at``."""
    first = frame = _frame(data[at : at + 4])
    for _ in range(_AGREEING - 1):
        if first is None or frame is None:
            return False
        at += frame.length
        frame = _frame(data[at : at + 4])
        if frame is None or frame.stream != first.stream:
            return False
    return True


def first_mp3_frame(source: Source) -> int | None:
    """The position of an MP3's first frame; None when the file is not an MP3.

    A tag's length may be wrong: when no frame follows the tags, the file is searched from its start.
    """
    start = _after_tags(source, 0)
    found = _next_frame(source, start)
    return _next_frame(source, 0) if found is None and start else found


def mp3_seconds(source: Source, start: int) -> float:
    """Duration in seconds of the MP3 stream with its first frame at ``start``.

    Every frame counts with its own sample rate: joined files may have several.
    """
    first = _frame_at(source, start)
    if first is None:
        raise damaged()
    info = _info_frame(source, start, first)
    offset = start + first.length if info else start
    stream, seconds, frames, faults = first.stream, 0.0, 0, 0
    while seconds < _COUNTED_SECONDS:
        frame = _frame_at(source, offset)
        if frame and frame.stream == stream:
            if offset + frame.length > source.size:
                break  # players skip a last frame that is cut off
            offset += frame.length
            seconds += frame.samples / frame.hertz
            frames += 1
            continue
        behind = _after_tags(source, offset)
        found = _next_frame(source, behind)
        if found is None:
            break  # no frame follows
        faults += 1
        hole = found - behind if behind == offset else 0  # tags may have more padding
        if hole > _MAX_HOLE_BYTES or faults > _MAX_FAULTS:
            raise damaged()
        offset = found
        joined = _frame_at(source, found)
        stream = joined.stream if joined else stream
    else:  # estimate the rest from the average so far
        return max(seconds, seconds * (source.size - start) / (offset - start))
    if info and info.is_cut(source.size - start, frames):
        raise truncated()
    return max(0.0, seconds - (info.trimmed / first.hertz if info else 0.0))


@dataclass(frozen=True, slots=True)
class _Info:
    """A Xing/Info header: bytes and frames of the whole stream (0: unknown), and the samples that are not played."""

    stream_bytes: int = 0
    frames: int = 0
    trimmed: int = 0

    def is_cut(self, found_bytes: int, found_frames: int) -> bool:
        """Whether the stream was cut. The frames are checked too, because some encoders count tags as bytes."""
        return self.stream_bytes > found_bytes and (not self.frames or found_frames < self.frames)


def _info_frame(source: Source, start: int, frame: _Frame) -> _Info | None:
    """The content of the first frame when it is a Xing/Info header, which is not played; else None.

    Layout: Xing's VBR header SDK and the LAME tag revision 1.
    """
    mpeg1 = frame.stream[0] == _MPEG1
    at = start + 4 + ((17 if frame.mono else 32) if mpeg1 else (9 if frame.mono else 17))
    if at + 8 > min(source.size, start + frame.length):
        return None
    tag, flags = source.unpack(">4sI", at)
    if tag not in (b"Xing", b"Info"):
        return None
    field, frames, stream_bytes = at + 8, 0, 0
    if flags & 1:
        (frames,) = source.unpack(">I", field)
        field += 4
    if flags & 2:
        (stream_bytes,) = source.unpack(">I", field)
    if flags & 15 != 15 or start + frame.length < at + 144 or at + 144 > source.size:
        return _Info(stream_bytes, frames)
    encoder, delays = source.read(at + 120, 4), source.read(at + 141, 3)
    if encoder not in (b"LAME", b"Lavc", b"Lavf"):
        return _Info(stream_bytes, frames)
    return _Info(stream_bytes, frames, (delays[0] << 4 | delays[1] >> 4) + ((delays[1] & 15) << 8 | delays[2]))


_PCM, _MS_ADPCM, _FLOAT, _ALAW, _MULAW, _IMA_ADPCM, _GSM, _EXTENSIBLE = 1, 2, 3, 6, 7, 0x11, 0x31, 0xFFFE
#: Encoders that cannot seek write such a length, or a little less when they subtract the headers. It means "to the end
#: of the file".
_OPEN_LENGTH = 0x7FFF0000


@dataclass(frozen=True, slots=True)
class _WavFormat:
    """A ``fmt `` chunk. ``block_samples`` are the samples per channel in a block of ``block`` bytes; 0: unknown.

    For plain codecs, a block is one sample of every channel. Its size is calculated from the bits, because the block
    size in the chunk is wrong in many files, and decoders do not use it.
    """

    hertz: int
    average: int
    block: int
    block_samples: int

    @classmethod
    def read(cls, source: Source, chunk: Chunk) -> _WavFormat:
        codec, channels, hertz, average, block, bits = source.unpack("<HHIIHH", chunk.start)
        if not channels or not hertz or chunk.length < 16:
            raise damaged()
        if codec == _EXTENSIBLE and chunk.length >= 40:
            (codec,) = source.unpack("<H", chunk.start + 24)
        if codec in (_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE):
            bits = bits or (8 if codec in (_ALAW, _MULAW) else 0)
            return cls(hertz, average, channels * (-(-bits // 8)) or block, 1)
        if codec == _IMA_ADPCM:  # a sample in each channel's header, then 4 bits each
            return cls(hertz, average, block, (block // channels - 4) * 2 + 1)
        if codec == _MS_ADPCM:  # two samples in each channel's header
            return cls(hertz, average, block, (block // channels - 7) * 2 + 2)
        declared = codec == _GSM and chunk.length >= 20 and source.unpack("<H", chunk.start + 18)[0]
        return cls(hertz, average, block, declared or 0)

    def seconds(self, length: int, fact: int) -> float:
        """Duration in seconds of ``length`` bytes; ``fact`` is the number of samples in the fact chunk, 0 for none.

        The samples are calculated from the blocks. ``fact`` is only used for the last block, which may not be full.
        """
        if self.block and self.block_samples > 0:
            most = -(-length // self.block) * self.block_samples
            known = self.block_samples > 1 and most - self.block_samples < fact <= most
            return (fact if known else length / self.block * self.block_samples) / self.hertz
        if 0 < fact < _OPEN_LENGTH:
            return fact / self.hertz
        if not self.average:
            raise damaged()
        return length / self.average


def wav_seconds(source: Source) -> float:
    """Duration in seconds of a RIFF/WAVE file."""
    (claimed,) = source.unpack("<I", 4)
    layout: _WavFormat | None = None
    fact = 0
    for chunk in riff_chunks(source):
        if chunk.kind == b"fmt ":
            layout = _WavFormat.read(source, chunk)
        elif chunk.kind == b"fact" and chunk.length >= 4:
            (fact,) = source.unpack("<I", chunk.start)
        elif chunk.kind == b"data":
            if layout is None:
                raise damaged()
            rest = source.size - chunk.start
            length = chunk.length
            if not length or (length > rest and length >= _OPEN_LENGTH):
                return layout.seconds(rest, fact)
            # The RIFF length excludes the first 8 bytes, and a last pad byte may be missing. Encoders that get this
            # wrong lose no sound, so only a larger length means that chunks after the sound are cut off.
            if length > rest or source.size < claimed < _OPEN_LENGTH:
                raise truncated()
            return layout.seconds(length, fact)
    raise truncated()
