"""Files made by real encoders, each with its known format, dimensions, duration and expected error code.

Sizes, bit rates and the bytes around the content are drawn from a fixed seed. Sound and video are encoded once and
shared: most cases only wrap them differently (another container, fragments, tags, junk), as tools do.
"""

from __future__ import annotations

import io
import math
import random
import struct
import tempfile
import wave
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import av
import pillow_heif
from PIL import Image, PngImagePlugin

from likeness.domain.media import AssetType

IMAGE, VIDEO, AUDIO = AssetType.IMAGE, AssetType.VIDEO, AssetType.AUDIO
SEED = 20261128


@dataclass(frozen=True)
class Case:
    """A file and its known properties. ``code`` is the expected error code, None when the file is valid.

    ``sides`` are in pixels: as displayed for HEIC and video, as stored for other pictures. ``tolerance`` in
    seconds: the rounding of a frame or a block.
    """

    make: Callable[..., bytes]
    kind: AssetType
    content_type: str
    sides: tuple[int, int] | None = None
    seconds: float | None = None
    code: str | None = None
    tolerance: float = 0.03


# --- pictures ----------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _picture(width: int, height: int) -> Image.Image:
    across = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, across.transpose(Image.Transpose.FLIP_TOP_BOTTOM), across))


def picture(sides: tuple[int, int], form: str, mode: str = "RGB", more: int = 0, **options: Any) -> bytes:
    """Returns a picture as Pillow saves it, with ``more`` additional frames or pages."""
    out = io.BytesIO()
    first = _picture(*sides).convert(mode)
    if more:
        options |= {"save_all": True, "append_images": [first.rotate(90 * each) for each in range(1, more + 1)]}
    first.save(out, form, **options)
    return out.getvalue()


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _png_text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "made by an editor")
    info.add_itxt("Title", "a picture", zip=True)
    return info


def heic(sides: tuple[int, int], *others: tuple[int, int], primary: int = 0, orientation: int = 1) -> bytes:
    """Returns a HEIC file of one or more pictures, as libheif encodes them."""
    file = pillow_heif.HeifFile()  # type: ignore[no-untyped-call]  # its stub has no types
    for each in (sides, *others):
        file.add_from_pillow(_picture(*each))
    out = io.BytesIO()
    file.save(out, quality=30, primary_index=primary, exif=_exif(orientation) if orientation > 1 else None)
    return out.getvalue()


def between_segments(jpeg: bytes, junk: bytes) -> bytes:
    """Inserts ``junk`` after the first segment of a JPEG."""
    at = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:at] + junk + jpeg[at:]


