"""Bounded reading of untrusted files, and the RIFF chunks of WebP and WAV."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from likeness.domain.media.types import damaged, truncated

#: The maximum length of a read, regardless of the length in a header.
MAX_READ = 1 << 20
#: The maximum number of reads per inspection: the largest valid files need some thousands (a 30 MB PNG with 4 KiB
#: chunks: 7,300).
MAX_READS = 40_000


class Source:
    """A seekable file of ``size`` bytes, read by position.

    Reading past the end raises MediaRefused ``file_truncated``; more than MAX_READS reads or a read of more than
    MAX_READ bytes raises ``file_damaged``, so no header can make an inspection expensive. Errors of the file object
    itself (a lost connection) are not caught: they are not problems of the file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._reads = 0
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``."""
        if offset < 0 or not 0 <= length <= MAX_READ or self._reads >= MAX_READS:
            raise damaged()
        if offset + length > self.size:
            raise truncated()
        self._reads += 1
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise truncated()
        return data

    def head(self, length: int) -> bytes:
        """The first ``length`` bytes, or the whole file if it is shorter."""
        return self.read(0, min(length, self.size))

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        """``struct.unpack`` of the bytes at ``offset``."""
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def find(self, needle: bytes, start: int) -> int:
        """The position of ``needle`` at or after ``start``, or -1. Searches the file's end first.

        For markers that normally end a file: then only one block is read, and the whole file only when the marker is
        missing or much data was appended.
        """
        block = 1 << 16
        tail = max(start, self.size - block)
        if (at := self.read(tail, self.size - tail).find(needle)) >= 0:
            return tail + at
        for offset in range(start, tail, block):
            length = min(block + len(needle) - 1, self.size - offset)
            if (at := self.read(offset, length).find(needle)) >= 0:
                return offset + at
        return -1


class Window:
    """Single bytes of a file from blocks of 64 KiB, for formats that are chains of short pieces.

    More than MAX_LOOKS reads raise ``file_damaged``: a GIF of 30 MB in pieces of 255 bytes needs 118,000.
    """

    MAX_LOOKS = 600_000

    def __init__(self, source: Source) -> None:
        self._source = source
        self._start = 0
        self._block = b""
        self._looks = 0

    def byte(self, offset: int) -> int:
        """The byte at ``offset``; ``file_truncated`` when the file ends before it."""
        self._looks += 1
        if self._looks > self.MAX_LOOKS:
            raise damaged()
        if offset >= self._source.size:
            raise truncated()
        at = offset - self._start
        if not 0 <= at < len(self._block):
            self._block = self._source.read(offset, min(1 << 16, self._source.size - offset))
            self._start, at = offset, 0
        return self._block[at]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A RIFF chunk: its four-character ``kind``, the start of its payload, and the length in its header."""

    kind: bytes
    start: int
    length: int


MAX_CHUNKS = 1000


def riff_chunks(source: Source) -> Iterator[Chunk]:
    """The top-level chunks of a RIFF file, in order. The length of a chunk may exceed the file."""
    offset = 12
    for _ in range(MAX_CHUNKS):
        if offset + 8 > source.size:
            return
        kind, length = source.unpack("<4sI", offset)
        yield Chunk(kind, offset + 8, length)
        offset += 8 + length + length % 2  # chunks are padded to an even length
    raise damaged()
