"""Uploads to presigned forms."""

from __future__ import annotations

import email
import email.policy
import io
import traceback
from pathlib import Path
from typing import Any

import pytest

from likeness_client import Asset, Client, ConnectionFailedError, UploadError
from likeness_client.reading import read
from tests.client.conftest import API_KEY, example
from tests.client.server import CUT, Answer, Script, Seen

CONTENT = bytes(range(256)) * 4000
STORED = Answer(204, b"", None)
FIELDS = {"key": "uploads/a/b/file", "Content-Type": "image/jpeg", "policy": "a-secret-policy=="}


def asset_for(server: Script, size: int = len(CONTENT)) -> Asset:
    form = {"url": f"{server.url}/bucket?secret-part", "fields": FIELDS, "expires_at": "2026-01-02T03:19:05Z"}
    return read(Asset, example("asset_made", upload=form, size_bytes=size))


def parts_of(seen: Seen) -> dict[str, Any]:
    """Returns the form's parts by name, in order."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + seen.body, policy=email.policy.HTTP)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in message.iter_parts()
    }


@pytest.mark.parametrize("way", ["path", "text", "open file"])
def test_the_fields_come_first_and_the_file_last(server: Script, client: Client, tmp_path: Path, way: str) -> None:
    file = tmp_path / "alice.jpg"
    file.write_bytes(CONTENT)
    server.then(STORED)
    if way == "open file":
        with file.open("rb") as opened:
            client.upload(asset_for(server), opened)
    else:
        client.upload(asset_for(server), str(file) if way == "text" else file)
    (seen,) = server.seen
    parts = parts_of(seen)
    assert list(parts) == [*FIELDS, "file"]
    assert {name: parts[name].decode() for name in FIELDS} == FIELDS
    assert parts["file"] == CONTENT
    assert int(seen.headers["content-length"]) == len(seen.body)
    assert "transfer-encoding" not in seen.headers
    assert "x-api-key" not in seen.headers
    assert b"alice" not in seen.body


class Watched(io.BytesIO):
    """A file that records the size of its largest read."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.largest = max(self.largest, len(self.getbuffer()) if size is None or size < 0 else size)
        return super().read(size)


def test_a_file_is_read_in_blocks_and_its_progress_is_reported(server: Script, client: Client) -> None:
    server.then(STORED)
    file, progress = Watched(CONTENT), []
    client.upload(asset_for(server), file, lambda sent, total: progress.append((sent, total)))
    assert file.largest <= 65_536
    assert {total for _, total in progress} == {len(CONTENT)}
    sent = [each for each, _ in progress]
    assert sent == sorted(set(sent))
    assert len(sent) > 10
    assert sent[-1] == len(CONTENT)


def test_bytes_that_were_already_read_are_not_sent(server: Script, client: Client) -> None:
    server.then(STORED)
    file = io.BytesIO(b"head" + CONTENT)
    file.seek(4)
    client.upload(asset_for(server), file)
    assert parts_of(server.seen[0])["file"] == CONTENT


def test_a_size_that_differs_from_the_registered_one_is_refused_before_sending(server: Script, client: Client) -> None:
    with pytest.raises(ValueError, match="the file has 5 bytes, but 1024000 were registered"):
        client.upload(asset_for(server), io.BytesIO(b"12345"))
    assert not server.seen


class Shrinking(io.BytesIO):
    """A file that becomes shorter while it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size) if self.tell() < 100_000 else b""


def test_a_file_that_becomes_shorter_during_the_upload_is_reported(server: Script, client: Client) -> None:
    with pytest.raises(ValueError, match="the file ended after"):
        client.upload(asset_for(server), Shrinking(CONTENT))


def test_an_asset_without_a_form_is_reported(client: Client) -> None:
    asset = read(Asset, example("asset_active"))
    with pytest.raises(ValueError, match="has no form"):
        client.upload(asset, io.BytesIO(b""))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(400, b"<Error><Code>EntityTooLarge</Code></Error>", "application/xml"), "EntityTooLarge"),
        (Answer(403, b"no", "text/plain"), None),
        (Answer(307, b"", None, {"Location": "/elsewhere"}), None),
    ],
)
def test_a_refusal_of_the_storage_is_reported_and_not_repeated(
    server: Script, client: Client, answer: Answer, code: str | None
) -> None:
    server.then(answer)
    with pytest.raises(UploadError) as caught:
        client.upload(asset_for(server), io.BytesIO(CONTENT))
    assert (caught.value.status, caught.value.code) == (answer.status, code)
    assert len(server.seen) == 1


def test_an_interrupted_upload_shows_neither_the_form_nor_the_key(server: Script, client: Client) -> None:
    server.then(CUT)
    with pytest.raises(ConnectionFailedError) as caught:
        client.upload(asset_for(server), io.BytesIO(CONTENT))
    shown = "".join(traceback.format_exception(caught.value))
    assert not [each for each in ("secret-part", FIELDS["policy"], API_KEY) if each in shown]
    assert len(server.seen) == 1
