"""Generates real media files as bytes. They are deterministic and cached for the run."""

from __future__ import annotations

import io
import math
import struct
import tempfile
import wave
from array import array
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, cast

import av
import av.codec.context
from PIL import Image, ImageDraw


def _picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A gradient with a simple face: compresses well, but not to almost nothing."""
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width // 4, height // 5, 3 * width // 4, 4 * height // 5), fill=(224, 172, 140))
    for eye in (width * 2 // 5, width * 3 // 5):
        draw.ellipse((eye - 9, height * 2 // 5 - 9, eye + 9, height * 2 // 5 + 9), fill=(30, 30, 60))
    return picture.convert(mode)


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


@lru_cache
def jpeg(width: int = 480, height: int = 640, *, orientation: int = 1, progressive: bool = False) -> bytes:
    """Returns a JPEG; ``orientation`` is the Exif value, 1 to 8."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(_picture(width, height), "JPEG", exif=exif, progressive=progressive, quality=80)


@lru_cache
def png(width: int = 480, height: int = 640) -> bytes:
    return _saved(_picture(width, height), "PNG")


@lru_cache
def webp(width: int = 480, height: int = 640, *, lossless: bool = False, extended: bool = False) -> bytes:
    """Returns a WebP: lossy (VP8) or lossless (VP8L), either of them also in the extended form (VP8X)."""
    extra: dict[str, Any] = {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"} if extended else {}
    return _saved(_picture(width, height), "WEBP", lossless=lossless, **extra)


@lru_cache
def bmp(width: int = 320, height: int = 400) -> bytes:
    return _saved(_picture(width, height), "BMP")


@lru_cache
def tiff(width: int = 320, height: int = 400, *, big_endian: bool = False, compression: str = "tiff_lzw") -> bytes:
    mode = "I;16B" if big_endian else "RGB"
    if big_endian:
        return _saved(Image.new(mode, (width, height)), "TIFF")
    return _saved(_picture(width, height), "TIFF", compression=compression)


@lru_cache
def gif(width: int = 320, height: int = 400, *, frames: int = 1) -> bytes:
    pictures = [_picture(width, height, "P").rotate(90 * number) for number in range(frames)]
    return _saved(pictures[0], "GIF", save_all=frames > 1, append_images=pictures[1:])


def box(kind: bytes, payload: bytes = b"", *, wide: bool = False) -> bytes:
    """Returns an ISO base media box; ``wide`` writes a 64-bit size."""
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(payload)) + payload
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def heic(
    width: int = 3024, height: int = 4032, *, major: bytes = b"heic", compatible: tuple[bytes, ...] = (b"mif1", b"heic")
) -> bytes:
    """Returns the structure of a phone's HEIC picture: 512-pixel tiles, a thumbnail, and data that is not decoded."""

    def full(kind: bytes, payload: bytes) -> bytes:
        return box(kind, b"\0\0\0\0" + payload)

    sides = [(512, 512), (width, height), (240, 320)]
    container = box(b"ipco", b"".join(full(b"ispe", struct.pack(">II", *pair)) for pair in sides))
    handler = full(b"hdlr", b"\0\0\0\0pict" + bytes(13))
    meta = full(b"meta", handler + box(b"iprp", container + full(b"ipma", b"\0\0\0\0")))
    return box(b"ftyp", major + b"\0\0\0\0" + b"".join(compatible)) + meta + box(b"mdat", bytes(range(256)) * 8)


@lru_cache
def mp4(
    seconds: float = 3.0,
    fps: float = 24.0,
    width: int = 320,
    height: int = 400,
    *,
    container: Literal["mp4", "mov"] = "mp4",
    codec: str = "libx264",
    movflags: str = "",
    sound: bool = False,
) -> bytes:
    """Returns a video. ``movflags`` are ffmpeg's: ``faststart``, ``frag_keyframe+empty_moov``..."""
    rate = Fraction(fps).limit_denominator(1001)
    # A file, not memory: for faststart, the muxer reopens its output.
    with (
        tempfile.NamedTemporaryFile(suffix=f".{container}") as out,
        av.open(out.name, "w", format=container, options={"movflags": movflags} if movflags else {}) as target,
    ):
        options = {"preset": "ultrafast", "crf": "40"} if codec == "libx264" else {}
        stream = cast("av.VideoStream", target.add_stream(codec, rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        voice = target.add_stream("aac", rate=16000, layout="mono") if sound else None
        for number in range(round(seconds * rate)):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, value in zip(frame.planes, (number % 200 + 20, 110, 150), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = number, 1 / rate
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
        if voice is not None:
            for part in _tone_frames(seconds, 16000, voice.codec_context.frame_size or 1024):
                target.mux(voice.encode(part))
            target.mux(voice.encode(None))
        target.close()
        return out.read()


def mov(seconds: float = 3.0, fps: float = 24.0, width: int = 320, height: int = 400) -> bytes:
    """Returns a QuickTime video."""
    return mp4(seconds, fps, width, height, container="mov")


def _tone(seconds: float, hertz: int) -> list[float]:
    return [0.3 * math.sin(2 * math.pi * 220 * number / hertz) for number in range(round(seconds * hertz))]


def _tone_frames(seconds: float, hertz: int, samples: int) -> list[av.AudioFrame]:
    tone = _tone(seconds, hertz)
    frames = []
    for start in range(0, len(tone), samples):
        part = array("f", tone[start : start + samples])
        frame = av.AudioFrame(format="fltp", layout="mono", samples=len(part))
        frame.planes[0].update(part.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = hertz, start, Fraction(1, hertz)
        frames.append(frame)
    return frames


@lru_cache
def wav(seconds: float = 3.0, *, hertz: int = 16000, channels: int = 1, width: int = 2) -> bytes:
    """Returns PCM sound; ``width`` is bytes per sample."""
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setnchannels(channels)
        target.setsampwidth(width)
        target.setframerate(hertz)
        # Samples of two or more bytes are signed and little-endian: the most significant byte is the last.
        frames = (
            int(value * 32767).to_bytes(2, "little", signed=True).rjust(width, b"\0") for value in _tone(seconds, hertz)
        )
        target.writeframes(b"".join(frame * channels for frame in frames))
    return out.getvalue()


@lru_cache
def mp3(
    seconds: float = 3.0, *, hertz: int = 44100, kbits: int = 64, variable: bool = False, tags: bool = True
) -> bytes:
    """Returns an MP3 with LAME's header; ``variable`` bit rate; ``tags`` adds an ID3v2 tag at the start."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp3", options={} if tags else {"id3v2_version": "0"}) as target:
        if tags:
            target.metadata["title"] = "voice sample"
        stream = target.add_stream("libmp3lame", rate=hertz, layout="mono")
        stream.format = "fltp"
        if variable:
            stream.codec_context.global_quality = 4 * 118
            stream.codec_context.flags |= av.codec.context.Flags.qscale
        else:
            stream.bit_rate = kbits * 1000
        for frame in _tone_frames(seconds, hertz, stream.codec_context.frame_size or 1152):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()
