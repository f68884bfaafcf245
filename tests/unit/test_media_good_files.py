"""Every accepted format, compared with independent readers: Pillow for pictures, ffmpeg for video and sound."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction

import av
import pytest
from PIL import Image

from likeness.domain.media import CONTENT_TYPES, MAX_BYTES, AssetType, MediaFacts, content_type_of, inspect
from tests import media


def facts_of(data: bytes, declared: AssetType | None = None) -> MediaFacts:
    return inspect(io.BytesIO(data), size_bytes=len(data), declared=declared)


PICTURES = {
    "jpeg": (media.jpeg, "image/jpeg"),
    "jpeg progressive": (lambda: media.jpeg(progressive=True), "image/jpeg"),
    "jpeg rotated by Exif": (lambda: media.jpeg(orientation=6), "image/jpeg"),
    "jpeg with a second picture appended": (lambda: media.jpeg() + media.jpeg(400, 400), "image/jpeg"),
    "jpeg with a long trailer": (lambda: media.jpeg() + b"trailer." * 40_000, "image/jpeg"),
    "png": (media.png, "image/png"),
    "png with a trailer": (lambda: media.png() + b"made by an editor program", "image/png"),
    "webp lossy": (media.webp, "image/webp"),
    "webp lossless": (lambda: media.webp(lossless=True), "image/webp"),
    "webp extended": (lambda: media.webp(extended=True), "image/webp"),
    "bmp": (media.bmp, "image/bmp"),
    "tiff, little endian": (media.tiff, "image/tiff"),
    "tiff, big endian": (lambda: media.tiff(big_endian=True), "image/tiff"),
    "tiff, uncompressed": (lambda: media.tiff(compression="raw"), "image/tiff"),
    "gif": (media.gif, "image/gif"),
    "gif, animated": (lambda: media.gif(frames=3), "image/gif"),
    "smallest sides": (lambda: media.png(300, 300), "image/png"),
    "largest sides": (lambda: media.png(6000, 6000), "image/png"),
    "narrowest": (lambda: media.jpeg(400, 1000), "image/jpeg"),
    "widest": (lambda: media.jpeg(1000, 400), "image/jpeg"),
}


@pytest.mark.parametrize(("make", "content_type"), PICTURES.values(), ids=PICTURES)
def test_a_picture_has_the_properties_that_pillow_reads(make: Callable[[], bytes], content_type: str) -> None:
    data = make()
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
    expected = MediaFacts(AssetType.IMAGE, content_type, len(data), width, height, None, None)
    assert facts_of(data) == facts_of(data, AssetType.IMAGE) == expected


def test_an_upside_down_bitmap_has_a_positive_height() -> None:
    data = bytearray(media.bmp(320, 400))
    struct.pack_into("<i", data, 22, -400)
    facts = facts_of(bytes(data))
    assert (facts.width, facts.height) == (320, 400)


def test_an_os2_bitmap_is_read() -> None:
    rows = bytes(300 * 3 * 301)
    data = struct.pack("<2sIIIIHHHH", b"BM", 26 + len(rows), 0, 26, 12, 300, 301, 1, 24) + rows
    facts = facts_of(data)
    assert (facts.width, facts.height) == (300, 301)


@pytest.mark.parametrize(
    ("major", "compatible", "content_type"),
    [
        (b"heic", (b"mif1", b"heic"), "image/heic"),
        (b"heix", (b"mif1", b"heix"), "image/heic"),
        (b"mif1", (b"mif1", b"heic"), "image/heif"),
        (b"msf1", (b"msf1", b"hevc"), "image/heif"),
    ],
)
def test_a_phone_picture_has_the_sides_of_the_picture_and_not_of_a_tile(
    major: bytes, compatible: tuple[bytes, ...], content_type: str
) -> None:
    facts = facts_of(media.heic(3024, 4032, major=major, compatible=compatible), AssetType.IMAGE)
    assert (facts.content_type, facts.width, facts.height) == (content_type, 3024, 4032)


VIDEOS = {
    "mp4": media.mp4,
    "mp4, index first": lambda: media.mp4(movflags="faststart"),
    "mp4 with sound": lambda: media.mp4(sound=True),
    "mp4 in fragments": lambda: media.mp4(movflags="frag_keyframe+empty_moov"),
    "fragmented mp4 with sound": lambda: media.mp4(fps=30, sound=True, movflags="frag_keyframe+default_base_moof"),
    "mp4, MPEG-4 part 2": lambda: media.mp4(codec="mpeg4"),
    "mov": media.mov,
    "shortest": lambda: media.mp4(2.0),
    "longest": lambda: media.mp4(15.0),
    "a few frames over the longest": lambda: media.mp4(15.05, 60.0),
    "23.976 per second": lambda: media.mp4(fps=24000 / 1001),
    "59.94 per second": lambda: media.mp4(fps=60000 / 1001),
    "60 per second": lambda: media.mp4(fps=60),
}


@pytest.mark.parametrize("make", VIDEOS.values(), ids=VIDEOS)
def test_a_video_has_the_properties_that_ffmpeg_reads(make: Callable[[], bytes]) -> None:
    data = make()
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        rate = stream.average_rate or Fraction(0)
    facts = facts_of(data, AssetType.VIDEO)
    assert (facts.width, facts.height) == (stream.width, stream.height)
    # ffmpeg includes a sound track that is longer than the video; fragments have no total duration
    assert facts.duration_seconds == pytest.approx(seconds, abs=0.07)
    assert facts.frames_per_second == pytest.approx(float(rate), abs=0.01)
    assert facts_of(data) == facts


def test_a_video_rotated_by_its_track_has_its_sides_swapped() -> None:
    data = bytearray(media.mp4(width=400, height=320))
    matrix = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -1 << 16, 0, 0, 320 << 16, 0, 1 << 30)
    facts = facts_of(bytes(data))
    assert (facts.width, facts.height) == (320, 400)


def test_a_quicktime_file_from_before_ftyp_is_a_video() -> None:
    data = media.mov()
    length = struct.unpack(">I", data[:4])[0]
    assert data[4:8] == b"ftyp"
    old = media.box(b"wide", bytes(length - 8)) + data[length:]  # same length: chunk offsets stay right
    assert facts_of(old, AssetType.VIDEO) == facts_of(data, AssetType.VIDEO)


SOUNDS = {
    "mp3": (media.mp3, 3.0),
    "mp3 without tags": (lambda: media.mp3(tags=False), 3.0),
    "mp3, variable rate": (lambda: media.mp3(5.0, variable=True), 5.0),
    "mp3, 16 kHz": (lambda: media.mp3(hertz=16000), 3.0),
    "mp3, 8 kHz": (lambda: media.mp3(hertz=8000, kbits=16), 3.0),
    "mp3, longest": (lambda: media.mp3(15.0), 15.0),
    "mp3 with an ID3v1 tag": (lambda: media.mp3() + b"TAG" + bytes(125), 3.0),
    "wav": (media.wav, 3.0),
    "wav, stereo": (lambda: media.wav(channels=2), 3.0),
    "wav, 24 bits": (lambda: media.wav(width=3), 3.0),
    "wav, shortest": (lambda: media.wav(2.0), 2.0),
    "wav, longest": (lambda: media.wav(15.0), 15.0),
}


@pytest.mark.parametrize(("make", "seconds"), SOUNDS.values(), ids=SOUNDS)
def test_a_recording_has_the_duration_of_its_source(make: Callable[[], bytes], seconds: float) -> None:
    data = make()
    facts = facts_of(data, AssetType.AUDIO)
    assert facts.duration_seconds == pytest.approx(seconds, abs=0.002)
    assert (facts.width, facts.height, facts.frames_per_second) == (None, None, None)
    assert facts_of(data) == facts


def test_joined_mp3_files_of_different_bit_rates_are_counted_and_not_estimated() -> None:
    data = media.mp3(3.0, kbits=32, tags=False) + media.mp3(6.0, kbits=128, tags=False)
    assert facts_of(data).duration_seconds == pytest.approx(9.0, abs=0.15)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_wav_from_a_pipe_ends_at_the_end_of_the_file(length: int) -> None:
    data = bytearray(media.wav(3.0))
    struct.pack_into("<I", data, data.index(b"data") + 4, length)
    assert facts_of(bytes(data)).duration_seconds == pytest.approx(3.0)


def test_a_wav_may_end_with_a_notes_chunk_and_have_a_wrong_size() -> None:
    whole = bytearray(media.wav(3.0) + b"LIST" + struct.pack("<I", 100) + b"INFO" + bytes(96))
    for claimed in (len(whole) - 8, len(whole), len(media.wav(3.0)) - 8):  # correct; with the header; sound only
        struct.pack_into("<I", whole, 4, claimed)
        assert facts_of(bytes(whole)).duration_seconds == pytest.approx(3.0)


class CountingFile(io.BytesIO):
    """A file that counts the bytes that are read."""

    asked = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.asked += len(data)
        return data


@pytest.mark.parametrize("movflags", ["", "faststart"])
def test_a_large_video_is_inspected_without_reading_its_content(movflags: str) -> None:
    # 20 MB of a box that players skip, in place of content
    data = media.mp4(movflags=movflags) + media.box(b"free", bytes(20_000_000), wide=True)
    file = CountingFile(data)
    inspect(file, size_bytes=len(data), declared=AssetType.VIDEO)
    assert file.asked < 20_000


def test_a_large_picture_is_inspected_by_its_start_and_end() -> None:
    data = media.jpeg()
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    file = CountingFile(data[:2] + comment * 300 + data[2:])
    size = len(file.getvalue())
    assert size > 19_000_000
    inspect(file, size_bytes=size, declared=AssetType.IMAGE)
    assert file.asked < 100_000


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("jpg", "image/jpeg"),
        (".JPEG", "image/jpeg"),
        ("holiday/Anna.at.sea.HEIC", "image/heic"),
        ("clip.mov", "video/quicktime"),
        ("voice.wav", "audio/wav"),
        ("notes.txt", None),
        ("jpg.exe", None),
        ("", None),
    ],
)
def test_a_file_name_implies_a_content_type(name: str, content_type: str | None) -> None:
    assert content_type_of(name) == content_type
    assert content_type is None or content_type in CONTENT_TYPES


def test_the_limits_are_the_strictest_reading_of_the_published_ones() -> None:
    assert dict(MAX_BYTES) == {
        AssetType.IMAGE: 29_999_999,
        AssetType.VIDEO: 50_000_000,
        AssetType.AUDIO: 15_000_000,
    }


def test_the_readers_are_imported_only_to_inspect_files() -> None:
    # Every function imports the types at start; only one of them needs the readers.
    lines = [
        "import sys, likeness.domain.media.types as t, likeness.domain.media as m",
        "assert t.AssetType and m.CONTENT_TYPES and 'likeness.domain.media.images' not in sys.modules",
        "from likeness.domain.media import inspect",
        "assert inspect and 'likeness.domain.media.images' in sys.modules",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, check=True, timeout=30)