def pictures(draw: random.Random) -> Iterator[tuple[str, Case]]:
    """Yields pictures of every format, with the metadata that cameras and editors add."""

    def some() -> tuple[int, int]:
        return draw.randint(300, 420), draw.randint(300, 420)

    def case(form: str, make: Callable[..., bytes], sides: tuple[int, int], code: str | None = None) -> Case:
        return Case(make, IMAGE, f"image/{form}", sides, None, code)

    options: dict[str, tuple[str, str, dict[str, Any]]] = {
        "jpeg": ("JPEG", "RGB", {}),
        "jpeg, progressive": ("JPEG", "RGB", {"progressive": True}),
        "jpeg, grey": ("JPEG", "L", {}),
        "jpeg, cmyk": ("JPEG", "CMYK", {}),
        "jpeg, restart markers": ("JPEG", "RGB", {"restart_marker_rows": 1}),
        "jpeg, comment": ("JPEG", "RGB", {"comment": b"\xff\xd9 not the end"}),
        "jpeg, profile": ("JPEG", "RGB", {"icc_profile": bytes(70_000)}),
        "png": ("PNG", "RGB", {}),
        "png, palette": ("PNG", "P", {}),
        "png, one bit": ("PNG", "1", {}),
        "png, alpha": ("PNG", "RGBA", {}),
        "png, text": ("PNG", "RGB", {"pnginfo": _png_text()}),
        "png, animated": ("PNG", "RGB", {"more": 2}),
        "webp": ("WEBP", "RGB", {}),
        "webp, lossless": ("WEBP", "RGB", {"lossless": True}),
        "webp, alpha": ("WEBP", "RGBA", {}),
        "webp, animated": ("WEBP", "RGB", {"more": 2}),
        "webp, exif": ("WEBP", "RGB", {"exif": _exif(6)}),
        "bmp": ("BMP", "RGB", {}),
        "bmp, palette": ("BMP", "P", {}),
        "bmp, one bit": ("BMP", "1", {}),
        "tiff": ("TIFF", "RGB", {}),
        "tiff, lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        "tiff, deflate": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
        "tiff, packbits": ("TIFF", "L", {"compression": "packbits"}),
        "tiff, jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
        "tiff, two pages": ("TIFF", "RGB", {"more": 1}),
        "gif": ("GIF", "P", {}),
        "gif, animated": ("GIF", "P", {"more": 3}),
        "gif, comment": ("GIF", "P", {"comment": b"hello; world"}),
    }
    for name, (form, mode, extra) in options.items():
        sides = some()
        yield name, case(form.lower(), lambda s=sides, f=form, m=mode, e=extra: picture(s, f, m, **e), sides)
    for orientation in range(2, 9):
        sides = some()
        yield (
            f"jpeg, Exif orientation {orientation}",
            case("jpeg", lambda s=sides, o=orientation: picture(s, "JPEG", exif=_exif(o)), sides),
        )
    for form, name in (("JPEG", "jpeg"), ("PNG", "png"), ("GIF", "gif"), ("WEBP", "webp"), ("BMP", "bmp")):
        sides, tail = some(), draw.randbytes(draw.randint(1, 3000))
        yield (
            f"{name}, {len(tail)} bytes after",
            case(name, lambda s=sides, f=form, t=tail: picture(s, f, "P" if f == "GIF" else "RGB") + t, sides),
        )
    for size in (1, 2, draw.randint(3, 900)):
        sides, junk = some(), bytes(byte % 255 for byte in draw.randbytes(size))
        yield (
            f"jpeg, {size} bytes between segments",
            case("jpeg", lambda s=sides, j=junk: between_segments(picture(s, "JPEG"), j), sides),
        )
    sides = some()
    yield "jpeg, fill bytes", case("jpeg", lambda: between_segments(picture(sides, "JPEG"), b"\xff" * 7), sides)
    yield "gif, no trailer", case("gif", lambda: picture(sides, "GIF", "P")[:-1], sides)
    yield "gif, line end after", case("gif", lambda: picture(sides, "GIF", "P") + b"\r\n", sides)
    yield "gif, cut", case("gif", lambda: picture(sides, "GIF", "P")[:-9], sides, "file_truncated")
    yield "bmp, wrong size claimed", case("bmp", lambda: patched(picture(sides, "BMP"), 2, "<I", 1 << 30), sides)
    yield "png, cut", case("png", lambda: picture(sides, "PNG")[:-20], sides, "file_truncated")
    yield "jpeg, narrow", case("jpeg", lambda: picture((310, 800), "JPEG"), (310, 800), "aspect_ratio_out_of_range")
    yield "webp, small", case("webp", lambda: picture((299, 300), "WEBP"), (299, 300), "dimensions_out_of_range")
    yield from _heic_cases(draw)


