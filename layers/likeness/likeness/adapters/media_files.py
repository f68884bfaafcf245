"""The media of generations: from crun's links, which expire, into the upload bucket."""

from __future__ import annotations

import hashlib
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from likeness.adapters.aws import translated
from likeness.adapters.files import S3Files
from likeness.domain.generation import SavedMedia
from likeness.domain.media.results import HEAD_BYTES, RESULT_EXTENSIONS, result_type

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from likeness.adapters.http.downloads import HttpDownloads

#: How long the URL of a reader is valid, at most: the credentials that sign it may expire earlier.
MEDIA_URL_SECONDS = 3600


class S3MediaFiles(S3Files):
    """The port ``MediaFiles`` on bucket ``bucket``. ``downloads`` is needed only where files are saved."""

    def __init__(self, client: S3Client, bucket: str, downloads: HttpDownloads | None = None) -> None:
        super().__init__(client, bucket)
        self._downloads = downloads

    def save(self, url: str, key: str, limit_bytes: int, seconds: float) -> SavedMedia:
        """See the port. The file is complete on the disk before it is stored, so that no part of one is ever stored."""
        if self._downloads is None:
            raise TypeError("these media are only read")
        with TemporaryFile() as file:
            watched = _Watched(cast("BinaryIO", file))
            outcome = self._downloads.write(url, cast("BinaryIO", watched), limit_bytes, seconds)
            if outcome.problem:
                return SavedMedia(problem=outcome.problem, retryable=outcome.retryable)
            content_type = result_type(watched.head)
            if content_type is None:
                return SavedMedia(problem="format_unsupported")
            stored = f"{key}.{RESULT_EXTENSIONS[content_type]}"
            file.seek(0)
            with translated():
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=stored,
                    Body=file,
                    ContentType=content_type,
                    ContentLength=watched.size_bytes,
                )
        return SavedMedia(stored, content_type, watched.size_bytes, watched.digest.hexdigest())

    def url(self, key: str, content_type: str) -> str:
        """See the port. The file name is the last part of the key."""
        shown = {
            "ResponseContentType": content_type,
            "ResponseContentDisposition": f'inline; filename="{key.rpartition("/")[2]}"',
        }
        target = self._target(key, None)
        return self._client.generate_presigned_url("get_object", {**target, **shown}, ExpiresIn=MEDIA_URL_SECONDS)


class _Watched:
    """A file that keeps the digest, the size and the first bytes of what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest, self.size_bytes, self.head = hashlib.sha256(), 0, b""

    def write(self, chunk: bytes) -> int:
        self.digest.update(chunk)
        self.size_bytes += len(chunk)
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        return self._file.write(chunk)
