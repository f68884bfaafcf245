"""How a start is measured: by counted instructions where that is possible, and by CPU time otherwise.

Other load on a machine changes CPU time and leaves the number of instructions as it is. Instructions outside of the
kernel are counted by the processor (`perf stat`), or by valgrind's cachegrind, which runs a process some twenty times
slower, and counts the same in each run to a hundredth of a per cent.
"""

from __future__ import annotations

import re
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROBE_SECONDS = 60.0
_PERF_LINE = re.compile(r"^(\d+),[^,]*,instructions", re.MULTILINE)
_CACHEGRIND_LINE = re.compile(r"I\s+refs:\s+([\d,]+)")
_MILLION = 1e6


class RulerError(RuntimeError):
    """When a ruler leaves no figure for a process."""


@dataclass(frozen=True)
class Ruler:
    """``wrap(command, log)`` returns the command that measures another; ``read(log, usage)`` its figure in ``unit``.

    The start of a function is measured ``rounds`` times, that of some ``most_rounds`` times, which shows the spread.
    ``parallel``: figures do not depend on what else runs.
    """

    name: str
    unit: str
    rounds: int
    most_rounds: int
    parallel: bool
    wrap: Callable[[Sequence[str], Path], list[str]]
    read: Callable[[Path, resource.struct_rusage], float]


def _perf(command: Sequence[str], log: Path) -> list[str]:
    return ["perf", "stat", "-x,", "-e", "instructions:u", "-o", str(log), "--", *command]


def _read_perf(log: Path, _: resource.struct_rusage) -> float:
    found = _PERF_LINE.search(log.read_text())
    if not found:
        raise RulerError("perf stat has counted no instructions")
    return int(found[1]) / _MILLION


def _cachegrind(command: Sequence[str], log: Path) -> list[str]:
    # Without its model of the caches, cachegrind counts instructions only, in half of callgrind's time.
    options = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", f"--log-file={log}"]
    return ["valgrind", *options, *command]


def _read_cachegrind(log: Path, _: resource.struct_rusage) -> float:
    found = _CACHEGRIND_LINE.search(log.read_text())
    if not found:
        raise RulerError("cachegrind has counted no instructions")
    return int(found[1].replace(",", "")) / _MILLION


def _bare(command: Sequence[str], _: Path) -> list[str]:
    return list(command)


def _read_cpu(_: Path, usage: resource.struct_rusage) -> float:
    return 1000 * (usage.ru_utime + usage.ru_stime)


PERF = Ruler("instructions counted by perf", "M instructions", 5, 5, False, _perf, _read_perf)
CACHEGRIND = Ruler(
    "instructions counted by valgrind's cachegrind", "M instructions", 1, 2, True, _cachegrind, _read_cachegrind
)
CPU_TIME = Ruler("CPU time", "ms", 12, 12, False, _bare, _read_cpu)


@cache
def detect() -> Ruler:
    """Returns the best ruler of this machine. In many virtual machines perf exists and counts nothing."""
    return next((each for each in (PERF, CACHEGRIND) if _works(each)), CPU_TIME)


def _works(ruler: Ruler) -> bool:
    if shutil.which(ruler.wrap([], Path())[0]) is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        try:
            subprocess.run(ruler.wrap(["true"], log), capture_output=True, timeout=_PROBE_SECONDS, check=True)
            return ruler.read(log, resource.getrusage(resource.RUSAGE_CHILDREN)) > 0
        except (OSError, subprocess.SubprocessError, RulerError):
            return False


@dataclass(frozen=True)
class Pairs:
    """A function and its floor, measured run by run: the figures of each run in the ruler's unit."""

    function: tuple[float, ...]
    floor: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """The ratio of each run."""
        return tuple(mine / floor for mine, floor in zip(self.function, self.floor, strict=True))

    @property
    def middle(self) -> tuple[float, float]:
        """The figures of the pair with the median ratio."""
        ratios = self.ratios
        at = ratios.index(statistics.median_low(ratios))
        return self.function[at], self.floor[at]

    @property
    def spread(self) -> float:
        """The difference between the largest and the smallest ratio, as a share of the median; 0 for one run."""
        ratios = self.ratios
        return (max(ratios) - min(ratios)) / statistics.median_low(ratios)