def _heic_cases(draw: random.Random) -> Iterator[tuple[str, Case]]:
    def odd() -> int:
        return draw.randrange(301, 420, 2)

    def case(make: Callable[..., bytes], sides: tuple[int, int], code: str | None = None) -> Case:
        return Case(make, IMAGE, "image/heic", sides, None, code)

    even = (draw.randrange(300, 420, 2), draw.randrange(300, 420, 2))
    yield "heic", case(lambda: heic(even), even)
    yield "heic, bytes after", case(lambda: heic(even) + b"trailer of a program", even)
    for orientation in (1, 3, 5, 6, 8):
        width, height = odd(), odd()
        shown = (height, width) if orientation > 4 else (width, height)
        yield (
            f"heic, odd, Exif orientation {orientation}",
            case(lambda w=width, h=height, o=orientation: heic((w, h), orientation=o), shown),
        )
    wide, small = (1000, 320), (200, 200)
    yield "heic, larger than the primary picture", case(lambda: heic(even, wide), even)
    yield "heic, primary is the second", case(lambda: heic(wide, even, primary=1), even)
    yield "heic, primary too wide", case(lambda: heic(wide, even), wide, "aspect_ratio_out_of_range")
    yield "heic, primary too small", case(lambda: heic(even, small, primary=1), small, "dimensions_out_of_range")
    yield "heic, cut", case(lambda: heic(even)[:-50], even, "file_truncated")


# --- sound -------------------------------------------------------------------------------------------


