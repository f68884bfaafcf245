"""For arbitrary bytes, an inspection returns plausible facts or raises MediaRefused, and is fast."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likeness.domain.media import CONTENT_TYPES, MAX_BYTES, AssetType, MediaFacts, MediaRefused, inspect
from tests import media

CODES = {
    "empty_file",
    "file_too_large",
    "format_unsupported",
    "type_mismatch",
    "file_truncated",
    "file_damaged",
    "dimensions_out_of_range",
    "aspect_ratio_out_of_range",
    "duration_out_of_range",
    "frame_rate_out_of_range",
}
GOOD: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: media.jpeg(300, 320),
    "png": lambda: media.png(300, 320),
    "webp": lambda: media.webp(300, 320, extended=True),
    "bmp": lambda: media.bmp(300, 320),
    "tiff": lambda: media.tiff(300, 320),
    "gif": lambda: media.gif(300, 320),
    "heic": media.heic,
    "mp4": lambda: media.mp4(2.0),
    "mp4 in fragments": lambda: media.mp4(2.0, movflags="frag_keyframe+empty_moov", sound=True, fps=30),
    "mov": lambda: media.mov(2.0),
    "mp3": lambda: media.mp3(2.0),
    "wav": lambda: media.wav(2.0, hertz=8000),
}
MARKS = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"GIF89a",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"RIFF\xff\0\0\0WEBPVP8X",
    b"RIFF\xff\0\0\0WAVEfmt ",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x14ftypisom\0\0\0\0isom",
    b"\0\0\0\x08wide",
    b"ID3\4\0\0\0\0\0\0",
    b"\xff\xfb\x90\0",
]
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
kinds = st.sampled_from([None, *AssetType])


def outcome(data: bytes, declared: AssetType | None) -> MediaFacts | None:
    """Returns the facts, after a plausibility check, or None after a MediaRefused."""
    facts: MediaFacts | MediaRefused
    try:
        facts = inspect(io.BytesIO(data), size_bytes=len(data), declared=declared)
    except MediaRefused as refusal:
        facts = refusal
    if isinstance(facts, MediaRefused):
        assert facts.code in CODES
        assert 20 < len(facts.message) < 250
        return None
    assert facts.asset_type is CONTENT_TYPES[facts.content_type]
    assert declared in (None, facts.asset_type)
    assert 0 < facts.size_bytes == len(data) <= MAX_BYTES[facts.asset_type]
    if facts.asset_type is AssetType.AUDIO:
        assert facts.width is facts.height is None
    else:
        assert facts.width is not None
        assert facts.height is not None
        assert 300 <= facts.width <= 6000
        assert 300 <= facts.height <= 6000
    assert (facts.duration_seconds is None) == (facts.asset_type is AssetType.IMAGE)
    assert facts.duration_seconds is None or 1.9 <= facts.duration_seconds <= 15.1
    assert (facts.frames_per_second is None) == (facts.asset_type is not AssetType.VIDEO)
    assert facts.frames_per_second is None or 23.5 <= facts.frames_per_second <= 60.5
    return facts


@quick
@given(data=st.binary(max_size=4096), declared=kinds)
def test_random_bytes_are_refused(data: bytes, declared: AssetType | None) -> None:
    assert outcome(data, declared) is None


@quick
@given(mark=st.sampled_from(MARKS), data=st.binary(max_size=2048), declared=kinds)
def test_random_bytes_after_a_signature_are_inspected(mark: bytes, data: bytes, declared: AssetType | None) -> None:
    outcome(mark + data, declared)


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
@quick
@given(draw=st.data())
def test_a_good_file_with_changed_bytes_is_inspected(make: Callable[[], bytes], draw: st.DataObject) -> None:
    data = bytearray(make())
    # Headers are at the start and the end. Changes in the middle of the content would test nothing.
    places = st.integers(0, min(len(data) - 4, 3000)) | st.integers(max(0, len(data) - 3000), len(data) - 4)
    extremes = st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"])
    for place, new in draw.draw(st.lists(st.tuples(places, extremes | st.binary(min_size=1, max_size=4)), max_size=6)):
        data[place : place + len(new)] = new
    outcome(bytes(data), None)


def ends_between_boxes(data: bytes, kept: int) -> bool:
    """Returns whether an ISO base media file, cut after ``kept`` bytes, ends before the size of the next box."""
    position = 0
    while position + 8 <= kept:
        position += int.from_bytes(data[position : position + 4], "big")
    return position <= kept


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
@quick
@given(draw=st.data())
def test_a_truncated_file_is_never_accepted_as_complete(make: Callable[[], bytes], draw: st.DataObject) -> None:
    data = make()
    whole = outcome(data, None)
    assert whole is not None
    kept = draw.draw(st.integers(0, len(data) - 1))
    cut = outcome(data[:kept], None)
    # A GIF without its trailer is displayed completely. A fragmented video that is cut between two fragments is a
    # valid, shorter video: nothing in it refers to more.
    lacks_trailer = data.startswith(b"GIF") and kept == len(data) - 1
    assert cut is None or lacks_trailer or (b"moof" in data[:kept] and ends_between_boxes(data, kept))
