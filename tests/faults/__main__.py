"""Runs an onboarding with every fault at every call, then with pairs of faults, and prints a table."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterable

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.faults.fault_injection import Call, Fault
from tests.faults.scenarios import INVARIANTS, Outcome, Scenario, explore, number_calls, pairs, singles


@click.command(help=__doc__)
@click.option("--pairs", "wanted", default=300, show_default=True, help="Number of pairs of faults.")
@click.option("--seed", type=int, help="Seed of the pairs; random by default.")
@click.option("--singles/--no-singles", "all_singles", default=True, help="Try every fault at every call.")
@click.option("--workers", default=os.cpu_count() or 1, show_default=True, help="Number of processes.")
def main(wanted: int, seed: int | None, all_singles: bool, workers: int) -> None:
    console = Console(width=120)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    started = time.monotonic()
    calls = number_calls()
    scenarios = [Scenario(), *(singles(calls) if all_singles else ()), *pairs(calls, wanted, seed)]
    played = explore(scenarios, workers=workers)
    outcomes = list(track(played, "playing", total=len(scenarios), console=console, disable=not console.is_terminal))
    console.print(_calls(calls), _results(calls, outcomes))
    broken = [each for each in outcomes if each.broken]
    for outcome in broken[:20]:
        console.print(f"[red]{outcome.scenario}[/] {outcome.fired}")
        for invariant, seen in outcome.broken.items():
            console.print(f"    violated: {invariant}: {seen}", markup=False)
    console.print(f"seed of the pairs: {seed}; {time.monotonic() - started:.0f} s in {workers} processes")
    raise SystemExit(1 if broken else 0)


def _calls(calls: Iterable[Call]) -> Table:
    table = Table("function", "calls in order", title="Calls to other services")
    for function, made in itertools.groupby(calls, lambda each: each.by):
        table.add_row(function, ", ".join(f"{each.number} {each.service}.{each.operation}" for each in made))
    return table


def _results(calls: list[Call], outcomes: list[Outcome]) -> Table:
    table = Table("", "", title="Crash points", show_header=False)
    failures = sum(bool(each.broken) for each in outcomes)
    kinds = Counter(fault for each in outcomes for _, fault in each.scenario.plan)
    table.add_row("calls numbered", str(len(calls)))
    table.add_row("scenarios run", str(len(outcomes)))
    for fault in Fault:
        table.add_row(f"  a call {fault}", str(kinds[fault]))
    table.add_row("faults that occurred", str(sum(len(each.fired) for each in outcomes)))
    table.add_row("invariants checked", str(len(outcomes) * len(INVARIANTS)))
    table.add_row("passed", str(len(outcomes) - failures))
    table.add_row("  verified at the first attempt", str(sum(each.verified_at_first_attempt for each in outcomes)))
    table.add_row("failed", f"[{'red' if failures else 'green'}]{failures}[/]")
    return table


if __name__ == "__main__":
    main()
