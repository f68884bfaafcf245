"""The figures that a person, a developer or an operator feels, collected from all parts into one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.parts import Result
from bench.table import Row

#: The parts whose rows with a goal are all in the table, and the beginnings of the figures of others.
WHOLE = ("pages", "cold_start", "capacity")
SOME = {"memory": "press of Start", "polling": "Active to the event"}


def table(results: Sequence[Result]) -> list[Row]:
    """Returns the rows in the order of the parts. A part that is not measured has none."""
    return [
        replace(row, figure=f"{result.part}: {row.figure}")
        for result in results
        for row in result.rows
        if row.goal is not None and (result.part in WHOLE or row.figure.startswith(SOME.get(result.part, "\0")))
    ]
