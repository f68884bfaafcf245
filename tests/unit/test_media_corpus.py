"""The check and the simulator measure files of real encoders, compared with the known properties of each file."""

from __future__ import annotations

import io

import pytest

from likeness.domain.media import AssetType, MediaRefused, inspect
from local.simulator import inspection, measures
from tests.corpus import Case, corpus

CASES = corpus()
#: The check's codes, and the codes of the simulated crun for what it also measures.
CRUN_CODES = {
    "dimensions_out_of_range": {"ImageSizeInvalid", "PixelCountTooLarge"},
    "aspect_ratio_out_of_range": {"ImageSizeInvalid"},
    "duration_out_of_range": {"DurationTooLong", "DurationTooShort"},
    "format_unsupported": {"FormatUnsupported"},
}


def test_the_corpus_is_large_and_of_every_kind() -> None:
    assert len(CASES) >= 80
    assert {case.kind for case in CASES.values()} == set(AssetType)
    assert {case.code for case in CASES.values()} > {None, "file_truncated", "duration_out_of_range"}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_check_measures_the_known_properties(case: Case) -> None:
    data = case.make()
    if case.code is not None:
        with pytest.raises(MediaRefused) as caught:
            inspect(io.BytesIO(data), size_bytes=len(data), declared=case.kind)
        assert caught.value.code == case.code
        return
    facts = inspect(io.BytesIO(data), size_bytes=len(data), declared=case.kind)
    assert facts.content_type == case.content_type
    if case.sides is not None:
        assert (facts.width, facts.height) == case.sides
    if case.seconds is not None:
        assert facts.duration_seconds == pytest.approx(case.seconds, abs=case.tolerance)
    assert inspect(io.BytesIO(data), size_bytes=len(data), declared=None) == facts


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_simulated_crun_measures_the_known_properties(case: Case) -> None:
    data = case.make()
    # The simulator measures files. It does not detect truncation, which needs a decoder.
    if case.code not in (None, "file_truncated"):
        with pytest.raises(inspection.Refused) as caught:
            inspection.inspect(data, case.kind.value, "alice", require_face=False)
        assert caught.value.code in CRUN_CODES[case.code]
        return
    if case.code is None:
        inspection.inspect(data, case.kind.value, "alice", require_face=False)
    if case.kind is AssetType.VIDEO:
        film = measures.Film(data)
        assert (film.width, film.height) == case.sides
    if case.seconds is not None and case.code is None:
        measure = measures.mp4_seconds if case.kind is AssetType.VIDEO else measures.mp3_seconds
        measure = measures.wav_seconds if case.content_type == "audio/wav" else measure
        # The simulator counts the padding of an MP3's encoder: at most three frames of 72 ms.
        added = 0.22 if case.content_type == "audio/mpeg" else 0.0
        assert measure(data) == pytest.approx(case.seconds, abs=case.tolerance + added)
