"""The figures that are the same on every machine, against those that were kept: ``python -m bench check``.

What got worse fails; what got better, or is new, is told and may be kept with ``--accept``.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.checked import calls, transitions, usage, weight

BASELINE = Path(__file__).with_name("baseline.json")
#: Modules and bytes change a little with every version of a package; a call more is a call more.
_TOLERANCE = {"modules": 0.05, "layers": 0.05}
#: A mean of calls counts as changed from here on.
_CALLS = 0.05
_PYTHON = ".".join(platform.python_version_tuple()[:2])

#: ``{"calls": {operation: {"service.Operation": calls}}, "transitions": {case: n}, "modules": {function: n},
#: "packages": {function: [names]}, "layers": {layer: bytes}, "python": "3.11"}``
Figures = Mapping[str, Any]


@dataclass
class Verdict:
    """Lines that say what differs, and by what."""

    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def measure() -> Figures:
    """The figures as they are now; under a minute."""
    loaded = weight.imports()
    return {
        "python": _PYTHON,
        "calls": calls.calls(),
        "transitions": transitions.transitions(),
        "modules": {name: each.modules for name, each in loaded.items()},
        "packages": {name: list(each.packages) for name, each in loaded.items()},
        "layers": weight.layers(),
    }


def compare(now: Figures, kept: Figures) -> Verdict:
    """What differs between two sets of figures. Modules are compared only between runs of the same Python."""
    verdict = Verdict()
    kinds = ["calls", "transitions", "layers", *(["modules", "packages"] if now["python"] == kept["python"] else [])]
    for kind in kinds:
        before, after = kept.get(kind, {}), now[kind]
        verdict.worse += [f"{kind}: {name} is not measured any more" for name in before.keys() - after.keys()]
        verdict.new += [f"{kind}: {name}" for name in after.keys() - before.keys()]
        for name in before.keys() & after.keys():
            _compare_one(verdict, kind, name, before[name], after[name])
    for lines in (verdict.worse, verdict.better, verdict.new):
        lines.sort()
    return verdict


def _compare_one(verdict: Verdict, kind: str, name: str, before: Any, after: Any) -> None:
    if kind == "packages":
        verdict.worse += [f"packages: {name} imports {each}" for each in after if each not in before]
        verdict.better += [f"packages: {name} imports {each} no more" for each in before if each not in after]
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
    """Which calls make the difference."""
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
    """Prints what differs from the baseline; 1 when something got worse. ``accept`` keeps what was found instead.

    What persons use is compared with ops/usage.json: `python -m bench usage` writes that anew.
    """
    now = measured()
    if accept:
        baseline.write_text(json.dumps(now, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        print(f"kept in {baseline.name}")
        return 0
    kept = json.loads(baseline.read_text())
    if now["python"] != kept["python"]:
        print(f"modules are not compared: the baseline is of Python {kept['python']}, this is {now['python']}")
    verdict = compare(now, kept)
    verdict.worse += [f"ops/usage.json is out of date: {each}; python -m bench usage" for each in stale()]
    for line in verdict.worse:
        print(f"worse: {line}")
    for line in verdict.better:
        print(f"better: {line}; run with --accept to keep it")
    for line in verdict.new:
        print(f"new: {line}; run with --accept to keep it")
    if not verdict.worse:
        print("nothing got worse")
    return 1 if verdict.worse else 0
