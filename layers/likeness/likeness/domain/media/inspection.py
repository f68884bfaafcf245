"""Detects a file's type and checks whether it can become an asset."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from likeness.domain.media import audio, images, iso_bmff
from likeness.domain.media.limits import MAX_PIXELS, MIN_RATE, NOUNS, RATE_TOLERANCE, check, check_size
from likeness.domain.media.movie import movie
from likeness.domain.media.source import Source
from likeness.domain.media.types import CONTENT_TYPES, AssetType, MediaFacts, MediaRefused, damaged

_HEAD_BYTES = 4096

_PICTURES: dict[str, Callable[[Source], tuple[int, int]]] = {
    "image/jpeg": images.jpeg,
    "image/png": images.png,
    "image/gif": images.gif,
    "image/bmp": images.bmp,
    "image/webp": images.webp,
    "image/tiff": images.tiff,
    "image/heic": iso_bmff.heif,
    "image/heif": iso_bmff.heif,
}

_ACCEPTED = {
    AssetType.IMAGE: "JPEG, PNG, WebP, BMP, TIFF, GIF or HEIC",
    AssetType.VIDEO: "MP4 or MOV",
    AssetType.AUDIO: "MP3 or WAV",
}

# Signatures of other formats, with a name for those that people send by mistake. Such files may contain MP3 frames, so
# only files without any of these signatures are searched for sound.
_KNOWN_OTHERS = (
    (b"%PDF", "a PDF file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\x1a\x45\xdf\xa3", "a WebM or Matroska video"),
    (b"RIFF", None),
    (b"RF64", "an RF64 recording"),
    (b"BW64", "a BW64 recording"),
    (b"RIFX", "a RIFX recording"),
    (b"FORM", "an AIFF recording"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC recording"),
    (b"caff", "a CAF recording"),
    (b"\x30\x26\xb2\x75", "a Windows Media file"),
    (b"\0\0\1\xba", "an MPEG program stream"),
    (b"\0\0\1\xb3", "an MPEG video"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"FLV", "a Flash video"),
    (b"#!AMR", "an AMR recording"),
    (b"8BPS", "a Photoshop file"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"MZ", None),
    (b"\x7fELF", None),
)
_OTHER_MARKS = tuple(mark for mark, _ in _KNOWN_OTHERS)
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})


def inspect(
    file: BinaryIO,
    *,
    size_bytes: int,
    declared: AssetType | None,
    min_pixels: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> MediaFacts:
    """The facts about ``file`` (seekable, ``size_bytes`` long) if it satisfies every published limit of its type.

    ``declared`` is the type from the registration, None without one. ``min_pixels`` and ``max_pixels`` are
    the deployment's bounds for a clip's width times height. Raises MediaRefused with one of the codes empty_file,
    file_too_large, format_unsupported, type_mismatch, file_truncated, file_damaged, dimensions_out_of_range,
    aspect_ratio_out_of_range, duration_out_of_range, frame_rate_out_of_range. Errors of the file object itself (a lost
    connection) are not caught, so that callers can retry. Reads headers, indexes and ends; reads a whole file only
    when it is a GIF, or a picture with its end marker in an unexpected place.
    """
    check_size(size_bytes, declared)
    source = Source(file, size_bytes)
    try:
        return check(_inspect(source, declared), min_pixels, max_pixels)
    except (struct.error, ArithmeticError, LookupError) as exc:
        raise damaged() from exc


def _inspect(source: Source, declared: AssetType | None) -> MediaFacts:
    head = source.head(_HEAD_BYTES)
    content_type, mp3_start = _content_type(head), None
    if content_type is None and not _is_known_other(head):
        mp3_start = audio.first_mp3_frame(source)
        content_type = "audio/mpeg" if mp3_start is not None else None
    if content_type is None:
        raise _unsupported(head, declared)
    kind = CONTENT_TYPES[content_type]
    if declared is not None and kind is not declared:
        raise MediaRefused(
            "type_mismatch",
            f"A {NOUNS[declared]} was expected but this file is a {NOUNS[kind]}; please send {_ACCEPTED[declared]}.",
        )
    check_size(source.size, kind)
    width = height = seconds = rate = None
    if kind is AssetType.IMAGE:
        width, height = _PICTURES[content_type](source)
    elif kind is AssetType.VIDEO:
        found = movie(source)
        width, height, seconds, rate = found.width, found.height, found.seconds, found.frames_per_second
        if rate < MIN_RATE - RATE_TOLERANCE:
            rate = found.steady_rate
    elif mp3_start is not None:
        seconds = audio.mp3_seconds(source, mp3_start)
    else:
        seconds = audio.wav_seconds(source)
    return MediaFacts(kind, content_type, source.size, width, height, seconds, rate)


def _content_type(head: bytes) -> str | None:
    """The content type by a file's first bytes, for all formats but MP3, which has no signature."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    # CR2 raw pictures are TIFF files with their own signature at byte 8.
    if head.startswith((b"II*\0", b"MM\0*")) and head[8:10] != b"CR":
        return "image/tiff"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    # Two letters are not enough: the length of the second header is checked too.
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    return iso_bmff.content_type(head)


def _is_known_other(head: bytes) -> bool:
    markup = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return head.startswith(_OTHER_MARKS) or head[4:8] == b"ftyp" or head[257:262] == b"ustar" or markup


def _unsupported(head: bytes, declared: AssetType | None) -> MediaRefused:
    found = next((name for mark, name in _KNOWN_OTHERS if head.startswith(mark)), None)
    text = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        found = "an SVG drawing"
    elif text.startswith((b"<!doctype html", b"<html")):
        found = "a web page"
    elif head[4:8] == b"ftyp":
        found = {b"avif": "an AVIF picture", b"avis": "an AVIF picture", b"M4A ": "an M4A recording"}.get(head[8:12])
    wanted = _ACCEPTED[declared] if declared else ", ".join(_ACCEPTED.values())
    subject = f"This is {found}, which can't be used" if found else "This kind of file can't be used"
    return MediaRefused("format_unsupported", f"{subject}; please send {wanted}.")
