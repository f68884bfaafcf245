"""The figures that the benchmark's parts compute from their measurements."""

from __future__ import annotations

import py_compile
from pathlib import Path

import pytest

from bench.studies.bytecode import flags, same_share, zipped_size
from bench.studies.memory import Footprint, best_size, memory_size


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (py_compile.PycInvalidationMode.TIMESTAMP, 0b00),
        (py_compile.PycInvalidationMode.UNCHECKED_HASH, 0b01),
        (py_compile.PycInvalidationMode.CHECKED_HASH, 0b11),
    ],
)
def test_flags_show_whether_bytecode_is_compared_with_its_source(
    tmp_path: Path, mode: py_compile.PycInvalidationMode, expected: int
) -> None:
    source = tmp_path / "a.py"
    source.write_text("a = 1\n")
    compiled = py_compile.compile(str(source), doraise=True, invalidation_mode=mode)
    assert compiled
    assert flags(Path(compiled)) == expected


def test_builds_are_compared_file_by_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "same").write_text("a")
        (folder / "differs").write_text(folder.name)
    (one / "missing").write_text("a")
    (other / "more").write_text("a")
    assert same_share([one], [other]) == 1 / 4
    assert same_share([one], [one]) == 1


def test_a_zip_is_smaller_than_its_content(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a" * 100_000)
    assert 0 < zipped_size(tmp_path) < 1000


def test_a_function_that_only_waits_or_starts_gets_the_smallest_size() -> None:
    assert best_size(Footprint(peak=50, init=0.3, first=0, waiting=0.4)) == 128


def test_a_function_that_computes_gets_the_largest_size_at_the_same_cost() -> None:
    calculating = Footprint(peak=50, init=0, first=1, waiting=0)
    assert calculating.cost(256) == pytest.approx(calculating.cost(1024), rel=0.001)
    assert best_size(calculating) == 1024


def test_a_size_with_too_little_free_memory_is_not_chosen() -> None:
    assert best_size(Footprint(peak=100, init=0.3, first=0, waiting=0)) == 256
    assert best_size(Footprint(peak=5000, init=0.3, first=0, waiting=0)) == 1024


def test_the_size_equals_that_of_the_template() -> None:
    assert memory_size("receive_callback") >= 128
