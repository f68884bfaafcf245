"""Reports the credits left at crun as a metric: without credits nobody can be onboarded."""

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
    """Reports the credits to ``left``, or the error to ``failed``. The schedule starts the next run."""

    crun: Crun
    left: Callable[[float], None]
    failed: Callable[[LikenessError], None]

    def __call__(self) -> Checked:
        """Calls crun once."""
        try:
            self.left(self.crun.balance())
        except UpstreamError as problem:
            self.failed(problem)
            return {"outcome": problem.code}
        return {"outcome": "checked"}
