"""How many credits are left at crun, as a metric: whoever runs out of them onboards nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from likeness.errors import LikenessError, UpstreamError
from likeness.ports.crun import Crun


class Checked(TypedDict):
    """``outcome`` is ``checked`` or the error's code."""

    outcome: str


@dataclass(frozen=True, slots=True)
class CheckCredits:
    """``left`` takes the credits, ``failed`` hears why they are not known: the next run comes by itself."""

    crun: Crun
    left: Callable[[float], None]
    failed: Callable[[LikenessError], None]

    def __call__(self) -> Checked:
        """Asks once."""
        try:
            self.left(self.crun.balance())
        except UpstreamError as problem:
            self.failed(problem)
            return {"outcome": problem.code}
        return {"outcome": "checked"}
