"""The parts of the benchmark: their names, how to run one, and where its results are stored.

A part is a module with ``rows() -> list[Row]``. It may also have ``extra() -> dict[str, Any]``, which is called after
``rows()`` in the same process: JSON for plots and tables that do not fit into rows (bench/plots.py defines it).
"""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.table import Row
from local.processes import ROOT

RESULTS = ROOT / "build" / "bench"
#: Each part's module, and the seconds after which it is ended: about twice what it needs on two idle processors.
PARTS = {
    "calls": ("bench.checked.calls", 40),
    "transitions": ("bench.checked.transitions", 20),
    "polling": ("bench.studies.polling", 75),
    "bytecode": ("bench.studies.bytecode", 45),
    "tls": ("bench.studies.tls", 20),
    "cold_start": ("bench.studies.cold_start", 240),
    "warm": ("bench.studies.warm", 40),
    "growth": ("bench.studies.growth", 60),
    "deployed": ("bench.studies.deployed", 100),
    "drop_in": ("bench.studies.drop_in", 90),
    "pages": ("bench.studies.pages", 60),
    "memory": ("bench.studies.memory", 90),
    "dollars": ("bench.studies.dollars", 75),
    "capacity": ("bench.studies.capacity", 120),
}
#: The seconds after which all parts together are ended.
LIMIT_SECONDS = 720
#: A part that is being ended is interrupted again after this many seconds.
_AGAIN_SECONDS = 15


class PartError(RuntimeError):
    """When a part does not exist, or its module is missing."""


class PartTimeout(BaseException):
    """When a part exceeds its bound. Not an Exception, so that no part handles it by mistake."""


@dataclass(frozen=True)
class Machine:
    """Where and when a part was measured; nothing identifies the machine or its owner."""

    processor: str
    cores: int
    python: str
    date: str


@dataclass(frozen=True)
class Result:
    """The figures of a part, and how many ``seconds`` it took to measure them."""

    part: str
    seconds: float
    machine: Machine
    rows: list[Row]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> list[Row]:
        """The rows that miss their goal without a stated reason."""
        return [row for row in self.rows if row.passes is False and not row.note]


def run(part: str, *, slower: float = 1, left: float = math.inf) -> Result:
    """Measures one part. Raises PartError when it does not exist or exceeds its bound, and what the part itself raises.

    ``slower`` multiplies the bound, for a machine that does other work; ``left`` are the seconds that all parts have.
    """
    module, own = _module(part)
    bound = min(own * slower, left)
    if bound <= 0:
        raise PartError(f"{part} was not measured: the time of all parts is over")
    began = time.monotonic()
    try:
        with _bounded(bound):
            rows: list[Row] = module.rows()
            extra: dict[str, Any] = module.extra() if hasattr(module, "extra") else {}
    except PartTimeout:
        raise PartError(
            f"{part} was ended after {time.monotonic() - began:.0f} s: its bound is {bound:.0f} s"
        ) from None
    return Result(part, time.monotonic() - began, this_machine(), rows, extra)


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raises PartTimeout in the block after ``seconds``, and again while the block does not end: its stacks stop."""

    def end(*_: object) -> None:
        raise PartTimeout

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _module(part: str) -> tuple[Any, int]:
    if part not in PARTS:
        raise PartError(f"unknown part {part}; the parts are {', '.join(PARTS)}")
    name, bound = PARTS[part]
    try:
        return importlib.import_module(name), bound
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        raise PartError(f"the part {part} cannot run: {name} is missing") from exc


def this_machine() -> Machine:
    """Returns the facts on which a figure depends."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(_processor(), cores, platform.python_version(), datetime.now(UTC).date().isoformat())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def save(result: Result, folder: Path | None = None) -> None:
    """Stores the result as the part's last one."""
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "part": result.part,
        "seconds": round(result.seconds, 1),
        "machine": {name: getattr(result.machine, name) for name in Machine.__dataclass_fields__},
        "rows": [row.as_json() for row in result.rows],
        "extra": result.extra,
    }
    (folder / f"{result.part}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def load(folder: Path | None = None) -> list[Result]:
    """Returns the last result of each part that has one, in the order of the parts."""
    folder = folder or RESULTS
    found = []
    for part in PARTS:
        file = folder / f"{part}.json"
        if file.exists():
            kept = json.loads(file.read_text())
            kept["machine"] = Machine(**kept["machine"])
            kept["rows"] = [Row(**row) for row in kept["rows"]]
            found.append(Result(**kept))
    return found
