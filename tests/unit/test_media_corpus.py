"""Files made by real encoders are held against what their encoders know, by the check and by the simulator."""

from __future__ import annotations

import io

import pytest

from likeness.domain.media import AssetType, MediaRefused, inspect
from local.simulator import inspection, measures
from tests.corpus import Case, corpus

CASES = corpus()
#: What the check refuses, in the words of the simulated crun, where that measures it.
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
def test_the_check_knows_what_the_encoder_knows(case: Case) -> None:
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
def test_the_simulated_crun_knows_it_too(case: Case) -> None:
    data = case.make()
    # It measures; whether a file is cut is the decoder's matter.
    if case.code not in (None, "file_truncated"):
        with pytest.raises(inspection.Refused) as caught:
            inspection.inspect(data, case.kind.value, "alice")
        assert caught.value.code in CRUN_CODES[case.code]
        return
    if case.code is None:
        inspection.inspect(data, case.kind.value, "alice")
    if case.kind is AssetType.VIDEO:
        film = measures.Film(data)
        assert (film.width, film.height) == case.sides
    if case.seconds is not None and case.code is None:
        measure = measures.mp4_seconds if case.kind is AssetType.VIDEO else measures.mp3_seconds
        measure = measures.wav_seconds if case.content_type == "audio/wav" else measure
        # It counts what an MP3's encoder adds in front and behind: three frames of 72 ms at worst.
        added = 0.22 if case.content_type == "audio/mpeg" else 0.0
        assert measure(data) == pytest.approx(case.seconds, abs=case.tolerance + added)
