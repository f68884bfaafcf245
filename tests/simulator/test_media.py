"""The demo's media files are valid, small, marked, and the same on every run."""

import io
from pathlib import Path

import av
from PIL import Image

from local import media
from local.simulator.inspection import inspect, kind_of, marker, mp4_seconds, wav_seconds


def test_the_demos_files_pass_for_the_person_they_show(tmp_path: Path) -> None:
    made = media.make_media(tmp_path / "media")
    files = {
        made.portrait_jpeg: "Image",
        made.portrait_png: "Image",
        made.clip_mp4: "Video",
        made.voice_wav: "Audio",
    }
    for path, kind in files.items():
        inspect(path.read_bytes(), kind, "alice")
        assert marker("alice").encode() in path.read_bytes()
    inspect(made.other_person_jpeg.read_bytes(), "Image", "bob")
    assert sum(path.stat().st_size for path in (tmp_path / "media").iterdir()) < 1_000_000


def test_portraits_have_the_requested_size() -> None:
    with Image.open(io.BytesIO(media.portrait("alice", 640, 800))) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("JPEG", (640, 800))
        assert picture.info["comment"] == marker("alice").encode()
    with Image.open(io.BytesIO(media.portrait("alice", 640, 800, "PNG"))) as drawing:
        drawing.load()
        assert (drawing.format, drawing.info["Comment"]) == ("PNG", marker("alice"))


def test_people_look_different_and_the_same_every_time() -> None:
    assert media.portrait("alice") == media.portrait("alice")
    assert media.portrait("alice") != media.portrait("bob")
    assert media.clip("alice", 0.4) == media.clip("alice", 0.4)


def test_a_clip_plays_and_moves() -> None:
    content = media.clip("alice", seconds=2, width=320, height=400)
    assert kind_of(content) == ("Video", "mp4")
    assert mp4_seconds(content) == 2.0
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        frames = [bytes(frame.planes[0]) for frame in container.decode(stream)]
        assert stream.average_rate == 25
        assert (stream.width, stream.height) == (320, 400)
        assert container.metadata["comment"] == marker("alice")
    assert len(frames) == 50
    assert frames[0] != frames[12]


def test_a_voice_has_the_requested_duration() -> None:
    content = media.voice("alice", 2.5)
    assert kind_of(content) == ("Audio", "wav")
    assert wav_seconds(content) == 2.5
    with av.open(io.BytesIO(content), "r") as container:
        assert container.streams.audio[0].rate == 16_000
        assert sum(frame.samples for frame in container.decode(audio=0)) == 40_000
