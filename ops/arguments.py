"""What several commands of ``python -m ops`` are given: ids, which a pattern decides on, and ``--json``."""

from __future__ import annotations

import re
from typing import Any

import click

from likeness.domain.generation import GENERATION_ID
from likeness.domain.ids import ASSET_ID, SESSION_ID


class Matching(click.ParamType):
    """A value that ``pattern`` matches as a whole. ``expected`` is the message for any other."""

    def __init__(self, name: str, pattern: re.Pattern[str], expected: str) -> None:
        self.name = name
        self._pattern, self._expected = pattern, expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not self._pattern.fullmatch(str(value)):
            self.fail(self._expected, param, ctx)
        return str(value)


SESSION = Matching("session_id", SESSION_ID, "a session's id is ses_ and 26 capital letters and digits")
ASSET = Matching("asset_id", ASSET_ID, "an asset's id is ast_ and 26 capital letters and digits")
GENERATION = Matching("generation_id", GENERATION_ID, "a generation's id is gen_ and 26 capital letters and digits")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
