"""Uploaded assets: downloaded, checked by content, and reported in every known shape."""

import io
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from PIL import Image

from local import media
from local.simulator import AssetOutcome, SimulatorSettings
from local.simulator.assets import settle_seconds
from local.simulator.faces import has_face
from tests.media import jpeg
from tests.simulator.conftest import Crun

Serve = Callable[[str, bytes], str]


def picture(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Media of alice, and a picture of bob."""
    return {
        "a.jpg": media.portrait("alice", 400, 500),
        "a.png": media.portrait("alice", 400, 500, "PNG"),
        "a.mp4": media.clip("alice", 2, 320, 400),
        "a.wav": media.voice("alice", 2),
        "b.jpg": media.portrait("bob", 400, 500),
        "long.wav": media.voice("alice", 16),
        "short.wav": media.voice("alice", 1),
        "long.mp4": media.clip("alice", 16, 300, 300, 24),
        "small.jpg": media.portrait("alice", 299, 400),
        "wide.png": media.portrait("alice", 900, 300, "PNG"),
        "page.jpg": b"<!doctype html><html></html>",
        "empty.jpg": b"",
        "two.jpg": media.portrait("alice", 400, 500) + b"likeness-person:bob;",
        "plain.jpg": media.portrait("alice", 400, 500).replace(b"likeness-person:", b"just-somebody---"),
        "wall.png": picture(Image.new("RGB", (400, 500), "#e3b08c"), "PNG"),
        "wall.jpg": picture(Image.effect_noise((400, 500), 90), "JPEG"),
    }


@pytest.mark.parametrize(
    ("file", "kind", "code"),
    [
        ("a.jpg", "Image", None),
        ("a.png", "Image", None),
        ("a.mp4", "Video", None),
        ("a.wav", "Audio", None),
        ("plain.jpg", "Image", None),
        ("wall.png", "Image", "FaceMismatch"),
        ("wall.jpg", "Image", "FaceMismatch"),
        ("b.jpg", "Image", "FaceMismatch"),
        ("two.jpg", "Image", "MultipleFaces"),
        ("a.jpg", "Video", "FormatUnsupported"),
        ("page.jpg", "Image", "FormatUnsupported"),
        ("empty.jpg", "Image", "FormatUnsupported"),
        ("long.wav", "Audio", "DurationTooLong"),
        ("short.wav", "Audio", "DurationTooShort"),
        ("long.mp4", "Video", "DurationTooLong"),
        ("small.jpg", "Image", "ImageSizeInvalid"),
        ("wide.png", "Image", "ImageSizeInvalid"),
    ],
)
def test_content_decides(
    crun: Crun, serve: Serve, files: dict[str, bytes], file: str, kind: str, code: str | None
) -> None:
    asset = crun.settled(serve(file, files[file]), crun.group("alice"), kind)
    assert asset["Status"] == ("Failed" if code else "Active")
    assert asset.get("Error", {}).get("Code") == code


def test_a_picture_without_a_face_becomes_active_when_no_face_is_required(
    crun: Crun, serve: Serve, files: dict[str, bytes]
) -> None:
    crun.simulator.update_settings(require_face=False)
    assert crun.settled(serve("wall.png", files["wall.png"]), crun.group())["Status"] == "Active"


@pytest.mark.parametrize("person", ["alice", "bob", "carol", "dave"])
def test_a_drawn_face_is_found_without_its_marker(person: str) -> None:
    for turn in (-1.0, 0.0, 0.6):
        with Image.open(io.BytesIO(media.portrait(person, turn=turn))) as drawn:
            assert has_face(drawn)
    with Image.open(io.BytesIO(jpeg())) as gradient:
        assert has_face(gradient)


def test_a_group_accepts_its_own_persons_picture(crun: Crun, serve: Serve, files: dict[str, bytes]) -> None:
    assert crun.settled(serve("b.jpg", files["b.jpg"]), crun.group("bob"))["Status"] == "Active"


def test_a_file_that_is_too_large_is_not_read_to_its_end(crun: Crun, serve: Serve, files: dict[str, bytes]) -> None:
    crun.simulator.update_settings(max_image_bytes=1000)
    asset = crun.settled(serve("a.jpg", files["a.jpg"]), crun.group())
    assert asset["Error"]["Code"] == "FileSizeTooLarge"


def test_a_failed_download_does_not_show_the_url(crun: Crun, serve: Serve) -> None:
    group = crun.group()
    for url in (serve("a", b"") + "-missing?secret=1", "http://127.0.0.1:9/a?secret=1"):
        asset = crun.settled(url, group)
        assert asset["Error"]["Code"] == "DownloadFailed"
        assert "secret" not in str(asset)


@contextmanager
def broken_server(answer: bytes, hold_seconds: float = 0.0) -> Iterator[str]:
    """Runs a server that sends ``answer`` on every connection, waits, and resets it."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
                done.wait(hold_seconds)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/a?secret=1"
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


@pytest.mark.parametrize(
    ("answer", "hold_seconds"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nabc", 0.1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", 0.1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nabc", 60),
    ],
    ids=["reset", "not-chunks", "stalled"],
)
def test_a_download_that_breaks_off_fails_and_later_ones_succeed(
    crun: Crun, serve: Serve, files: dict[str, bytes], answer: bytes, hold_seconds: float
) -> None:
    crun.simulator.update_settings(download_timeout_seconds=0.4)
    group = crun.group()
    with broken_server(answer, hold_seconds) as url:
        for _ in range(8 if hold_seconds < 1 else 1):  # more than there are threads
            asset = crun.settled(url, group)
            assert asset["Error"]["Code"] == "DownloadFailed"
            assert "secret" not in str(asset)
    assert crun.settled(serve("a.jpg", files["a.jpg"]), group)["Status"] == "Active"


def signed(url: str, at: float, expires: int) -> str:
    """Returns a URL with the parameters of a presigned one."""
    date = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{url}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-Signature=0"


def test_a_presigned_url_is_checked_by_the_downloaders_clock(crun: Crun, serve: Serve, files: dict[str, bytes]) -> None:
    group, url, now = crun.group(), serve("a.jpg", files["a.jpg"]), time.time()
    assert crun.settled(signed(url, now, 300), group)["Status"] == "Active"
    assert crun.settled(signed(url, now - 400, 300), group)["Error"]["Code"] == "DownloadFailed"
    assert crun.settled(signed(url, now + 1000, 300), group)["Error"]["Code"] == "DownloadFailed"
    assert crun.settled(f"{url}?Expires={int(now) - 5}&Signature=0", group)["Status"] == "Failed"
    assert crun.settled(f"{url}?Expires={int(now) + 60}&Signature=0", group)["Status"] == "Active"
    assert crun.settled(f"{url}?X-Amz-Date=yesterday&X-Amz-Expires=1", group)["Status"] == "Failed"
    crun.simulator.update_settings(fetch_skew_seconds=400)
    assert crun.settled(signed(url, now, 300), group)["Error"]["Code"] == "DownloadFailed"
    crun.simulator.update_settings(fetch_skew_seconds=0)
    crun.simulator.advance(10_000)
    assert crun.settled(signed(url, now, 300), crun.group())["Status"] == "Active"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("Error", {"Error": {"Code": "FaceMismatch", "Message": "m"}}),
        ("error", {"error": {"code": "FaceMismatch", "message": "m"}}),
        ("ErrorMessage", {"ErrorMessage": "FaceMismatch: m"}),
        ("FailedReason", {"FailedReason": "FaceMismatch: m"}),
        ("none", {}),
    ],
)
def test_error_shapes(crun: Crun, shape: str, expected: dict[str, Any]) -> None:
    configured = AssetOutcome(name="front", outcome="failed", message="m", after_seconds=0)
    crun.simulator.update_settings(error_shape=shape, asset_outcomes=(configured,))
    asset = crun.settled("http://127.0.0.1:9/", crun.group())
    known = {"AssetId", "Name", "AssetType", "Status", "CreateTime", "UpdateTime"}
    assert known <= asset.keys()
    assert {key: value for key, value in asset.items() if key not in known} == expected


