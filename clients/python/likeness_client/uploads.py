"""Streams a file to a presigned POST, without reading all of it into memory."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from typing import BinaryIO

import requests

from likeness_client.errors import ConnectionFailedError, UploadError
from likeness_client.models import UploadForm

Progress = Callable[[int, int], None]


class MultipartFile:
    """The body of a presigned POST: the form's fields, then the file. Read in blocks, with a known length.

    ``size`` bytes are read from ``file``'s current position. Reading raises ValueError when there are fewer.
    """

    def __init__(self, form: UploadForm, file: BinaryIO, size: int, on_progress: Progress | None) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in form.fields.items()
        ]
        # The file's own name is not sent: S3 stores the object under the form's key.
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n')
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file, self._size, self._sent = file, size, 0
        self._length = len(self._head) + size + len(self._tail)
        self._on_progress = on_progress

    def __len__(self) -> int:
        return self._length

    def read(self, limit: int = 65_536) -> bytes:
        """Returns the next bytes, at most ``limit``; empty at the end."""
        if self._head:
            block, self._head = self._head[:limit], self._head[limit:]
            return block
        if self._sent < self._size:
            return self._read_file(limit)
        block, self._tail = self._tail[:limit], self._tail[limit:]
        return block

    def _read_file(self, limit: int) -> bytes:
        block = self._file.read(min(limit, self._size - self._sent))
        if not block:
            raise ValueError(f"the file ended after {self._sent} of {self._size} bytes")
        self._sent += len(block)
        if self._on_progress:
            self._on_progress(self._sent, self._size)
        return block


def send_file(
    http: requests.Session,
    form: UploadForm,
    file: BinaryIO,
    size_bytes: int,
    timeout: tuple[float, float],
    on_progress: Progress | None,
) -> None:
    """Sends ``file`` from its current position, once, without retries.

    Raises ValueError, before it sends anything, unless the rest has ``size_bytes``; UploadError when it is refused.
    """
    size = _size(file)
    if size != size_bytes:
        raise ValueError(f"the file has {size} bytes, but {size_bytes} were registered")
    body = MultipartFile(form, file, size, on_progress)
    headers = {"Content-Type": body.content_type}
    try:
        answer = http.post(form.url, data=body, headers=headers, timeout=timeout, allow_redirects=False)
    except requests.RequestException as exc:
        # The original error would show the presigned URL.
        raise ConnectionFailedError(f"the upload: {type(exc).__name__}") from None
    if not 200 <= answer.status_code < 300:
        code = re.search(r"<Code>(\w{1,64})</Code>", answer.text)
        raise UploadError(answer.status_code, code and code[1])


def _size(file: BinaryIO) -> int:
    position = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(position)
    return end - position
