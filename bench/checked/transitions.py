"""State transitions of a session, counted while the real state machine runs, beside what its document promises."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from bench.checked.stage import OperationFailed, Stage, answered, stage
from bench.table import Row
from likeness.domain.asset import AssetStatus

ASSETS = (1, 2, 5, 20)
#: When a session's files become Active, in seconds after they came to crun: the more time, the more polls.
SETTLED_AFTER_SECONDS = (2.0, 60.0)
#: ChooseWork, LookUpResult, RouteResult, SaveGroup, ClaimAssets, RoutePlan, SubmitAssets, Done; in a poll Wait,
#: PollAssets, RoutePlan.
_ONCE, _PER_POLL = 8, 3


@dataclass(frozen=True)
class Counted:
    """One person's execution: files, polls, and the transitions that were counted."""

    assets: int
    settled_after: float
    polls: int
    transitions: int

    @property
    def promised(self) -> int:
        """A fixed part, one for each file, three for each poll."""
        return _ONCE + self.assets + _PER_POLL * self.polls

    @property
    def naive(self) -> int:
        """A loop of its own for each file: submit, then wait, ask and choose in each poll, and the end."""
        return self.assets * (_PER_POLL * self.polls + 2)


def count(at: Stage, assets: int, settled_after: float) -> Counted:
    """One person whose files are checked before the callback comes, to the end."""
    at.clear()
    outcome = {"name": "*", "outcome": "active", "after_seconds": settled_after}
    at.where.simulator.update_settings(asset_outcomes=[outcome])
    session, callback = at.passed()
    at.add_assets(session, *["face"] * assets)
    at.where.state_machine.transitions.clear()
    with at.invocations() as invoked:
        answered(at.where.browser(callback), 303)
        at.where.settle()
    if [each.status for each in at.where.store.list_assets(session)] != [AssetStatus.ACTIVE] * assets:
        raise OperationFailed("not every file became Active")
    return Counted(assets, settled_after, invoked["poll_assets"], at.where.state_machine.transitions.total())


@functools.cache
def counted() -> tuple[Counted, ...]:
    """Every number of files, with few polls and with more; once for the life of the process."""
    with stage() as at:
        return tuple(count(at, assets, after) for after in SETTLED_AFTER_SECONDS for assets in ASSETS)


def transitions() -> dict[str, int]:
    """``{"5 files, Active after 60 s": transitions}``."""
    return {f"{each.assets} files, Active after {each.settled_after:.0f} s": each.transitions for each in counted()}


def _name(of: Counted) -> str:
    return f"{of.assets} file{'s' * (of.assets > 1)}, {of.polls} poll{'s' * (of.polls > 1)}"


def rows() -> list[Row]:
    """Counted against the document's promise; and, to look at, against a loop for each file."""
    promised = [
        Row("transitions", _name(each), each.transitions, "transitions", floor=each.promised, goal=1)
        for each in counted()
    ]
    naive = [
        Row(
            "transitions",
            f"{_name(each)}, beside a loop for each file",
            each.transitions,
            "transitions",
            floor=each.naive,
            note="only the loops; the face check is added to them",
        )
        for each in counted()
        if each.assets > 1
    ]
    return promised + naive


def extra() -> dict[str, Any]:
    """For a plot: by number of files, what was counted and what loops for each file would take."""
    return {
        "points": [
            {"assets": each.assets, "polls": each.polls, "counted": each.transitions, "naive": each.naive}
            for each in counted()
        ]
    }
