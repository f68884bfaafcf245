"""Compares the figures that are the same on every machine with their baseline: ``python -m bench check``.

A figure that got worse fails the check. One that got better or is new is printed; ``--accept`` saves it.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.checked import calls, pages, transitions, usage, weight

BASELINE = Path(__file__).with_name("baseline.json")
#: Modules and bytes vary a little with every version of a package; calls, transitions and requests do not.
_TOLERANCE = {"modules": 0.05, "layers": 0.05, "page bytes": 0.02, "cold path": 0.02}
#: The functions that start between a callback and the first submission of a file, when all are cold.
COLD_PATH = ("receive_callback", "start_onboarding", "look_up_result", "claim_assets", "submit_asset")
#: A mean number of calls counts as changed from this difference on.
_CALLS = 0.05
_PYTHON = ".".join(platform.python_version_tuple()[:2])

#: ``{"calls": {operation: {"service.Operation": calls}}, "transitions": {case: n}, "modules": {function: n},
#: "packages": {function: [names]}, "layers": {layer: bytes}, "page requests": {page: n}, "page bytes": {page: bytes},
#: "cold path": {"modules": n}, "python": "3.11"}``
Figures = Mapping[str, Any]


@dataclass
class Verdict:
    """One line for each figure that differs, with the difference."""

    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def measure() -> Figures:
    """Returns the current figures, within a minute."""
    loaded, views = weight.imports(), pages.views()
    return {
        "python": _PYTHON,
        "calls": calls.calls(),
        "transitions": transitions.transitions(),
        "modules": {name: each.modules for name, each in loaded.items()},
        "packages": {name: list(each.packages) for name, each in loaded.items()},
        "layers": weight.layers(),
        "page requests": {name: each["requests"] for name, each in views.items()},
        "page bytes": {name: each["bytes"] for name, each in views.items()},
        "cold path": {"modules": sum(loaded[each].modules for each in COLD_PATH)},
    }


def compare(now: Figures, kept: Figures) -> Verdict:
    """Returns the differences between two sets of figures. Modules are compared only for the same Python version."""
    verdict = Verdict()
    kinds = ["calls", "transitions", "layers", "page requests", "page bytes"]
    if now["python"] == kept["python"]:
        kinds += ["modules", "packages", "cold path"]
    for kind in kinds:
        before, after = kept.get(kind, {}), now[kind]
        verdict.worse += [f"{kind}: {name} is no longer measured" for name in before.keys() - after.keys()]
        verdict.new += [f"{kind}: {name}" for name in after.keys() - before.keys()]
        for name in before.keys() & after.keys():
            _compare_one(verdict, kind, name, before[name], after[name])
    for lines in (verdict.worse, verdict.better, verdict.new):
        lines.sort()
    return verdict


def _compare_one(verdict: Verdict, kind: str, name: str, before: Any, after: Any) -> None:
    if kind == "packages":
        verdict.worse += [f"packages: {name} imports {each}" for each in after if each not in before]
        verdict.better += [f"packages: {name} no longer imports {each}" for each in before if each not in after]
        return
    old, new = _total(before), _total(after)
    margin = _CALLS if kind == "calls" else old * _TOLERANCE.get(kind, 0)
    line = f"{kind}: {name} {old:g} → {new:g} ({new - old:+g}){_split(before, after)}"
    if new > old + margin:
        verdict.worse.append(line)
    elif new < old - margin:
        verdict.better.append(line)


def _total(figure: Any) -> float:
    return round(sum(figure.values()), 3) if isinstance(figure, dict) else float(figure)


def _split(before: Any, after: Any) -> str:
    """Returns which calls make the difference."""
    if not isinstance(before, dict):
        return ""
    changes = {each: round(after.get(each, 0) - before.get(each, 0), 3) for each in {*before, *after}}
    listed = [f"{name} {change:+g}" for name, change in sorted(changes.items()) if change]
    return f": {', '.join(listed)}" if listed else ""


def check(
    accept: bool,
    *,
    baseline: Path = BASELINE,
    measured: Callable[[], Figures] = measure,
    stale: Callable[[], list[str]] = usage.stale,
) -> int:
    """Prints what differs from the baseline, and returns 1 when something got worse. ``accept`` saves a new baseline.

    The usage of people is compared with ops/usage.json, which `python -m bench usage` writes.
    """
    now = measured()
    if accept:
        baseline.write_text(json.dumps(now, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        print(f"saved in {baseline.name}")
        return 0
    kept = json.loads(baseline.read_text())
    if now["python"] != kept["python"]:
        print(f"modules are not compared: the baseline is from Python {kept['python']}, this is {now['python']}")
    verdict = compare(now, kept)
    verdict.worse += [f"ops/usage.json is out of date: {each}; run python -m bench usage" for each in stale()]
    for line in verdict.worse:
        print(f"worse: {line}")
    for line in verdict.better:
        print(f"better: {line}; --accept saves it")
    for line in verdict.new:
        print(f"new: {line}; --accept saves it")
    if not verdict.worse:
        print("nothing got worse")
    return 1 if verdict.worse else 0
