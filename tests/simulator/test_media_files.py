"""Media of generations, from a server on loopback into moto's bucket: type, digest, limits, addresses, and URLs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto import mock_aws

from likeness.adapters.aws import make_media_client
from likeness.adapters.http.downloads import HttpDownloads
from likeness.adapters.media_files import MEDIA_URL_SECONDS, S3MediaFiles
from likeness.domain.generation import SavedMedia
from likeness.domain.media.results import result_type
from likeness.errors import StorageUnavailable
from tests.aws import isolated_aws_environment
from tests.untrusted_hosts import drip, speaking

LIMIT, SECONDS = 100_000, 10.0
MP4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(range(256)) * 100
Serve = Callable[[str, bytes], str]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    with isolated_aws_environment(), mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="uploads")
        client.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
        yield client


def files(*, loopback: bool = True) -> S3MediaFiles:
    return S3MediaFiles(make_media_client(), "uploads", HttpDownloads(loopback=loopback, read_timeout=2.0))


def test_a_film_is_stored_with_its_type_and_digest(bucket: Any, serve: Serve) -> None:
    saved = files().save(serve("film", MP4), "generations/g1/1", LIMIT, SECONDS)
    assert saved == SavedMedia("generations/g1/1.mp4", "video/mp4", len(MP4), hashlib.sha256(MP4).hexdigest())
    stored = bucket.get_object(Bucket="uploads", Key=saved.key)
    assert (stored["Body"].read(), stored["ContentType"]) == (MP4, "video/mp4")


def test_the_same_key_is_replaced(bucket: Any, serve: Serve) -> None:
    media = files()
    media.save(serve("a", MP4), "generations/g2/1", LIMIT, SECONDS)
    media.save(serve("b", MP4 + b"more"), "generations/g2/1", LIMIT, SECONDS)
    assert bucket.get_object(Bucket="uploads", Key="generations/g2/1.mp4")["ContentLength"] == len(MP4) + 4


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (MP4, "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video/quicktime"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", "video/webm"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x88matroska", None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", None),
        (b'{"code": 403}', None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_the_first_bytes_decide_the_type(head: bytes, content_type: str | None) -> None:
    assert result_type(head) == content_type


def test_a_page_in_place_of_a_film_is_not_stored(bucket: Any, serve: Serve) -> None:
    saved = files().save(serve("page", b"<html>expired</html>"), "generations/g3/1", LIMIT, SECONDS)
    assert saved == SavedMedia(problem="format_unsupported")
    assert "Contents" not in bucket.list_objects_v2(Bucket="uploads", Prefix="generations/g3/")


def test_a_film_that_is_too_large_is_not_stored(bucket: Any, serve: Serve) -> None:
    url = serve("large", MP4)
    assert files().save(url, "generations/g4/1", len(MP4) - 1, SECONDS) == SavedMedia(problem="too_large")
    assert files().save(url, "generations/g4/1", len(MP4), SECONDS).problem is None


def test_a_dead_link_is_final_and_a_server_error_is_not(bucket: Any) -> None:
    for status, retryable in ((403, False), (404, False), (410, False), (500, True), (503, True), (429, True)):
        answer = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
        with speaking(lambda connection, answer=answer: connection.sendall(answer)) as port:  # type: ignore[misc]
            saved = files().save(f"http://127.0.0.1:{port}/x", "generations/g5/1", LIMIT, SECONDS)
        assert saved == SavedMedia(problem="status", retryable=retryable)


def test_a_slow_server_is_cut_off(bucket: Any) -> None:
    with speaking(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")) as port:
        saved = files().save(f"http://127.0.0.1:{port}/x", "generations/g6/1", LIMIT, 0.5)
    assert saved == SavedMedia(problem="timeout", retryable=True)


def test_a_redirect_to_a_private_address_is_refused(bucket: Any) -> None:
    answer = b"HTTP/1.1 302 F\r\nLocation: http://10.0.0.1/latest\r\nContent-Length: 0\r\n\r\n"
    with speaking(lambda connection: connection.sendall(answer)) as port:
        saved = files().save(f"http://127.0.0.1:{port}/x", "generations/g7/1", LIMIT, SECONDS)
    assert saved == SavedMedia(problem="private_address")
    assert files(loopback=False).save("http://127.0.0.1:9/x", "g/1", LIMIT, SECONDS).problem == "private_address"


def test_a_bucket_that_does_not_answer_is_our_problem(bucket: Any, serve: Serve) -> None:
    media = S3MediaFiles(make_media_client(), "no-such-bucket", HttpDownloads(loopback=True))
    with pytest.raises(StorageUnavailable):
        media.save(serve("film2", MP4), "generations/g8/1", LIMIT, SECONDS)


def test_a_full_disk_is_not_the_server_s_problem(serve: Serve) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        HttpDownloads(loopback=True).write(serve("film3", MP4), Full(), LIMIT, SECONDS)


def test_a_reader_gets_an_hour_with_a_fixed_name_and_type(bucket: Any) -> None:
    url = S3MediaFiles(make_media_client(), "uploads").url("generations/g9/1.mp4", "video/mp4")
    query = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
    assert query["response-content-type"] == "video/mp4"
    assert query["response-content-disposition"] == 'inline; filename="1.mp4"'
    assert query["X-Amz-Expires"] == str(MEDIA_URL_SECONDS) == "3600"


def test_an_erasure_deletes_every_version_under_the_prefix(bucket: Any, serve: Serve) -> None:
    media = files()
    for name in ("generations/g10/1", "generations/g10/1", "generations/g11/1"):
        media.save(serve("film4", MP4), name, LIMIT, SECONDS)
    media.erase("generations/g10/")
    assert "Versions" not in bucket.list_object_versions(Bucket="uploads", Prefix="generations/g10/")
    assert "Versions" in bucket.list_object_versions(Bucket="uploads", Prefix="generations/g11/")
