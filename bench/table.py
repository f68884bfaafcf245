"""A measured figure, with its floor and its goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``measured`` and ``floor`` have the same ``unit``. ``goal`` is an upper bound of their ratio, or of ``measured``
    where there is no floor; with ``at_least`` it is a lower bound. A row without a goal is informative. ``note`` gives
    the reason why a row misses its goal, or explains one that meets it.
    """

    part: str
    figure: str
    measured: float
    unit: str
    floor: float | None = None
    goal: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """``measured`` divided by ``floor``; None without a floor."""
        return self.measured / self.floor if self.floor else None

    @property
    def passes(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        value = self.measured if self.ratio is None else self.ratio
        return value >= self.goal if self.at_least else value <= self.goal

    def as_json(self) -> dict[str, object]:
        """Returns the row for the results file."""
        return asdict(self)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:,.3g}"


def cells(row: Row) -> tuple[str, ...]:
    """Returns the texts of figure, measured, floor, ratio, goal and verdict."""
    sign = "≥" if row.at_least else "≤"
    verdict = {True: "pass", False: "FAIL" if not row.note else "limited", None: ""}[row.passes]
    return (
        row.figure,
        f"{_number(row.measured)} {row.unit}".strip(),
        _number(row.floor),
        _number(row.ratio),
        f"{sign} {_number(row.goal)}" if row.goal is not None else "",
        verdict,
    )


HEAD = ("figure", "measured", "floor", "ratio", "goal", "")


def markdown(rows: Sequence[Row]) -> str:
    """Returns the rows as a Markdown table with numbered notes below; rows with the same note share its number."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    notes: dict[str, int] = {}
    for row in rows:
        shown = list(cells(row))
        if row.note:
            number = notes.setdefault(row.note, len(notes) + 1)
            shown[-1] = f"{shown[-1]} ({number})".strip()
        lines.append("| " + " | ".join(shown) + " |")
    below = [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join(lines) + ("\n\n" + "\n".join(below) if below else "") + "\n"
