"""The parts of the benchmark: their names, how to run one, and where its results are stored.

A part is a module with ``rows() -> list[Row]``. It may also have ``extra() -> dict[str, Any]``, which is called after
``rows()`` in the same process: JSON for plots and tables that do not fit into rows (bench/plots.py defines it).
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.table import Row
from local.processes import ROOT

RESULTS = ROOT / "build" / "bench"
PARTS = {
    "calls": "bench.checked.calls",
    "transitions": "bench.checked.transitions",
    "polling": "bench.studies.polling",
    "bytecode": "bench.studies.bytecode",
    "tls": "bench.studies.tls",
    "cold_start": "bench.studies.cold_start",
    "warm": "bench.studies.warm",
    "growth": "bench.studies.growth",
    "deployed": "bench.studies.deployed",
    "drop_in": "bench.studies.drop_in",
    "memory": "bench.studies.memory",
    "dollars": "bench.studies.dollars",
}


class PartError(RuntimeError):
    """When a part does not exist, or its module is missing."""


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


def run(part: str) -> Result:
    """Measures one part. Raises PartError when it does not exist, and whatever the part itself raises."""
    module = _module(part)
    began = time.monotonic()
    rows: list[Row] = module.rows()
    extra: dict[str, Any] = module.extra() if hasattr(module, "extra") else {}
    return Result(part, time.monotonic() - began, this_machine(), rows, extra)


def _module(part: str) -> Any:
    if part not in PARTS:
        raise PartError(f"unknown part {part}; the parts are {', '.join(PARTS)}")
    name = PARTS[part]
    try:
        return importlib.import_module(name)
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