def test_both_forms_of_time(crun: Crun, serve: Serve, files: dict[str, bytes]) -> None:
    asset = crun.settled(serve("a.jpg", files["a.jpg"]), crun.group())
    created = datetime.strptime(asset["CreateTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(created.timestamp() - time.time()) < 10
    assert abs(asset["UpdateTime"] - time.time()) < 10
    crun.simulator.update_settings(create_time_format="epoch", update_time_format="iso")
    asset = crun.info(asset["AssetId"])
    assert isinstance(asset["CreateTime"], int)
    assert asset["UpdateTime"].endswith("Z")


def test_outcomes_can_be_set_by_name(crun: Crun, serve: Serve, files: dict[str, bytes]) -> None:
    group, url = crun.group(), serve("a.jpg", files["a.jpg"])
    crun.simulator.update_settings(
        asset_outcomes=(
            AssetOutcome(name="stuck-*", outcome="never"),
            AssetOutcome(name="once", outcome="failed", code="DownloadFailed", times=1),
        )
    )
    stuck = crun.upload(url, group, name="stuck-1").json()["data"]["AssetId"]
    assert crun.settled(url, group, name="once")["Error"]["Code"] == "DownloadFailed"
    assert crun.settled(url, group, name="once")["Status"] == "Active"
    assert crun.info(stuck)["Status"] == "Processing"


def test_times_until_settled_are_drawn_from_the_seed() -> None:
    def drawn(seed: int) -> list[float]:
        return [settle_seconds(SimulatorSettings(seed=seed), number) for number in range(20)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert all(1 <= each <= 4 for each in drawn(1))
    assert len(set(drawn(1))) == 20


def test_an_asset_does_not_settle_early(crun: Crun, serve: Serve, files: dict[str, bytes]) -> None:
    crun.simulator.update_settings(settle_min_seconds=0.3, settle_max_seconds=0.3)
    group, started = crun.group(), time.monotonic()
    assert crun.settled(serve("a.jpg", files["a.jpg"]), group)["Status"] == "Active"
    assert time.monotonic() - started >= 0.3


def test_an_asset_is_processing_until_it_settles(crun: Crun, serve: Serve, files: dict[str, bytes]) -> None:
    crun.simulator.update_settings(settle_min_seconds=60, settle_max_seconds=60)
    group = crun.group()
    answer = crun.upload(serve("a.jpg", files["a.jpg"]), group)
    assert crun.info(answer.json()["data"]["AssetId"])["Status"] == "Processing"
    assert crun.simulator.state()["groups"] == {group: {"processing": 1, "active": 0, "failed": 0}}


def test_a_wav_header_without_a_rate_does_not_break_the_check(crun: Crun, serve: Serve) -> None:
    wave = b"RIFF" + struct.pack("<I", 20) + b"WAVEfmt " + struct.pack("<I", 2) + b"\0\0data\0\0\0\0"
    assert crun.settled(serve("odd.wav", wave), crun.group(), "Audio")["Status"] == "Active"


def test_settings_refuse_reversed_bounds() -> None:
    with pytest.raises(ValueError, match="settle_min_seconds"):
        SimulatorSettings(settle_min_seconds=5, settle_max_seconds=1)
