"""The benchmark's runner and its page, with invented figures."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from bench import document, parts, plots
from bench.__main__ import main
from bench.parts import Machine, Result
from bench.table import Row

_MACHINE = Machine("Some processor", 2, "3.11.7", "2026-01-02")
_EXTRA: dict[str, dict[str, Any]] = {
    "transitions": {
        "points": [
            {"assets": n, "polls": polls, "counted": 8 + n + 3 * polls, "naive": n * (3 * polls + 2)}
            for n in (1, 2, 5, 20)
            for polls in (1, 7)
        ]
    },
    "polling": {
        "panels": {
            name: {
                "learned": [[8, 0.6], [4, 2], [2, 6]],
                "real": [4, 2],
                "peers": {f"fixed {n} s": [n, 9 / n] for n in (2, 5, 10)},
                "front": [[2, 6], [4, 2], [8, 0.6]],
            }
            for name in ("median 5 s", "median 20 s", "median 90 s")
        },
    },
    "cold_start": {
        "functions": {
            f"function_{n}": dict(zip((*plots.PHASES, "floor"), (60, 90 + n, 120, 20, 330), strict=True))
            for n in range(14)
        }
    },
    "memory": {"table": [["function", "512 MB"], ["authorize", "0.50 s"]]},
    "dollars": {"assets": [1, 5], "lines": {"at list prices": [0.4, 1.1]}},
}


def _result(part: str, *rows: Row) -> Result:
    return Result(part, 1.5, _MACHINE, list(rows) or [Row(part, "a figure", 3, "ms", 2, 2)], _EXTRA.get(part, {}))


RESULTS = [_result(part) for part in parts.PARTS]


def test_the_page_shows_every_part_with_its_plot_and_machine(tmp_path: Path) -> None:
    page = document.write(RESULTS, tmp_path).read_text()
    assert page.count("| a figure | 3 ms | 2 | 1.5 | ≤ 2 | pass |") == len(parts.PARTS)
    assert f"{len(parts.PARTS)} of {len(parts.PARTS)} goals are met." in page
    assert "- Some processor, 2 processors, Python 3.11.7, 2026-01-02\n" in page
    assert "| authorize | 0.50 s |" in page
    drawn = {each.name for each in (tmp_path / "images").iterdir()}
    assert drawn == {f"bench-{each}.svg" for each in ("cold-start", "dollars", "polling", "transitions")}
    assert all(f"(images/{name})" in page for name in drawn)


def test_plots_are_small_and_reproducible(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        document.write(RESULTS, _made(tmp_path / folder))
    for file in (tmp_path / "one" / "images").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / "images" / file.name).read_bytes()
        assert file.stat().st_size < 60_000
        assert b"<dc:date>" not in file.read_bytes()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_missed_goal_is_named_and_one_with_a_reason_is_counted(tmp_path: Path) -> None:
    missed = Row("warm", "slow", 5, "ms", 1, 2)
    page = document.write([_result("warm", missed, replace(missed, note="a law of nature"))], tmp_path).read_text()
    assert "0 of 2 goals are met. 1 is missed for a stated reason. Missed: slow (warm)." in page
    assert "1. a law of nature" in page


def test_parts_from_several_days_show_their_dates(tmp_path: Path) -> None:
    other = replace(_result("tls"), machine=replace(_MACHINE, date="2026-01-03"))
    page = document.write([_result("warm"), other], tmp_path).read_text()
    assert "2026-01-02: warm\n" in page
    assert "2026-01-03: tls\n" in page


def test_a_stored_result_is_read_back_unchanged(tmp_path: Path) -> None:
    for result in RESULTS:
        parts.save(result, tmp_path)
    assert parts.load(tmp_path) == RESULTS


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three fake parts, and another folder for results."""
    monkeypatch.setattr(parts, "PARTS", {name: (f"made_up_{name}", 60) for name in ("good", "bad", "broken")})
    monkeypatch.setattr(parts, "RESULTS", tmp_path)

    def broken() -> list[Row]:
        raise ZeroDivisionError

    found = {
        "good": lambda: [Row("good", "a", 1, "", 1, 1)],
        "bad": lambda: [Row("bad", "a", 2, "", 1, 1)],
        "broken": broken,
    }
    for name, rows in found.items():
        module = ModuleType(f"made_up_{name}")
        module.__dict__["rows"] = rows
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize(("wanted", "code"), [(["good"], 0), (["bad"], 1), (["broken", "good"], 1), (["nothing"], 1)])
def test_the_exit_code_shows_whether_all_parts_passed(made_up: None, wanted: list[str], code: int) -> None:
    ran = CliRunner().invoke(main, ["run", *(word for part in wanted for word in ("--only", part))])
    assert ran.exit_code == code, ran.output


def test_a_broken_part_does_not_stop_the_others(made_up: None, tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["run"])
    assert ran.exit_code == 1
    assert "broken failed" in ran.output
    assert "ZeroDivisionError" in ran.output
    assert {each.name for each in tmp_path.iterdir()} == {"good.json", "bad.json"}


def test_a_part_whose_module_is_missing_is_named(made_up: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts.PARTS, "later", ("made_up_later", 60))
    ran = CliRunner().invoke(main, ["run", "--only", "later"])
    assert ran.exit_code == 1
    assert "the part later cannot run: made_up_later is missing" in ran.output


def test_a_part_may_return_more_than_rows(made_up: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules["made_up_good"].__dict__, "extra", lambda: {"table": [["a"], ["b"]]})
    assert parts.run("good").extra == {"table": [["a"], ["b"]]}
