"""Generates real media files: drawn portraits, a drawn clip and a tone, each with a marker for the person it shows.

The crun simulator compares the marker (`likeness-person:<name>;` in the file's metadata) instead of faces. The files
are deterministic, and with the defaults they are within crun's limits.
"""

import hashlib
import io
import math
import struct
from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from local.simulator.inspection import marker

_SAMPLE_RATE = 16_000
_SKINS = ("#f3d3bd", "#e3b08c", "#c68b62", "#8d5a3b")
_NOSES = ("#dcae92", "#c98f69", "#a96f49", "#74452c")
_HAIRS = ("#2b2024", "#5a3825", "#8c6a3f", "#23304a")
_SHIRTS = ("#2f6f73", "#a3474b", "#4d5fa8", "#6b7a2f")
_WALLS = ("#dfe9f2", "#f2e9dc", "#e4efe2", "#efe2ee")


@dataclass(frozen=True)
class DemoMedia:
    """The demo's files: four of the person who passes the check, and one of somebody else."""

    portrait_jpeg: Path
    portrait_png: Path
    clip_mp4: Path
    voice_wav: Path
    other_person_jpeg: Path


def make_media(folder: Path, person: str = "alice", other_person: str = "bob") -> DemoMedia:
    """Write the demo's media to a folder, which is created if needed: some hundred kilobytes."""
    folder.mkdir(parents=True, exist_ok=True)
    media = DemoMedia(
        portrait_jpeg=folder / f"{person}-front.jpg",
        portrait_png=folder / f"{person}-side.png",
        clip_mp4=folder / f"{person}-clip.mp4",
        voice_wav=folder / f"{person}-voice.wav",
        other_person_jpeg=folder / f"{other_person}-front.jpg",
    )
    media.portrait_jpeg.write_bytes(portrait(person))
    media.portrait_png.write_bytes(portrait(person, image_format="PNG", turn=0.6))
    media.clip_mp4.write_bytes(clip(person))
    media.voice_wav.write_bytes(voice(person))
    media.other_person_jpeg.write_bytes(portrait(other_person))
    return media


def portrait(
    person: str,
    width: int = 720,
    height: int = 960,
    image_format: Literal["JPEG", "PNG"] = "JPEG",
    turn: float = 0.0,
) -> bytes:
    """Draw a person: sides in pixels, `turn` of the head from -1 (left) to 1 (right)."""
    picture = _draw(person, width, height, turn, blink=False)
    file = io.BytesIO()
    if image_format == "JPEG":
        picture.save(file, "JPEG", quality=88, comment=marker(person).encode())
    else:
        info = PngInfo()
        info.add_text("Comment", marker(person))
        picture.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def clip(person: str, seconds: float = 3.0, width: int = 576, height: int = 768, fps: int = 25) -> bytes:
    """Encode an MP4 in which the drawn person looks left and right and blinks. Sides must be even."""
    file = io.BytesIO()
    # without bitexact the muxer writes its version into the file
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        container.metadata["comment"] = marker(person)
        stream = container.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        stream.options = {"preset": "veryfast", "crf": "24"} if stream.name == "libx264" else {}
        stream.codec_context.thread_count = 1
        count = round(seconds * fps)
        for number in range(count):
            turn = math.sin(2 * math.pi * number / max(count, 1))
            picture = _draw(person, width, height, turn, blink=number % fps in (10, 11, 12), smooth=1)
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]  # its stub has no types
            frame.pts = number
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def voice(person: str, seconds: float = 3.0) -> bytes:
    """Write a WAV (16 kHz, mono, 16 bits) of a short melody, with the marker in an INFO chunk."""
    base = 150 + _choice(person, "pitch", 120)
    samples = array("h")
    for number in range(round(seconds * _SAMPLE_RATE)):
        time = number / _SAMPLE_RATE
        tone = base * (1, 1.25, 1.5, 1.25)[int(time * 4) % 4]
        swell = math.sin(math.pi * (time * 4 % 1)) ** 0.5
        samples.append(round(9000 * swell * math.sin(2 * math.pi * tone * time)))
    data = struct.pack(f"<{len(samples)}h", *samples)
    wave = struct.pack("<HHIIHH", 1, 1, _SAMPLE_RATE, _SAMPLE_RATE * 2, 2, 16)
    info = b"INFO" + _chunk(b"ICMT", marker(person).encode() + b"\0")
    return _chunk(b"RIFF", b"WAVE" + _chunk(b"fmt ", wave) + _chunk(b"LIST", info) + _chunk(b"data", data))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _choice(person: str, trait: str, count: int) -> int:
    """Return a number below `count` that is the same for a person's trait on every run."""
    return hashlib.sha256(f"{person}/{trait}".encode()).digest()[0] % count


def _draw(person: str, width: int, height: int, turn: float, *, blink: bool, smooth: int = 2) -> Image.Image:
    """Draw a head and shoulders at `smooth` times the size, and scale down for smooth edges."""
    picture = Image.new("RGB", (width * smooth, height * smooth), _WALLS[_choice(person, "wall", 4)])
    draw = ImageDraw.Draw(picture)
    unit = min(width / 0.75, height) * smooth / 100  # the drawing is 75 by 100 units
    left, top = (width * smooth - 75 * unit) / 2, (height * smooth - 100 * unit) / 2

    def oval(x: float, y: float, rx: float, ry: float, color: str) -> None:
        box = (left + (x - rx) * unit, top + (y - ry) * unit, left + (x + rx) * unit, top + (y + ry) * unit)
        draw.ellipse(box, fill=color)

    skin, hair = _SKINS[_choice(person, "skin", 4)], _HAIRS[_choice(person, "hair", 4)]
    eyes = 37.5 + 3.5 * turn
    long_hair = _choice(person, "length", 2) == 1
    oval(37.5, 43 + 8 * long_hair, 22 + 1 * long_hair, 25 + 8 * long_hair, hair)
    oval(37.5, 104, 33, 24, _SHIRTS[_choice(person, "shirt", 4)])
    oval(37.5, 74, 8, 14, skin)
    oval(37.5, 48, 18.5, 24, skin)
    oval(37.5 + turn, 25, 17, 8, hair)
    for side in (-1, 1):
        oval(37.5 + 18.5 * side - turn, 49, 2.6, 4.5, skin)
        oval(eyes + 7.5 * side, 46, 3.4, 0.5 if blink else 2.3, "#ffffff" if not blink else hair)
        if not blink:
            oval(eyes + 7.5 * side + 0.8 * turn, 46, 1.7, 1.9, "#28313f")
        oval(eyes + 7.5 * side, 40.5, 4.2, 0.8, hair)
    oval(eyes + 0.8 * turn, 54, 1.9, 3.2, _NOSES[_choice(person, "skin", 4)])
    oval(eyes, 62.5, 6.5, 2.6, "#b4443f")
    oval(eyes, 61.6, 6.6, 1.7, skin)
    _label(draw, unit)
    return picture.resize((width, height), Image.Resampling.LANCZOS) if smooth > 1 else picture


def _label(draw: ImageDraw.ImageDraw, unit: float) -> None:
    """Label the picture, so that nobody mistakes it for a photograph."""
    font = ImageFont.load_default(size=3.2 * unit)
    draw.text((2 * unit, 1.5 * unit), "drawn by code", fill="#5b6478", font=font)
