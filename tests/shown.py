"""Reads the command output that the docs show, and the tables in it."""

from __future__ import annotations

import re

from tests.template_file import ROOT


def shown(page: str, command: str) -> str:
    """Returns the output that a page of docs/ shows below ``$ command``."""
    text = (ROOT / "docs" / page).read_text()
    (found,) = re.findall(rf"```\n\$ {re.escape(command)}\n(.*?)```", text, re.DOTALL)
    return str(found)


def rows_of(output: str) -> list[tuple[str, ...]]:
    """Returns the rows of the tables in an output, without borders. A cell of several lines is one text.

    A row begins where its second cell is not empty.
    """
    rows: list[tuple[str, ...]] = []
    for line in output.splitlines():
        cells = [each.strip() for each in line.split("│")[1:-1]]
        if len(cells) < 2:
            continue
        if cells[1]:
            rows.append((cells[0] or (rows[-1][0] if rows else ""), *cells[1:]))
        elif rows:
            rows[-1] = tuple(f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True))
    return rows
