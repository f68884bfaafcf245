"""The ruler of cold starts: how instructions are read, how pairs are compared, and how a part is ended in time."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import pytest

from bench import parts
from bench.studies import ruler
from bench.studies.ruler import CACHEGRIND, CPU_TIME, PERF, Pairs, RulerError, detect
from bench.table import Row

USAGE = resource.getrusage(resource.RUSAGE_SELF)
_PERF = """# started on Sun Nov 29 01:48:54 2026

1234567890,,instructions:u,410000000,100.00,,
"""
_PERF_WITHOUT_COUNTERS = "<not supported>,,instructions:u,0,100.00,,\n"
_CACHEGRIND = "==16528== Using Valgrind-3.19.0\n==16528== I   refs:      1,952,615,130\n"


def test_perf_and_cachegrind_are_read_in_millions(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(_PERF)
    assert PERF.read(log, USAGE) == pytest.approx(1234.56789)
    log.write_text(_CACHEGRIND)
    assert CACHEGRIND.read(log, USAGE) == pytest.approx(1952.61513)


@pytest.mark.parametrize(("which", "text"), [(PERF, _PERF_WITHOUT_COUNTERS), (PERF, ""), (CACHEGRIND, "killed")])
def test_a_log_without_instructions_is_no_figure(which: ruler.Ruler, text: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    with pytest.raises(RulerError):
        which.read(log, USAGE)


def test_without_perf_and_valgrind_the_ruler_is_cpu_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert detect.__wrapped__() is CPU_TIME


def test_the_pair_with_the_median_ratio_counts() -> None:
    pairs = Pairs((120.0, 300.0, 90.0), (100.0, 100.0, 100.0))
    assert pairs.ratios == (1.2, 3.0, 0.9)
    assert pairs.middle == (120.0, 100.0)
    assert pairs.spread == pytest.approx((3.0 - 0.9) / 1.2)


def test_one_run_has_no_spread() -> None:
    assert Pairs((120.0,), (100.0,)).spread == 0


class _Sleeping:
    """A part that would never end; ``stopped`` shows that its stacks stop."""

    stopped = False

    def rows(self) -> list[Row]:
        try:
            time.sleep(60)
        finally:
            self.stopped = True
        return []


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch) -> _Sleeping:
    part = _Sleeping()
    monkeypatch.setitem(parts.PARTS, "sleeping", ("made_up_sleeping", 1))
    monkeypatch.setitem(sys.modules, "made_up_sleeping", part)
    return part


def test_a_part_that_exceeds_its_bound_is_ended_and_named(sleeping: _Sleeping) -> None:
    with pytest.raises(parts.PartError, match="sleeping was ended after 1 s: its bound is 1 s"):
        parts.run("sleeping")
    assert sleeping.stopped


def test_no_part_begins_when_the_time_of_all_is_over(sleeping: _Sleeping) -> None:
    with pytest.raises(parts.PartError, match="sleeping was not measured"):
        parts.run("sleeping", left=0)
    assert not sleeping.stopped