def _tone(seconds: float, hertz: int) -> array[int]:
    period = [round(9000 * math.sin(2 * math.pi * place / 50)) for place in range(50)]
    return array("h", (period * (round(seconds * hertz) // 50 + 1))[: round(seconds * hertz)])


@lru_cache
def encoded_sound(
    seconds: float, codec: str, container: str, hertz: int = 16000, layout: str = "mono", form: str = "s16", **set_: Any
) -> bytes:
    """Returns a tone as ffmpeg's encoders write it."""
    out = io.BytesIO()
    muxer = {name: str(value) for name, value in set_.items() if name not in ("kbits", "quality")}
    muxer |= {"id3v2_version": "0"} if container == "mp3" else {}
    with av.open(out, "w", format=container, options=muxer) as target:
        stream = cast("av.AudioStream", target.add_stream(codec, rate=hertz, layout=layout))
        stream.format = form
        if "kbits" in set_:
            stream.bit_rate = set_["kbits"] * 1000
        if "quality" in set_:
            stream.codec_context.global_quality = set_["quality"] * 118
            stream.codec_context.flags |= av.codec.context.Flags.qscale
        tone, size = _tone(seconds, hertz), stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=form, layout=layout, rate=hertz, frame_size=size)
        plain = av.AudioFrame(format="s16", layout="mono", samples=len(tone))
        plain.planes[0].update(tone.tobytes().ljust(plain.planes[0].buffer_size, b"\0"))
        plain.sample_rate, plain.pts, plain.time_base = hertz, 0, Fraction(1, hertz)
        for source in (plain, None):
            for frame in resampler.resample(source):
                target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


@lru_cache
def pcm(seconds: float, hertz: int = 16000, channels: int = 1) -> bytes:
    """Returns a WAV with 16-bit samples."""
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setparams((channels, 2, hertz, 0, "NONE", ""))
        target.writeframes(array("h", (each for each in _tone(seconds, hertz) for _ in range(channels))).tobytes())
    return out.getvalue()


def patched(data: bytes, at: int, layout: str, value: int) -> bytes:
    """Returns ``data`` with one number replaced."""
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def piped(data: bytes, length: int) -> bytes:
    """Returns a WAV as a program writes it to a pipe, where it cannot go back to update the header."""
    whole = patched(data, data.index(b"data") + 4, "<I", length)
    return patched(whole, 4, "<I", min(0xFFFFFFFF, length + 36))


def id3(size: int, padding: int = 0) -> bytes:
    """Returns an ID3v2 tag of ``size`` bytes, plus padding that its length does not include."""
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + digits + b"TIT2".ljust(size, b"\0")[:size] + bytes(padding)


def _ape(size: int) -> bytes:
    def mark(flags: int) -> bytes:
        return b"APETAGEX" + struct.pack("<IIII", 2000, size + 32, 1, flags) + bytes(8)

    return mark(0xA0000000) + bytes(size) + mark(0x80000000)


def sounds(draw: random.Random) -> Iterator[tuple[str, Case]]:
    """Yields recordings with every codec and header that tools write, whole and piped, with tags before and after."""

    def case(
        make: Callable[..., bytes], seconds: float, form: str = "wav", code: str | None = None, tolerance: float = 0.03
    ) -> Case:
        return Case(make, AUDIO, f"audio/{form}", None, seconds, code, tolerance)

    def length() -> float:
        return round(draw.uniform(2.1, 6.0), 2)

    codecs = {
        "pcm_s16le": "s16", "pcm_u8": "u8", "pcm_s24le": "s32", "pcm_s32le": "s32", "pcm_f32le": "flt",
        "pcm_f64le": "dbl", "pcm_alaw": "s16", "pcm_mulaw": "s16", "adpcm_ima_wav": "s16p", "adpcm_ms": "s16",
    }  # fmt: skip
    for codec, form in codecs.items():
        for layout in ("mono", "stereo"):
            long = length()
            # a block encoder pads the last block, to 2,041 samples
            block = 0.13 if codec.startswith("adpcm") else 0.001
            yield (
                f"wav, {codec}, {layout}",
                case(
                    lambda s=long, c=codec, ly=layout, f=form: encoded_sound(s, c, "wav", 16000, ly, f),
                    long,
                    tolerance=block,
                ),
            )
    for hertz in (8000, 11025, 22050, 44100, 48000):
        long = length()
        yield f"wav, {hertz} Hz", case(lambda s=long, h=hertz: pcm(s, h, 2), long)
    for value in (0, 0x7FFFF000, 0x7FFFEFFF, 0x7FFFEFFC, 0x80000000, 0xFFFFFFFF, draw.randint(0x7FFF0000, 0xFFFFFFFF)):
        long = length()
        yield f"wav, piped, {value:#x}", case(lambda s=long, v=value: piped(pcm(s), v), long)
    long = length()
    yield (
        "wav, adpcm, piped",
        case(
            lambda s=long: piped(encoded_sound(s, "adpcm_ima_wav", "wav", form="s16p"), 0xFFFFFFFF),
            long,
            tolerance=0.13,
        ),
    )
    for block in (1, 4, 8):
        long = length()
        yield f"wav, block align {block}", case(lambda s=long, b=block: patched(pcm(s), 32, "<H", b), long)
    yield "wav, byte rate 0", case(lambda: patched(pcm(long), 28, "<I", 0), long)
    yield "wav, id3 after", case(lambda: pcm(long) + id3(300), long)
    yield "wav, block align 4, 20 s", case(lambda: patched(pcm(20.0), 32, "<H", 4), 20.0, code="duration_out_of_range")
    yield "wav, 1 s", case(lambda: pcm(1.0), 1.0, code="duration_out_of_range")
    yield "wav, cut", case(lambda: pcm(3.0)[:-1000], 3.0, code="file_truncated")
    yield (
        "wav, rf64",
        case(lambda: encoded_sound(3.0, "pcm_s16le", "wav", rf64="always"), 3.0, code="format_unsupported"),
    )
    yield from _mp3_cases(draw)


def _mp3_cases(draw: random.Random) -> Iterator[tuple[str, Case]]:
    def case(make: Callable[..., bytes], seconds: float, code: str | None = None, tolerance: float = 0.03) -> Case:
        return Case(make, AUDIO, "audio/mpeg", None, seconds, code, tolerance)

    def mp3(seconds: float = 3.0, hertz: int = 44100, layout: str = "mono", **options: Any) -> bytes:
        return encoded_sound(seconds, "libmp3lame", "mp3", hertz, layout, "s16p", **options)

    for hertz, kbits in ((8000, 16), (11025, 24), (16000, 32), (22050, 56), (24000, 64), (32000, 320), (48000, 128)):
        yield f"mp3, {hertz} Hz, {kbits} kbit/s", case(lambda h=hertz, k=kbits: mp3(hertz=h, kbits=k), 3.0)
    yield "mp3, variable rate, stereo", case(lambda: mp3(5.0, layout="stereo", quality=4), 5.0)
    # without the header, the samples that the encoder added cannot be subtracted
    yield "mp3, no Xing header", case(lambda: mp3(kbits=64, write_xing=0), 3.0, tolerance=0.08)
    for name, front in {
        "id3v2": id3(400), "id3v2, 70 KB": id3(70_000), "id3v2, padded": id3(200, 9000), "two id3v2": id3(99) * 2,
        "ape": _ape(300), "zeros": bytes(136), "a byte": b"\0", "junk": draw.randbytes(5000),
        "id3v2 and junk": id3(200) + draw.randbytes(700),
    }.items():  # fmt: skip
        yield f"mp3, {name} before", case(lambda f=front: f + mp3(kbits=64), 3.0)
    for name, after in {
        "id3v1": b"TAG" + bytes(125), "id3v2, 5 KB": id3(5000), "ape": _ape(300), "zeros": bytes(70_000),
        "lyrics": b"LYRICSBEGIN" + b"la " * 2000 + b"LYRICS200", "junk": draw.randbytes(20_000), "a byte": b"\n",
    }.items():  # fmt: skip
        yield f"mp3, {name} after", case(lambda b=after: mp3(kbits=64) + b, 3.0)
    yield "mp3, starts in the middle of a frame", case(lambda: mp3(kbits=64, write_xing=0)[80:], 3.0, tolerance=0.08)
    yield (
        "mp3, joined with a tag between",
        case(
            lambda: mp3(kbits=64, write_xing=0) + b"TAG" + bytes(125) + id3(6000) + mp3(kbits=32, write_xing=0),
            6.0,
            tolerance=0.15,
        ),
    )
    yield (
        "mp3, joined with another rate",
        case(lambda: mp3(kbits=64, write_xing=0) + mp3(hertz=22050, kbits=32, write_xing=0), 6.0, tolerance=0.2),
    )
    yield "mp3, cut", case(lambda: mp3(kbits=64)[:-900], 3.0, "file_truncated")
    yield "mp3, 16 s", case(lambda: bytes(50) + mp3(16.0, 16000, kbits=32), 16.0, "duration_out_of_range")


# --- video -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Take:
    """A recording: ``frames`` frames at ``rate`` per second, with a key frame every ``gop`` frames."""

    sides: tuple[int, int]
    frames: int
    rate: Fraction = Fraction(30)
    gop: int = 30
    between: int = 0  # B-frames
    uneven: int = 0  # seed of a variable rate

    @property
    def seconds(self) -> float:
        return float(self.frames / self.rate)


@lru_cache
def _encoded(take: Take) -> bytes:
    """Encodes the take as a plain MP4, the source of its packets."""
    out = io.BytesIO()
    width, height = take.sides
    with av.open(out, "w", format="mp4") as target:
        options = {"preset": "ultrafast", "crf": "45", "g": str(take.gop), "bf": str(take.between)}
        stream = target.add_stream("libx264", rate=take.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        draw, step = random.Random(take.uneven), 90_000 / take.rate
        frame = av.VideoFrame(width, height, "yuv420p")
        for number in range(take.frames):
            for plane, value in zip(frame.planes, (number * 7 % 200, 110, 150), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            jitter = draw.randint(-600, 600) if take.uneven and 0 < number < take.frames - 1 else 0
            frame.pts, frame.time_base = round(number * step) + jitter, Fraction(1, 90_000)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


def film(
    *takes: Take,
    container: str = "mp4",
    movflags: str = "",
    sound: float = 0.0,
    enabled: int = 0,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """Returns a video with one track per take and ``sound`` seconds of audio. Only the track ``enabled`` is played."""
    options = {"movflags": movflags} if movflags else {}
    with tempfile.NamedTemporaryFile(suffix=f".{container}") as out:
        with av.open(out.name, "w", format=container, options=options) as target:
            target.metadata.update(metadata or {})
            files = [av.open(io.BytesIO(_encoded(take)), "r") for take in takes]
            if sound:
                files.append(av.open(io.BytesIO(encoded_sound(sound, "aac", "matroska", form="fltp", kbits=32)), "r"))
            packets = []
            for number, file in enumerate(files):
                source = file.streams[0]
                made = target.add_stream_from_template(source)
                if number < len(takes):
                    made.disposition = av.stream.Disposition.default if number == enabled else av.stream.Disposition(0)
                for packet in file.demux(source):
                    if packet.dts is not None:
                        packets.append((float(packet.dts * packet.time_base), number, packet, made))
            for _, _, packet, made in sorted(packets, key=lambda each: each[:2]):
                packet.stream = made
                target.mux(packet)
        return out.read()


def _box_at(data: bytes, kind: bytes, number: int = 0) -> int:
    """Returns the offset of the payload of the ``number``-th box of a kind."""
    at = -1
    for _ in range(number + 1):
        at = data.index(kind, at + 1)
    return at + 4


def _turned(data: bytes, kind: bytes = b"tkhd", quarter: int = 1) -> bytes:
    """Returns the video with a matrix that rotates its track (with ``mvhd``: the whole video) by quarter turns."""
    at = _box_at(data, kind) + (40 if kind == b"tkhd" else 36)
    changed = bytearray(data)
    one = 1 << 16
    values = {1: (0, one, -one, 0), 2: (-one, 0, 0, -one), 3: (0, -one, one, 0)}[quarter]
    struct.pack_into(">5i", changed, at, values[0], values[1], 0, values[2], values[3])
    return bytes(changed)


def switched(data: bytes, *flags: int) -> bytes:
    """Returns the video with its tracks enabled (3) or disabled (2)."""
    changed = bytearray(data)
    for number, flag in enumerate(flags):
        changed[_box_at(data, b"tkhd", number) + 3] = flag
    return bytes(changed)


def with_header_duration(data: bytes, kind: bytes, ticks: int) -> bytes:
    """Returns the video with another duration in the header ``kind``."""
    return patched(data, _box_at(data, kind) + 16, ">I", ticks)


def videos(draw: random.Random) -> Iterator[tuple[str, Case]]:
    """Yields videos in every layout that cameras, browsers and editors write."""
    portrait, square = (320, 400), (400, 400)
    take = Take(portrait, 90)
    deep = Take(portrait, 90, between=3)
    long, short = Take(square, 480, gop=60), Take(square, 45, gop=15)

    def case(
        make: Callable[..., bytes], of: Take, form: str = "mp4", sides: tuple[int, int] | None = None,
        seconds: float | None = None, code: str | None = None, tolerance: float = 0.03,
    ) -> Case:  # fmt: skip
        return Case(make, VIDEO, f"video/{form}", sides or of.sides, seconds or of.seconds, code, tolerance)

    shapes = {
        "plain": "", "index first": "faststart", "first fragment in moov": "frag_keyframe",
        "fragments": "frag_keyframe+empty_moov", "fragments, delayed": "frag_keyframe+delay_moov",
        "fragments, base": "frag_keyframe+default_base_moof", "fragments, sidx": "frag_keyframe+empty_moov+global_sidx",
        "dash": "dash+frag_keyframe", "cmaf": "cmaf", "a fragment for each frame": "frag_every_frame+empty_moov",
        "separate fragments": "frag_keyframe+separate_moof", "hybrid": "hybrid_fragmented+frag_keyframe",
    }  # fmt: skip
    for name, movflags in shapes.items():
        yield f"mp4, {name}", case(lambda m=movflags: film(take, movflags=m), take)
        yield f"mp4, {name}, with B-frames", case(lambda m=movflags: film(deep, movflags=m), deep)
    for name in ("plain", "first fragment in moov", "fragments"):
        # the last block of sound may be longer than the pictures
        yield (
            f"mp4, {name}, with sound",
            case(lambda m=shapes[name]: film(take, movflags=m, sound=3.0), take, tolerance=0.08),
        )
        yield (
            f"mp4, {name}, 16 s",
            case(lambda m=shapes[name]: film(long, movflags=m), long, code="duration_out_of_range"),
        )
        yield (
            f"mp4, {name}, 1.5 s",
            case(lambda m=shapes[name]: film(short, movflags=m), short, code="duration_out_of_range"),
        )
        yield f"mov, {name}", case(lambda m=shapes[name]: film(take, container="mov", movflags=m), take, "quicktime")
    for rate in (Fraction(24), Fraction(24000, 1001), Fraction(60)):
        even = Take(portrait, round(3 * rate), rate)
        yield f"mp4, {float(rate):.3f} per second", case(lambda t=even: film(t), even)
    uneven = Take(portrait, 90, uneven=draw.randint(1, 999))
    yield "mp4, variable rate", case(lambda: film(uneven), uneven, tolerance=0.05)
    yield "mp4, variable rate, fragments", case(lambda: film(uneven, movflags="frag_keyframe"), uneven, tolerance=0.05)
    slow = Take(portrait, 48, Fraction(24))
    yield (
        "mp4, fragments, long first frame",
        case(lambda: film(slow, movflags="frag_keyframe", sound=2.0), slow, tolerance=0.12),
    )
    turned = take.sides[::-1]
    for quarter in (1, 2, 3):
        sides = turned if quarter != 2 else take.sides
        yield (
            f"mp4, rotated by {90 * quarter}",
            case(lambda q=quarter: _turned(film(take), quarter=q), take, sides=sides),
        )
    yield (
        "mov, the whole video rotated",
        case(lambda: _turned(film(take, container="mov"), b"mvhd"), take, "quicktime", sides=turned),
    )
    yield "mp4, rotated, fragments", case(lambda: _turned(film(take, movflags="frag_keyframe")), take, sides=turned)
    for kind in (b"mdhd", b"mvhd"):
        for ticks in (0, 0xFFFFFFFF, draw.randint(1, 5000)):
            yield (
                f"mp4, {kind.decode()} duration {ticks}",
                case(lambda k=kind, t=ticks: with_header_duration(film(take), k, t), take),
            )
    other = Take(square, 240)
    yield "mp4, two tracks", case(lambda: switched(film(take, other), 3, 2), take)
    yield "mp4, two tracks, second enabled", case(lambda: switched(film(other, take), 2, 3), take)
    yield "mp4, two tracks, both enabled", case(lambda: switched(film(take, other), 3, 3), take)
    yield "mp4, two tracks, none enabled", case(lambda: switched(film(take, other), 2, 2), other)
    yield (
        "mp4, two tracks in fragments",
        case(lambda: switched(film(take, other, movflags="frag_keyframe"), 3, 2), take, tolerance=0.11),
    )
    tags = {"title": "a clip", "comment": "x" * 3000, "artist": "someone"}
    yield "mp4, tags", case(lambda: film(take, metadata=tags), take)
    yield (
        "mp4, tags, index first",
        case(lambda: film(take, movflags="faststart+use_metadata_tags", metadata=tags), take),
    )
    for name, after in {
        "id3v1": b"TAGa title" + bytes(118), "id3v2": id3(300), "text": b"made with a program\n", "a byte": b"\0",
        "free": struct.pack(">I4s", 5000, b"free") + bytes(4992), "junk": draw.randbytes(999),
    }.items():  # fmt: skip
        yield f"mp4, {name} after", case(lambda b=after: film(take) + b, take)
    yield "mp4, cut", case(lambda: film(take)[:-50], take, code="file_truncated")
    yield "mp4, index first, cut", case(lambda: film(take, movflags="faststart")[:-50], take, code="file_truncated")
    yield (
        "mp4, fragments, cut in the last",
        case(lambda: film(take, movflags="frag_keyframe+omit_tfhd_offset")[:-70], take, code="file_truncated"),
    )
    large = Take((2400, 1000), 60, gop=60)
    yield "mp4, too many pixels", case(lambda: film(large), large, code="dimensions_out_of_range")


def corpus() -> dict[str, Case]:
    """Returns all cases by name."""
    draw = random.Random(SEED)
    return {name: case for part in (pictures, sounds, videos) for name, case in part(draw)}
