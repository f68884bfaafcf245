"""Files of real devices and tools that an earlier version of the check judged wrongly.

Each is one example of a kind: the corpus (test_media_corpus) has more. The check and the simulated crun must agree, and
files that are really too long or truncated must still be refused.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest

from likeness.domain.asset import crun_failure, new_asset
from likeness.domain.media import AssetType, MediaFacts, MediaRefused, inspect
from likeness.domain.media.limits import MAX_PIXELS, MIN_PIXELS
from likeness.steps.files.check_upload import CheckUpload, Upload
from local.simulator import inspection, measures
from tests import corpus, media
from tests.unit.step_harness import StepHarness

IMAGE, VIDEO, AUDIO = AssetType.IMAGE, AssetType.VIDEO, AssetType.AUDIO
PORTRAIT = (320, 400)
CLIP = corpus.Take(PORTRAIT, 90)
#: A frame of silence with 128 kbit/s at 44.1 kHz.
FRAME = bytes.fromhex("fffb9064") + bytes(413)
MP3 = FRAME * 120


def check_file(data: bytes, kind: AssetType) -> MediaFacts | str:
    """Returns the check's result for a file: the facts, or the code of the refusal."""
    try:
        return inspect(io.BytesIO(data), size_bytes=len(data), declared=kind)
    except MediaRefused as refused:
        return refused.code


def simulated(data: bytes, kind: AssetType) -> str | None:
    """Returns the code with which the simulated crun refuses a file, or None when it accepts it."""
    try:
        inspection.inspect(data, kind.value, "alice", require_face=False)
    except inspection.Refused as refused:
        return refused.code
    return None


def assert_duration(data: bytes, kind: AssetType, seconds: float, tolerance: float = 0.03) -> None:
    """Fails unless the check and the simulated crun accept the recording, and the check measures ``seconds``."""
    facts = check_file(data, kind)
    assert isinstance(facts, MediaFacts), facts
    assert facts.duration_seconds == pytest.approx(seconds, abs=tolerance)
    assert simulated(data, kind) is None


def assert_sides(data: bytes, sides: tuple[int, int]) -> None:
    """Fails unless the check and the simulated crun accept the picture, and the check measures ``sides``."""
    facts = check_file(data, IMAGE)
    assert isinstance(facts, MediaFacts), facts
    assert (facts.width, facts.height) == sides
    assert simulated(data, IMAGE) is None


def test_mp4_with_its_first_fragment_in_moov() -> None:
    assert_duration(corpus.film(CLIP, movflags="frag_keyframe"), VIDEO, 3.0)
    long = corpus.film(corpus.Take(PORTRAIT, 600, gop=60), movflags="frag_keyframe")
    assert long.count(b"moof") > 5
    assert (check_file(long, VIDEO), simulated(long, VIDEO)) == ("duration_out_of_range", "DurationTooLong")


def test_fragmented_mp4_that_ends_after_the_index_of_a_fragment_is_truncated() -> None:
    whole = corpus.film(CLIP, movflags="frag_keyframe+empty_moov")
    data = whole[: whole.rindex(b"mdat") - 4]
    assert check_file(data, VIDEO) == "file_truncated"


@pytest.mark.parametrize("ticks", [0, 0xFFFFFFFF, 100])
@pytest.mark.parametrize("header", [b"mdhd", b"mvhd"])
def test_mp4_with_a_header_whose_duration_differs_from_its_table(header: bytes, ticks: int) -> None:
    assert_duration(corpus.with_header_duration(corpus.film(CLIP), header, ticks), VIDEO, 3.0)


