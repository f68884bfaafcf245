"""The upload bucket on S3."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, NotRequired, TypedDict, cast

from likeness.adapters.aws import translated
from likeness.domain.asset import PREVIEW_SECONDS, SLOT_SECONDS
from likeness.domain.files import FoundFile, UploadForm

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

UPLOAD_FORM_SECONDS = SLOT_SECONDS
#: crun fetches a file some time after its submission. The credentials that sign the URL are valid at least this long.
DOWNLOAD_URL_SECONDS = 900
_BLOCK = 256 * 1024


class _Target(TypedDict):
    """An object or one of its versions, as parameters of S3's API."""

    Bucket: str
    Key: str
    VersionId: NotRequired[str]


class S3Files:
    """The port ``Files`` on bucket ``bucket``."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def upload_form(self, key: str, content_type: str, size_bytes: int, now: float) -> UploadForm:
        """See the port. The policy allows only this key, type and size."""
        post = self._client.generate_presigned_post(
            self._bucket,
            key,
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", size_bytes, size_bytes]],
            ExpiresIn=UPLOAD_FORM_SECONDS,
        )
        return UploadForm(post["url"], post["fields"], now + UPLOAD_FORM_SECONDS)

    def download_url(self, key: str, version_id: str | None) -> str:
        """See the port."""
        target = self._target(key, version_id)
        return self._client.generate_presigned_url("get_object", {**target}, ExpiresIn=DOWNLOAD_URL_SECONDS)

    def preview_url(self, key: str, version_id: str | None, content_type: str) -> str:
        """See the port."""
        shown = {"ResponseContentType": content_type, "ResponseContentDisposition": 'inline; filename="preview"'}
        target = self._target(key, version_id)
        return self._client.generate_presigned_url("get_object", {**target, **shown}, ExpiresIn=PREVIEW_SECONDS)

    def put(self, key: str, content_type: str, content: bytes) -> str | None:
        """See the port."""
        with translated():
            made = self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type)
        return made.get("VersionId")

    def erase(self, prefix: str) -> None:
        """See the port."""
        with translated():
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    self.delete(found["Key"], found["VersionId"])

    def delete(self, key: str, version_id: str | None) -> None:
        """See the port."""
        target = self._target(key, version_id)
        with translated():
            self._client.delete_object(**target)

    def find(self, key: str) -> FoundFile | None:
        """See the port. Lists versions, because without s3:ListBucket HeadObject returns 403 instead of 404."""
        with translated():
            page = self._client.list_object_versions(Bucket=self._bucket, Prefix=key, MaxKeys=10)
        newest = next((each for each in page.get("Versions", ()) if each["Key"] == key and each["IsLatest"]), None)
        if newest is None:
            return None
        return FoundFile(newest["VersionId"], newest["Size"], newest["LastModified"].timestamp())

    def keeps(self, key: str, version_id: str | None) -> bool:
        """See the port. Lists versions, as ``find`` does."""
        with translated():
            page = self._client.list_object_versions(Bucket=self._bucket, Prefix=key)
        versions = [each for each in page.get("Versions", ()) if each["Key"] == key]
        return any(each["VersionId"] == version_id if version_id else each["IsLatest"] for each in versions)

    def open(self, key: str, version_id: str | None, size_bytes: int) -> BinaryIO:
        """See the port."""
        return cast("BinaryIO", _RangedObject(self._client, self._target(key, version_id), size_bytes))

    def _target(self, key: str, version_id: str | None) -> _Target:
        """Returns the parameters for a version of an object, the newest for None."""
        if version_id:
            return {"Bucket": self._bucket, "Key": key, "VersionId": version_id}
        return {"Bucket": self._bucket, "Key": key}


class _RangedObject(io.RawIOBase):
    """One object version as a file. Reads fetch whole blocks and cache the last few."""

    _KEPT_BLOCKS = 8

    def __init__(self, client: S3Client, target: _Target, size: int) -> None:
        super().__init__()
        self._client, self._target, self._size = client, target, size
        self._position = 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._size, self._position + size)
        if end - self._position > self._KEPT_BLOCKS * _BLOCK:
            data = self._fetch(self._position, end)
        else:
            data = b"".join(self._block(index) for index in range(self._position // _BLOCK, -(-end // _BLOCK)))
            start = self._position % _BLOCK
            data = data[start : start + max(0, end - self._position)]
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _block(self, index: int) -> bytes:
        if index not in self._blocks:
            while len(self._blocks) >= self._KEPT_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[index] = self._fetch(index * _BLOCK, min(self._size, (index + 1) * _BLOCK))
        return self._blocks[index]

    def _fetch(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        with translated():
            answer = self._client.get_object(**self._target, Range=f"bytes={start}-{end - 1}")
            return bytes(answer["Body"].read())
