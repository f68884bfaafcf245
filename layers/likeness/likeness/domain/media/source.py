"""Bounded reading of a file that nobody trusts, and the chunk walk that WebP and WAV share."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from likeness.domain.media.types import damaged, truncated

#: One read is at most this long, whatever length a header claims.
MAX_READ = 1 << 20
#: Reads per inspection: the largest honest files need some thousands (a 30 MB PNG with 4 KiB chunks: 7,300).
MAX_READS = 40_000


class Source:
    """A seekable file of ``size`` bytes, read by position.

    Reading past the end raises MediaRefused ``file_truncated``; more than MAX_READS reads or a read of more than
    MAX_READ bytes raises ``file_damaged``, so no header can make an inspection expensive. Errors of the file object
    itself (a lost connection) pass through unchanged: they say nothing about the file.
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
        """The first ``length`` bytes, or as many as there are."""
        return self.read(0, min(length, self.size))

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        """``struct.unpack`` of the bytes at ``offset``."""
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def find(self, needle: bytes, start: int) -> int:
        """Where ``needle`` stands at or after ``start``; -1 when it does not. Looks at the file's end first.

        For marks that normally end a file: one block is read then, everything only when the mark is missing or
        something long was appended.
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

    More than MAX_LOOKS of them raise ``file_damaged``: a GIF of 30 MB in pieces of 255 bytes takes 118,000.
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
    """A RIFF chunk: its four-character ``kind``, where its payload starts, and the length its header claims."""

    kind: bytes
    start: int
    length: int


MAX_CHUNKS = 1000


def riff_chunks(source: Source) -> Iterator[Chunk]:
    """The top-level chunks of a RIFF file, in order; a chunk may claim more than is there. Ends at the file's end."""
    offset = 12
    for _ in range(MAX_CHUNKS):
        if offset + 8 > source.size:
            return
        kind, length = source.unpack("<4sI", offset)
        yield Chunk(kind, offset + 8, length)
        offset += 8 + length + length % 2  # chunks are padded to an even length
    raise damaged()