def test_mp4_whose_edit_list_shows_a_part() -> None:
    data = bytearray(corpus.film(corpus.Take(PORTRAIT, 480, gop=60)))
    at = data.index(b"elst") + 4
    (scale,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    struct.pack_into(">I", data, at + 8, 4 * scale)
    assert_duration(bytes(data), VIDEO, 4.0)


@pytest.mark.parametrize(("codec", "form"), [("adpcm_ima_wav", "s16p"), ("adpcm_ms", "s16")])
def test_adpcm_wav_by_ffmpeg(codec: str, form: str) -> None:
    data = corpus.encoded_sound(3.02, codec, "wav", form=form)
    assert_duration(data, AUDIO, 3.02, 0.13)
    # the byte rate is redundant, so a wrong value has no effect
    assert_duration(corpus.patched(data, data.index(b"fmt ") + 16, "<I", 16_000), AUDIO, 3.02, 0.13)
    assert check_file(corpus.encoded_sound(16.5, codec, "wav", form=form), AUDIO) == "duration_out_of_range"


def test_wav_with_block_align_4_for_mono_16_bit() -> None:
    assert_duration(corpus.patched(corpus.pcm(3.0), 32, "<H", 4), AUDIO, 3.0)
    long = corpus.patched(corpus.pcm(20.0), 32, "<H", 4)
    assert (check_file(long, AUDIO), simulated(long, AUDIO)) == ("duration_out_of_range", "DurationTooLong")


@pytest.mark.parametrize("length", [0x7FFFEFFF, 0x7FFFEFFC, 0x7FFFEFF6, 0xFFFFFFDB, 0x7FFFFFDB, 0x7FFF0000])
def test_wav_from_a_pipe(length: int) -> None:
    assert_duration(corpus.piped(corpus.pcm(3.0), length), AUDIO, 3.0)


_EXTENSION = struct.pack("<HHI", 22, 16, 3)
_GUID = bytes.fromhex("000000001000800000aa00389b71")
WAVS: dict[str, tuple[bytes, int]] = {  # a fmt chunk with a wrong block or byte rate, and bytes per second
    "float": (struct.pack("<HHIIHH", 3, 1, 8000, 1, 1, 32), 32_000),
    "A-law without bits": (struct.pack("<HHIIHH", 6, 1, 8000, 0, 0, 0), 8000),
    "mu-law": (struct.pack("<HHIIHH", 7, 1, 8000, 16_000, 2, 8), 8000),
    "PCM without bits": (struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 0), 16_000),
    "PCM of 12 bits": (struct.pack("<HHIIHH", 1, 1, 8000, 1, 1, 12), 16_000),
    "PCM of 24 bits, stereo": (struct.pack("<HHIIHH", 1, 2, 8000, 1, 4, 24), 48_000),
    "extensible PCM": (struct.pack("<HHIIHH", 0xFFFE, 2, 8000, 1, 1, 16) + _EXTENSION + b"\1\0" + _GUID, 32_000),
    "extensible A-law": (struct.pack("<HHIIHH", 0xFFFE, 1, 8000, 1, 9, 8) + _EXTENSION + b"\6\0" + _GUID, 8000),
    "GSM": (struct.pack("<HHIIHHHH", 0x31, 1, 8000, 9, 65, 0, 2, 320), 1625),
    "MP3 in a WAV": (struct.pack("<HHIIHHHHIHHH", 0x55, 1, 44_100, 8000, 1, 0, 12, 1, 2, 417, 1, 1393), 8000),
}


@pytest.mark.parametrize("length", [None, 0x7FFFEFFC])
@pytest.mark.parametrize(("layout", "rate"), WAVS.values(), ids=WAVS)
def test_wav_with_inconsistent_header_values(layout: bytes, rate: int, length: int | None) -> None:
    sound = bytes(3 * rate)
    chunks = b"fmt " + struct.pack("<I", len(layout)) + layout
    chunks += b"data" + struct.pack("<I", len(sound) if length is None else length) + sound
    assert_duration(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks, AUDIO, 3.0)


def test_truncated_wav_is_not_from_a_pipe() -> None:
    assert check_file(corpus.pcm(6.0)[:-40_000], AUDIO) == "file_truncated"


def test_rf64_is_an_unsupported_format() -> None:
    data = corpus.encoded_sound(3.0, "pcm_s16le", "wav", rf64="always")
    with pytest.raises(MediaRefused, match="RF64") as caught:
        inspect(io.BytesIO(data), size_bytes=len(data), declared=AUDIO)
    assert caught.value.code == "format_unsupported"


@pytest.mark.parametrize(
    "data",
    [
        bytes(136) + MP3, b"\0" + MP3, bytes(60_000) + MP3, b"ID3\4\0\0\0\0\0\5abcde" + bytes(6000) + MP3, MP3[20:],
        MP3 + bytes(65_536), MP3 + bytes(4100), MP3 + b"ID3\4\0\0\0\0\x27\x08" + bytes(5000), MP3 + b"\xff\xfb",
        MP3[: 60 * 417] + b"TAG" + bytes(125) + MP3[60 * 417 :],
    ],
    ids=[
        "zeros before", "a byte before", "60 KB before", "6 KB of padding after ID3", "half a frame before",
        "64 KB after", "4 KB after", "ID3v2 at the end", "half a header at the end", "a tag in the middle",
    ],
)  # fmt: skip
def test_mp3_with_junk_around_its_frames(data: bytes) -> None:
    assert_duration(data, AUDIO, 3.13, 0.03)


@pytest.mark.parametrize(
    "mark", [b"PK\x03\x04", b"RIFF\xff\xff\0\0AVI LIST", b"\x1a\x45\xdf\xa3", b"OggS", b"<html>", b"FORM\0\1\0\0AIFF"]
)
def test_another_container_with_mp3_frames_is_not_mp3(mark: bytes) -> None:
    assert check_file(mark + bytes(40) + MP3, AUDIO) == "format_unsupported"


