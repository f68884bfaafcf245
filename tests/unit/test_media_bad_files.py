"""Files that must be refused, each with its code and a message with the found and the allowed value."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest

from likeness.domain.media import AssetType, MediaRefused, inspect
from tests import media

IMAGE, VIDEO, AUDIO = AssetType.IMAGE, AssetType.VIDEO, AssetType.AUDIO


def refused(data: bytes, declared: AssetType | None, size: int | None = None) -> MediaRefused:
    with pytest.raises(MediaRefused) as caught:
        inspect(io.BytesIO(data), size_bytes=len(data) if size is None else size, declared=declared)
    assert caught.value.message.endswith(".")
    return caught.value


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("face.jpg", media.jpeg())
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Returns only a PNG header, with any dimensions."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def jpeg_header(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9) + b"\xff\xda\0\x02"


def without_box(data: bytes, kind: bytes) -> bytes:
    """Returns the video with a top-level box renamed to a type that readers skip."""
    return data.replace(kind, b"free", 1)


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = media.box(b"trak", media.box(b"mdia", inner))
    return inner


def with_notes(data: bytes) -> bytes:
    """Returns the WAV with a text chunk after its sound, as recorders write it."""
    whole = data + b"LIST" + struct.pack("<I", 100) + b"INFO" + bytes(96)
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def fragment_flood() -> bytes:
    """Returns 12 million frames in fragments: 48 MB of durations that a reader might add one by one."""
    data = media.mp4(movflags="frag_keyframe+empty_moov")
    at = data.index(b"tfhd") - 4
    header = data[at : at + struct.unpack_from(">I", data, at)[0]]
    count = 260_000
    run = media.box(b"trun", struct.pack(">II", 0x100, count) + bytes(4 * count))
    return data + media.box(b"moof", media.box(b"traf", header + run)) * 46


FTYP = media.box(b"ftyp", b"isom\0\0\0\0isommp41")
FREE = media.box(b"free")
HUGE = struct.pack(">I4sQ", 1, b"mdat", 1 << 63)

REFUSALS: dict[str, tuple[Callable[[], bytes], AssetType | None, str]] = {
    "zero bytes": (lambda: b"", IMAGE, "empty_file"),
    "zero bytes, kind unknown": (lambda: b"", None, "empty_file"),
    # other formats with any names
    "a web page": (lambda: b"<!DOCTYPE html><title>403</title>" * 20, IMAGE, "format_unsupported"),
    "svg": (lambda: b"<svg width='400' height='400'></svg>", IMAGE, "format_unsupported"),
    "svg with a prologue": (lambda: b"<?xml version='1.0'?><svg/>" + bytes(100), None, "format_unsupported"),
    "zip": (archive, IMAGE, "format_unsupported"),
    "pdf": (lambda: b"%PDF-1.7\n" + bytes(2000), None, "format_unsupported"),
    "text that starts with BM": (lambda: b"BMW drives past, " * 50, IMAGE, "format_unsupported"),
    "text with box names": (lambda: b"I'm free today" * 50, VIDEO, "format_unsupported"),
    "utf-16 text": (lambda: "ÿû and so on".encode("utf-16") * 50, AUDIO, "format_unsupported"),
    "one byte": (lambda: b"\xff", None, "format_unsupported"),
    "avif": (lambda: media.heic(major=b"avif", compatible=(b"mif1", b"isom")), IMAGE, "format_unsupported"),
    "avif as mif1": (lambda: media.heic(major=b"mif1", compatible=(b"avif",)), IMAGE, "format_unsupported"),
    "m4a": (lambda: media.mp4(sound=True).replace(b"isom", b"M4A ", 1), AUDIO, "format_unsupported"),
    "mp4 without video": (lambda: media.mp4().replace(b"vide", b"soun"), VIDEO, "format_unsupported"),
    "webm": (lambda: b"\x1a\x45\xdf\xa3" + bytes(500), VIDEO, "format_unsupported"),
    "avi": (lambda: b"RIFF\x10\0\0\0AVI LIST", VIDEO, "format_unsupported"),
    "flac after an id3 tag": (lambda: b"ID3\4\0\0\0\0\0\0fLaC" + bytes(900), AUDIO, "format_unsupported"),
    "aac": (lambda: (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 30, AUDIO, "format_unsupported"),
    # not the declared type
    "mp4 as picture": (media.mp4, IMAGE, "type_mismatch"),
    "picture as mp4": (media.jpeg, VIDEO, "type_mismatch"),
    "wav as video": (media.wav, VIDEO, "type_mismatch"),
    "mp3 as picture": (media.mp3, IMAGE, "type_mismatch"),
    "heic as video": (media.heic, VIDEO, "type_mismatch"),
    # truncated
    "jpeg cut in its scan": (lambda: media.jpeg()[:-200], IMAGE, "file_truncated"),
    "jpeg without its last byte": (lambda: media.jpeg()[:-1], IMAGE, "file_truncated"),
    "jpeg cut in its header": (lambda: media.jpeg()[:100], IMAGE, "file_truncated"),
    "jpeg of three bytes": (lambda: b"\xff\xd8\xff", IMAGE, "file_truncated"),
    "png without its end": (lambda: media.png()[:-12], IMAGE, "file_truncated"),
    "png cut in its data": (lambda: media.png()[:1000], IMAGE, "file_truncated"),
    "png of only a header": (lambda: png_header(400, 400), IMAGE, "file_truncated"),
    "gif cut in its picture": (lambda: media.gif()[:-3], IMAGE, "file_truncated"),
    "gif cut in its second picture": (lambda: media.gif(frames=2)[:-3], IMAGE, "file_truncated"),
    "webp cut": (lambda: media.webp()[:-10], IMAGE, "file_truncated"),
    "bmp cut": (lambda: media.bmp()[:-10], IMAGE, "file_truncated"),
    "tiff cut": (lambda: media.tiff(compression="raw")[:-3000], IMAGE, "file_truncated"),
    "heic cut": (lambda: media.heic()[:-10], IMAGE, "file_truncated"),
    "heic without data": (lambda: media.heic()[: -(2048 + 8)], IMAGE, "file_truncated"),
    "mp4 cut at its end": (lambda: media.mp4()[:-100], VIDEO, "file_truncated"),
    "mp4 cut in its content": (lambda: media.mp4()[:3000], VIDEO, "file_truncated"),
    "mp4, index first, cut": (lambda: media.mp4(movflags="faststart")[:-100], VIDEO, "file_truncated"),
    "mp4 without index": (lambda: without_box(media.mp4(), b"moov"), VIDEO, "file_truncated"),
    "mp4 without content": (lambda: without_box(media.mp4(), b"mdat"), VIDEO, "file_truncated"),
    "mp4 of only a signature": (lambda: FTYP, VIDEO, "file_truncated"),
    "mp4 with a box of 2^63 bytes": (lambda: FTYP + HUGE, VIDEO, "file_truncated"),
    "wav cut": (lambda: media.wav()[:-100], AUDIO, "file_truncated"),
    "wav cut after its sound": (lambda: with_notes(media.wav())[:-50], AUDIO, "file_truncated"),
    "wav without sound": (lambda: media.wav()[:36], AUDIO, "file_truncated"),
    "mp3 cut": (lambda: media.mp3()[:-5000], AUDIO, "file_truncated"),
    # damaged
    "png with a changed header": (
        lambda: media.png().replace(b"\0\0\x02\x80", b"\0\0\x02\x81", 1),
        IMAGE,
        "file_damaged",
    ),
    "jpeg without a frame": (lambda: b"\xff\xd8\xff\xda\0\x02" + bytes(50) + b"\xff\xd9", IMAGE, "file_damaged"),
    "jpeg of only an end": (lambda: b"\xff\xd8\xff\xd9", IMAGE, "file_damaged"),
    "gif without a picture": (
        lambda: b"GIF89a" + struct.pack("<HHBBB", 400, 400, 0, 0, 0) + b";",
        IMAGE,
        "file_damaged",
    ),
    "webp of another codec": (lambda: media.webp().replace(b"\x9d\x01\x2a", b"\0\0\0", 1), IMAGE, "file_damaged"),
    "heic without sides": (lambda: media.heic().replace(b"ispe", b"free"), IMAGE, "file_damaged"),
    "mp4 without a time scale": (lambda: media.mp4().replace(b"mdhd", b"free"), VIDEO, "file_damaged"),
    "mp4 with a box of 3 bytes": (lambda: FTYP + b"\0\0\0\3moov" + bytes(40), VIDEO, "file_damaged"),
    "mp4 with 12 million frames": (fragment_flood, VIDEO, "file_damaged"),
    "wav without a format": (lambda: media.wav().replace(b"fmt ", b"junk"), AUDIO, "file_damaged"),
    "wav at 0 Hz": (lambda: media.wav().replace(struct.pack("<I", 16000), bytes(4), 1), AUDIO, "file_damaged"),
    "mp3 with a hole": (lambda: media.mp3()[:9000] + bytes(9000) + media.mp3()[9000:], AUDIO, "file_damaged"),
    # expensive to read
    "ten thousand boxes": (lambda: FTYP + FREE * 10_000, VIDEO, "file_damaged"),
    "a deep index": (lambda: FTYP + media.box(b"moov", nested(5000)) + media.box(b"mdat"), VIDEO, "format_unsupported"),
    "a thousand tracks": (
        lambda: FTYP + media.box(b"moov", media.box(b"trak") * 1000) + media.box(b"mdat"),
        VIDEO,
        "file_damaged",
    ),
    "a million webp chunks": (lambda: b"RIFF\0\0\0\0WEBP" + b"JUNK\0\0\0\0" * 100_000, IMAGE, "file_damaged"),
    "a png of empty chunks": (lambda: png_header(400, 400) + b"\0\0\0\0teXt\0\0\0\0" * 100_000, IMAGE, "file_damaged"),
    # limits
    "jpeg, 299 pixels wide": (lambda: media.jpeg(299, 400), IMAGE, "dimensions_out_of_range"),
    "jpeg, 299 pixels high": (lambda: media.jpeg(400, 299), IMAGE, "dimensions_out_of_range"),
    "png, 6001 pixels": (lambda: png_header(6001, 3000), IMAGE, "dimensions_out_of_range"),
    "png, a bomb": (lambda: png_header(60_000, 60_000), IMAGE, "dimensions_out_of_range"),
    "jpeg, a bomb": (lambda: jpeg_header(60_000, 60_000), IMAGE, "dimensions_out_of_range"),
    "heic, a bomb": (lambda: media.heic(60_000, 60_000), IMAGE, "dimensions_out_of_range"),
    "gif, a bomb": (
        lambda: b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0),
        IMAGE,
        "dimensions_out_of_range",
    ),
    "jpeg without height": (lambda: jpeg_header(400, 0), IMAGE, "dimensions_out_of_range"),
    "jpeg, 3:1": (lambda: media.jpeg(1200, 400), IMAGE, "aspect_ratio_out_of_range"),
    "png, 1:3": (lambda: media.png(400, 1200), None, "aspect_ratio_out_of_range"),
    "mp4, 200 pixels": (lambda: media.mp4(width=200), VIDEO, "dimensions_out_of_range"),
    "mp4, 3:1": (lambda: media.mp4(width=960, height=320), VIDEO, "aspect_ratio_out_of_range"),
    "mp4, 1.5 s": (lambda: media.mp4(1.5), VIDEO, "duration_out_of_range"),
    "mp4, 16 s": (lambda: media.mp4(16.0), VIDEO, "duration_out_of_range"),
    "mp4 in fragments, 16 s": (
        lambda: media.mp4(16.0, movflags="frag_keyframe+empty_moov"),
        VIDEO,
        "duration_out_of_range",
    ),
    "mp4, 12 per second": (lambda: media.mp4(fps=12), VIDEO, "frame_rate_out_of_range"),
    "mp4, 90 per second": (lambda: media.mp4(fps=90), VIDEO, "frame_rate_out_of_range"),
    "wav, 1.5 s": (lambda: media.wav(1.5), AUDIO, "duration_out_of_range"),
    "wav, 16 s": (lambda: media.wav(16.0), AUDIO, "duration_out_of_range"),
    "mp3, 1.5 s": (lambda: media.mp3(1.5), AUDIO, "duration_out_of_range"),
    "mp3, 16 s": (lambda: media.mp3(16.0), None, "duration_out_of_range"),
    "mp3, a minute": (lambda: media.mp3(3.0, tags=False) * 20, AUDIO, "duration_out_of_range"),
}


@pytest.mark.timeout(30)  # fails when a hostile file keeps a reader busy
@pytest.mark.parametrize(("make", "declared", "code"), REFUSALS.values(), ids=REFUSALS)
def test_a_bad_file_is_refused_with_its_code(make: Callable[[], bytes], declared: AssetType | None, code: str) -> None:
    data = make()
    assert refused(data, declared).code == code


@pytest.mark.parametrize(
    ("size", "declared", "words"),
    [
        (30_000_000, IMAGE, ("30,000,000 bytes", "under 30 MB")),
        (31_000_000, IMAGE, ("31 MB", "under 30 MB")),
        (50_000_001, VIDEO, ("50,000,001 bytes", "at most 50 MB")),
        (15_000_001, AUDIO, ("15,000,001 bytes", "at most 15 MB")),
        (31_000_000, None, ("31 MB", "under 30 MB")),  # the type is known only from the content
        (10**12, None, ("1000000 MB", "at most 50 MB")),
    ],
)
def test_a_file_over_its_limit_is_refused_before_it_is_read(
    size: int, declared: AssetType | None, words: tuple[str, ...]
) -> None:
    found = refused(media.jpeg().ljust(5000, b"\0"), declared, size)
    assert found.code == "file_too_large"
    assert all(word in found.message for word in words)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: media.jpeg(299, 400), ("picture", "299 x 400 pixels", "300 to 6000")),
        (lambda: media.jpeg(1200, 400), ("1200 x 400", "3 times", "0.4 to 2.5")),
        (lambda: media.mp4(16.0), ("video", "16 seconds", "2 to 15 seconds")),
        (lambda: media.mp4(fps=12), ("12 frames per second", "24 to 60")),
        (lambda: media.wav(1.5), ("sound recording", "1.5 seconds", "2 to 15 seconds")),
        (lambda: b"<html>403</html>", ("web page", "JPEG", "MP4", "WAV")),
        (lambda: b"%PDF-1.7", ("PDF",)),
    ],
)
def test_the_message_has_the_found_and_the_allowed_value(make: Callable[[], bytes], words: tuple[str, ...]) -> None:
    message = refused(make(), None).message
    assert all(word in message for word in words), message


def test_a_file_shorter_than_its_declared_size_is_incomplete() -> None:
    data = media.jpeg()
    assert refused(data[:-1000], IMAGE, len(data)).code == "file_truncated"


class BrokenConnection(io.BytesIO):
    """A remote file whose connection is lost after the first read."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > 1:
            raise ConnectionResetError("the connection was lost")
        return super().read(size)


def test_a_lost_connection_is_not_an_error_of_the_file() -> None:
    data = media.png()
    with pytest.raises(ConnectionResetError):
        inspect(BrokenConnection(data), size_bytes=len(data), declared=IMAGE)
