"""Streams a file of a generation to disk, and checks its digest."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import BinaryIO

import requests

from likeness_client.errors import ConnectionFailedError, DownloadError, LikenessError
from likeness_client.models import Media
from likeness_client.transport import Retry
from likeness_client.uploads import Progress

_BLOCK = 65_536
_LARGEST_ERROR = 4_096


class _StorageBusyError(DownloadError):
    """When the storage returns a 5xx."""

    @property
    def is_passing(self) -> bool:
        """True."""
        return True


@dataclass
class _File:
    """The part of a file that has arrived, with its digest."""

    file: BinaryIO
    wanted: Media
    on_progress: Progress | None
    size: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def restart(self) -> None:
        """Discards everything."""
        self.file.seek(0)
        self.file.truncate()
        self.size, self.digest = 0, hashlib.sha256()

    def add(self, block: bytes) -> None:
        """Appends a block. Raises DownloadError when that is more than the size of the file."""
        self.size += len(block)
        if self.size > self.wanted.size_bytes:
            raise DownloadError("wrong_content")
        self.file.write(block)
        self.digest.update(block)
        if self.on_progress:
            self.on_progress(self.size, self.wanted.size_bytes)

    def check(self) -> None:
        """Raises ConnectionFailedError when a part is missing, and DownloadError when the digest differs."""
        if self.size < self.wanted.size_bytes:
            raise ConnectionFailedError("the download: the connection was closed too early")
        if self.digest.hexdigest() != self.wanted.sha256:
            raise DownloadError("wrong_content")


class Downloader:
    """Downloads files with one HTTP session: at most ``retry.attempts`` requests for each, which continue each other.

    ``timeout`` are the seconds to connect and to wait for the next bytes.
    """

    def __init__(self, http: requests.Session, timeout: tuple[float, float], retry: Retry) -> None:
        self._http, self._timeout, self._retry = http, timeout, retry

    def save(
        self, media: Media, path: Path, seconds: float, on_progress: Progress | None, renewed: Callable[[], Media]
    ) -> None:
        """Saves a file at ``path``, which exists only when it is complete and matches its digest.

        ``renewed`` returns the file with a new URL; it is called once, when the storage refuses the URL. Raises
        DownloadError and ConnectionFailedError, and what ``renewed`` raises.
        """
        deadline = time.monotonic() + seconds
        partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.part")
        try:
            with partial.open("xb") as opened:
                self._fetch(media, _File(opened, media, on_progress), deadline, renewed)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _fetch(self, media: Media, file: _File, deadline: float, renewed: Callable[[], Media]) -> None:
        url, fresh = media.url, False
        for tried in count(1):
            try:
                self._continue(url, file, deadline)
                return
            except LikenessError as error:
                expired = isinstance(error, DownloadError) and error.status == 403 and not fresh
                if tried >= self._retry.attempts or not (expired or error.is_passing):
                    raise
                if expired:
                    url, fresh = renewed().url, True
                    continue
                pause = self._retry.pause(tried, None)
            time.sleep(max(min(pause, deadline - time.monotonic()), 0.0))

    def _continue(self, url: str, file: _File, deadline: float) -> None:
        """Requests the part that is missing, once."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={file.size}-"} if file.size else {})
        try:
            with self._http.get(
                url, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as answer:
                if answer.status_code not in (200, 206):
                    raise _refusal(answer)
                if answer.status_code == 200:
                    file.restart()
                for block in answer.iter_content(_BLOCK):
                    file.add(block)
                    if time.monotonic() > deadline:
                        raise DownloadError("timed_out")
        except requests.RequestException as exc:
            # The original error would show the presigned URL.
            raise ConnectionFailedError(f"the download: {type(exc).__name__}") from None
        file.check()


def _refusal(answer: requests.Response) -> DownloadError:
    """Returns the error for the storage's refusal, with the code of its document."""
    start = next(answer.iter_content(_LARGEST_ERROR), b"")
    code = re.search(rb"<Code>(\w{1,64})</Code>", start)
    kind = _StorageBusyError if answer.status_code >= 500 else DownloadError
    return kind(code[1].decode() if code else f"http_{answer.status_code}", answer.status_code)