@pytest.mark.parametrize("end", [b";\n", b"", b";" + bytes(2000), b";GIF89a", b"\0;"])
def test_gif_with_a_byte_after_its_trailer_or_without_trailer(end: bytes) -> None:
    assert_sides(corpus.picture((300, 320), "GIF", "P")[:-1] + end, (300, 320))


def test_gif_that_is_truncated_in_a_later_frame_but_has_a_trailer() -> None:
    whole = corpus.picture((300, 320), "GIF", "P", more=3)
    assert check_file(whole[:-60] + b";", IMAGE) == "file_truncated"


def test_gif_of_endless_blocks_is_bounded() -> None:
    head = corpus.picture((300, 320), "GIF", "P")[:-1]
    assert check_file(head + b"\x21\xfe\0" * 3_000_000, IMAGE) == "file_damaged"


def test_heic_with_two_pictures() -> None:
    assert_sides(corpus.heic((640, 480), (1300, 400)), (640, 480))
    assert check_file(corpus.heic((200, 200), (640, 480)), IMAGE) == "dimensions_out_of_range"
    assert simulated(corpus.heic((200, 200), (640, 480)), IMAGE) == "ImageSizeInvalid"


def test_rotated_heic_with_odd_sides() -> None:
    assert_sides(corpus.heic((641, 481), orientation=6), (481, 641))


