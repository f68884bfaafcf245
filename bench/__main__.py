"""``python -m bench run``, ``report``, ``usage`` and ``check``."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from bench import document, goals, parts
from bench.studies.ruler import detect
from bench.table import HEAD, Row, cells
from local.processes import ROOT


@click.group()
def main() -> None:
    """Benchmarks of latency and cost, compared with a floor that is measured in the same run."""


@main.command()
@click.option(
    "--only", "wanted", multiple=True, metavar="PART", help="Measure this part only. Can be given several times."
)
@click.option("--write", is_flag=True, help="Write docs/performance.md from the last results of all parts.")
@click.option(
    "--slower", default=1.0, show_default=True, metavar="FACTOR", help="Multiply all bounds, on a machine that is busy."
)
def run(wanted: tuple[str, ...], write: bool, slower: float) -> None:
    """Measure. The exit code is 1 when a part fails, or a figure misses its goal without a stated reason."""
    console, began = _console(), time.monotonic()
    console.print(f"starts are measured by {detect().name}")
    times, passed = [], []
    for part in wanted or parts.PARTS:  # a part that fails does not stop the others
        left = parts.LIMIT_SECONDS * slower - (time.monotonic() - began)
        at = time.monotonic()
        passed.append(_measure(part, console, slower, left))
        times.append(f"{part} {time.monotonic() - at:.0f}")
    if table := goals.table(parts.load()):
        console.print(_rows(table, "Goals"))
    console.print(f"{time.monotonic() - began:.0f} s in total: {', '.join(times)}")
    if write:
        _write(console)
    sys.exit(not all(passed))


@main.command()
def report() -> None:
    """Write docs/performance.md from the last results, without measuring."""
    _write(_console())


@main.command()
def usage() -> None:
    """Onboard people in simulated AWS and write their usage to ops/usage.json, for `python -m ops cost`."""
    written = importlib.import_module("bench.studies.dollars").write_record()
    _console().print(f"written: {written.relative_to(ROOT)}")


@main.command()
@click.option("--accept", is_flag=True, help="Save the current figures as the new baseline.")
def check(accept: bool) -> None:
    """Compare the figures that are the same on every machine with their baseline; 1 when one got worse."""
    sys.exit(importlib.import_module("bench.checked.check").check(accept))


def _measure(part: str, console: Console, slower: float, left: float) -> bool:
    try:
        result = parts.run(part, slower=slower, left=left)
    except parts.PartError as error:
        console.print(f"[red]{error}[/]\n")
        return False
    except Exception:
        console.print(f"[red]{part} failed[/]")
        console.print(traceback.format_exc(), markup=False)
        return False
    parts.save(result)
    console.print(_table(result))
    for row in result.rows:
        if row.note:
            console.print(f"  {row.figure}: {row.note}", markup=False)
    console.print()
    return not result.failures


def _table(result: parts.Result) -> Table:
    return _rows(result.rows, f"{result.part}, {result.seconds:.0f} s")


def _rows(rows: Sequence[Row], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in HEAD:
        table.add_column(name, justify="left" if name in ("figure", "") else "right", overflow="fold")
    colours = {"FAIL": "red", "limited": "yellow", "pass": "green"}
    for row in rows:
        *values, verdict = cells(row)
        colour = colours.get(verdict)
        table.add_row(*values, f"[{colour}]{verdict}[/]" if colour else verdict)
    return table


def _write(console: Console) -> None:
    results = parts.load()
    if not results:
        raise click.ClickException("no results yet: run `make bench` first")
    console.print(f"written: {document.write(results).relative_to(ROOT)}")


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


if __name__ == "__main__":
    main()
