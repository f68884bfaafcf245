"""How long a sound lasts."""

from __future__ import annotations

import struct
from typing import BinaryIO

from tinytag import TinyTag

from likeness.domain.media.types import MediaRefused

_MOST_CHUNKS = 1000


def wav_seconds(file: BinaryIO, size: int) -> float:
    """The duration of a RIFF/WAVE file from its ``fmt`` and ``data`` chunks."""
    position, bytes_per_second = 12, 0
    for _ in range(_MOST_CHUNKS):
        if position + 8 > size:
            break
        file.seek(position)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind == b"fmt ":
            bytes_per_second = struct.unpack("<I", file.read(16)[8:12])[0]
        elif kind == b"data":
            if position + 8 + length > size:
                raise MediaRefused("file_truncated", "The recording is not complete; please upload it again.")
            if bytes_per_second:
                return float(length / bytes_per_second)
        position += 8 + length + length % 2
    raise MediaRefused("file_damaged", "The recording cannot be read; please choose another one.")


def mp3_seconds(file: BinaryIO) -> float:
    """The duration of an MP3 file by its frames."""
    file.seek(0)
    found = TinyTag.get(filename="voice.mp3", file_obj=file, tags=False, image=False)
    if not found.duration:
        raise MediaRefused("file_damaged", "The recording cannot be read; please choose another one.")
    return float(found.duration)