def full(kind: bytes, payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    return media.box(kind, struct.pack(">I", version << 24 | flags) + payload)


def ispe(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


def clap(*fractions: int) -> bytes:
    return media.box(b"clap", struct.pack(">8I", *fractions, 0, 1, 0, 1))


def irot(quarters: int) -> bytes:
    return media.box(b"irot", bytes([quarters]))


def heic_of(properties: list[bytes], assigned: dict[int, list[int]], primary: int, *, long: bool = False) -> bytes:
    """Returns the structure of a HEIC file; ``long`` writes 32-bit ids and 15-bit indexes."""
    number, index = (">I", ">H") if long else (">H", ">B")
    entries = b"".join(
        struct.pack(number, item) + bytes([len(own)]) + b"".join(struct.pack(index, each) for each in own)
        for item, own in assigned.items()
    )
    table = full(b"ipma", struct.pack(">I", len(assigned)) + entries, version=int(long), flags=int(long))
    parts = media.box(b"iprp", media.box(b"ipco", b"".join(properties)) + table)
    meta = full(b"meta", full(b"pitm", struct.pack(number, primary), version=int(long)) + parts)
    return media.box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta + media.box(b"mdat", bytes(100))


HEICS: dict[str, tuple[bytes, tuple[int, int]]] = {
    "cropped, then turned": (
        heic_of([ispe(642, 482), clap(641, 1, 481, 1), irot(1)], {1: [1, 2, 3]}, 1), (481, 641)
    ),
    "turned, then cropped": (
        heic_of([ispe(642, 482), clap(481, 1, 641, 1), irot(3)], {1: [1, 3, 2]}, 1), (481, 641)
    ),
    "upside down": (heic_of([ispe(642, 482), irot(2)], {1: [1, 2]}, 1), (642, 482)),
    "a crop with fractions": (heic_of([ispe(642, 482), clap(1282, 2, 962, 2)], {1: [1, 2]}, 1), (641, 481)),
    "an invalid crop": (heic_of([ispe(642, 482), clap(642, 0, 482, 0)], {1: [1, 2]}, 1), (642, 482)),
    "long ids": (heic_of([ispe(1300, 400), ispe(642, 482)], {9: [1], 70_000: [2]}, 70_000, long=True), (642, 482)),
    "nothing assigned": (heic_of([ispe(300, 300), ispe(642, 482)], {}, 1), (642, 482)),
    "an invalid index": (heic_of([ispe(642, 482)], {1: [0, 1, 99]}, 1), (642, 482)),
}  # fmt: skip


@pytest.mark.parametrize(("data", "sides"), HEICS.values(), ids=HEICS)
def test_heic_has_the_displayed_sides_of_its_primary_picture(data: bytes, sides: tuple[int, int]) -> None:
    assert_sides(data, sides)


@pytest.mark.parametrize("junk", [b'="', b"\0", b"\xff\0\xff\x01" * 9, bytes(60_000)])
def test_jpeg_with_bytes_between_its_segments(junk: bytes) -> None:
    assert_sides(corpus.between_segments(corpus.picture((400, 400), "JPEG"), junk), (400, 400))


def test_jpeg_with_only_junk_is_damaged() -> None:
    assert check_file(b"\xff\xd8\xff\xe0\0\x04ab" + bytes(70_000) + b"\xff\xd9", IMAGE) == "file_damaged"


@pytest.mark.parametrize(("flags", "sides"), [((3, 2), PORTRAIT), ((2, 3), (400, 400)), ((3, 3), PORTRAIT)])
def test_a_video_with_two_video_tracks(flags: tuple[int, int], sides: tuple[int, int]) -> None:
    data = corpus.switched(corpus.film(CLIP, corpus.Take((400, 400), 240)), *flags)
    facts = check_file(data, VIDEO)
    assert isinstance(facts, MediaFacts)
    assert (facts.width, facts.height) == sides
    film = measures.Film(data)
    assert (film.width, film.height) == sides
    assert film.seconds == pytest.approx(facts.duration_seconds)


def sized(width: int, height: int) -> bytes:
    """Returns a clip with these sides in its header."""
    data = bytearray(corpus.film(CLIP))
    at = data.index(b"stsd") + 4 + 40
    struct.pack_into(">HH", data, at, width, height)
    return bytes(data)


@pytest.mark.parametrize("sides", [(4000, 3000), (3840, 2160), (1446, 1444), (640, 638), (480, 640)])
def test_a_clip_of_4000_by_3000(sides: tuple[int, int]) -> None:
    data, count = sized(*sides), sides[0] * sides[1]
    code = "PixelCountTooLarge" if count > MAX_PIXELS else "PixelCountTooSmall"
    with pytest.raises(MediaRefused) as caught:
        inspect(io.BytesIO(data), size_bytes=len(data), declared=VIDEO, min_pixels=MIN_PIXELS)
    assert (caught.value.code, caught.value.crun_code) == ("dimensions_out_of_range", code)
    for words in (f"{sides[0]} x {sides[1]}", f"{count:,}", "409,600 to 2,086,876"):
        assert words in caught.value.message
    with pytest.raises(inspection.Refused) as simulated_refusal:
        inspection.inspect(data, "Video", "alice", (MIN_PIXELS, MAX_PIXELS))
    assert simulated_refusal.value.code == code
    assert crun_failure(code, None).code == caught.value.code


@pytest.mark.parametrize("sides", [(1920, 1080), (1080, 1920), (640, 640), (1444, 1444)])
def test_a_clip_within_the_pixel_budget(sides: tuple[int, int]) -> None:
    data = sized(*sides)
    facts = inspect(io.BytesIO(data), size_bytes=len(data), declared=VIDEO, min_pixels=MIN_PIXELS)
    assert (facts.width, facts.height) == sides
    inspection.inspect(data, "Video", "alice", (MIN_PIXELS, MAX_PIXELS))


@pytest.mark.parametrize(("most", "status"), [(8_295_044, "uploaded"), (MAX_PIXELS, "failed")])
def test_a_deployment_may_accept_larger_clips(harness: StepHarness, most: int, status: str) -> None:
    session, _ = harness.verified()
    data = sized(3840, 2160)
    asset = new_asset(
        session, harness.clock.now(), str(most).encode().ljust(10, b"\0"),
        name="clip", asset_type="Video", content_type="video/mp4", size_bytes=len(data),
    )  # fmt: skip
    assert harness.store.add_asset(asset)
    harness.files.objects[asset.object_key] = data
    check = CheckUpload(harness.store, harness.files, harness.queue, harness.clock, most)
    check(Upload(asset.object_key, "v1", len(data), harness.clock.now()))
    found = harness.store.get_asset(session.id, asset.id)
    assert found is not None
    assert found.status == status
    assert (found.error is None) == (status == "uploaded")


@pytest.mark.parametrize(
    ("code", "ours"),
    [("PixelCountTooLarge", "dimensions_out_of_range"), ("QuotaSharedPoolExceeded", "quota_exceeded")],
)
def test_a_code_that_crun_publishes_is_known(code: str, ours: str) -> None:
    problem = crun_failure(code, "words of crun")
    assert (problem.code, problem.upstream_code, problem.upstream_message) == (ours, code, "words of crun")


@pytest.mark.parametrize("kind", [b"free", b"skip", b"wide"])
def test_a_video_that_begins_with_free_space_is_recognised(kind: bytes) -> None:
    data = struct.pack(">I4s", 24, kind) + bytes(16) + corpus.film(CLIP)
    facts = check_file(data, VIDEO)
    assert isinstance(facts, MediaFacts)
    assert facts.content_type == "video/mp4"


MADE: dict[str, Callable[[], bytes]] = {
    "tags after a video": lambda: corpus.film(CLIP) + b"TAGa title" + bytes(118),
    "text after a video": lambda: corpus.film(CLIP) + b"made with an editor program",
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_data_appended_to_a_video_is_not_a_truncated_box(make: Callable[[], bytes]) -> None:
    assert_duration(make(), VIDEO, 3.0)
