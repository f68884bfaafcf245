"""The check against the baseline fails for each figure that got worse, with a line that names the change."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.checked.check import BASELINE, check

Figures = dict[str, Any]


@pytest.fixture
def kept() -> Figures:
    found: Figures = json.loads(BASELINE.read_text())
    return found


def _check(kept: Figures, now: Figures, folder: Path, *, accept: bool = False) -> int:
    baseline = folder / "baseline.json"
    baseline.write_text(json.dumps(kept))
    return check(accept, baseline=baseline, measured=lambda: now, stale=list)


def _one_call_more(now: Figures) -> None:
    now["calls"]["create_session"]["sqs.SendMessage"] += 1


def _a_scan(now: Figures) -> None:
    now["calls"]["claim_assets"]["dynamodb.Scan"] = 1


def _one_transition_more(now: Figures) -> None:
    now["transitions"]["5 files, Active after 60 s"] += 1


def _a_tenth_more_modules(now: Figures) -> None:
    now["modules"]["authorize"] *= 1.1


def _another_package(now: Figures) -> None:
    now["packages"]["authorize"].append("pandas")


def _a_tenth_more_bytes(now: Figures) -> None:
    now["layers"]["likeness"] *= 1.1


def _one_request_more(now: Figures) -> None:
    now["page requests"]["invite"] += 1


def _a_heavier_page(now: Figures) -> None:
    now["page bytes"]["console"] *= 1.03


def _a_longer_cold_path(now: Figures) -> None:
    now["cold path"]["modules"] *= 1.03


def _no_longer_measured(now: Figures) -> None:
    del now["calls"]["get_session"]


@pytest.mark.parametrize(
    ("spoil", "output"),
    [
        (_one_call_more, "(+1): sqs.SendMessage +1"),
        (_a_scan, "(+1): dynamodb.Scan +1"),
        (_one_transition_more, "transitions: 5 files, Active after 60 s"),
        (_a_tenth_more_modules, "modules: authorize"),
        (_another_package, "packages: authorize imports pandas"),
        (_a_tenth_more_bytes, "layers: likeness"),
        (_one_request_more, "page requests: invite"),
        (_a_heavier_page, "page bytes: console"),
        (_a_longer_cold_path, "cold path: modules"),
        (_no_longer_measured, "calls: get_session is no longer measured"),
    ],
)
def test_a_worse_figure_fails_with_one_line(
    kept: Figures,
    spoil: Callable[[Figures], None],
    output: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = copy.deepcopy(kept)
    spoil(now)
    assert _check(kept, now, tmp_path) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("worse: ")
    assert output in line


def test_unchanged_figures_pass(kept: Figures, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _check(kept, kept, tmp_path) == 0
    assert capsys.readouterr().out == "nothing got worse\n"


def test_a_better_figure_passes_and_can_be_kept(
    kept: Figures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = copy.deepcopy(kept)
    del now["calls"]["get_stats"]["dynamodb.Query"]
    assert _check(kept, now, tmp_path) == 0
    assert "better: calls: get_stats 2 → 0 (-2): dynamodb.Query -2; --accept saves it" in (capsys.readouterr().out)
    assert _check(kept, now, tmp_path, accept=True) == 0
    assert json.loads((tmp_path / "baseline.json").read_text()) == now


def test_replacing_one_call_by_another_is_not_worse(kept: Figures, tmp_path: Path) -> None:
    now = copy.deepcopy(kept)
    reads = now["calls"]["get_stats"].pop("dynamodb.Query")
    now["calls"]["get_stats"]["dynamodb.BatchGetItem"] = reads
    assert _check(kept, now, tmp_path) == 0


def test_modules_are_not_compared_between_python_versions(
    kept: Figures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = copy.deepcopy(kept) | {"python": "3.99"}
    _a_tenth_more_modules(now)
    assert _check(kept, now, tmp_path) == 0
    assert "modules are not compared" in capsys.readouterr().out


def test_an_outdated_usage_record_fails(kept: Figures, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(False, measured=lambda: kept, stale=lambda: ["persons 1: calls 30 → 40"]) == 1
    line = "ops/usage.json is out of date: persons 1: calls 30 → 40; run python -m bench usage"
    assert line in capsys.readouterr().out
