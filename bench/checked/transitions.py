"""State transitions of a session and of a video, counted while the real machines run, beside what is documented."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from bench.checked.stage import OperationFailed, Stage, answered, stage
from bench.table import Row
from likeness.domain.asset import AssetStatus

ASSETS = (1, 2, 5, 20)
#: Seconds from a file's submission to crun until it is Active: more time means more polls.
SETTLED_AFTER_SECONDS = (2.0, 60.0)
#: ChooseWork, LookUpResult, RouteResult, SaveGroup, ClaimAssets, RoutePlan, SubmitAssets, Done; in a poll Wait,
#: PollAssets, RoutePlan.
_ONCE, _PER_POLL = 8, 3


#: Seconds after which crun has made a video.
MADE_AFTER_SECONDS = (30.0, 900.0)
#: CreateTask, RouteTask, SaveMedia, Done; in a poll Wait, PollTask, RouteTask.
_ONCE_PER_VIDEO = 4


@dataclass(frozen=True)
class CountedVideo:
    """One generation's execution: numbers of polls and transitions."""

    made_after: float
    polls: int
    transitions: int

    @property
    def documented(self) -> int:
        """The documented number: a fixed part, three for each poll."""
        return _ONCE_PER_VIDEO + _PER_POLL * self.polls


def count_video(at: Stage, made_after: float) -> CountedVideo:
    """Runs one generation's execution to its end, without a callback."""
    at.clear()
    outcome = {"prompt": "*", "outcome": "success", "after_seconds": made_after}
    at.where.simulator.update_settings(task_outcomes=[outcome])
    at.where.state_machine.transitions.clear()
    with at.invocations() as invoked:
        video = at.asked()
        at.where.settle()
    if len(video.files()) != 1:
        raise OperationFailed("the video was not saved")
    return CountedVideo(made_after, invoked["poll_task"], at.where.state_machine.transitions.total())


@dataclass(frozen=True)
class Counted:
    """One person's execution: numbers of files, polls and transitions."""

    assets: int
    settled_after: float
    polls: int
    transitions: int

    @property
    def documented(self) -> int:
        """The documented number: a fixed part, one for each file, three for each poll."""
        return _ONCE + self.assets + _PER_POLL * self.polls

    @property
    def naive(self) -> int:
        """The number with a loop for each file: submit, then wait, poll and choose for each poll, and the end."""
        return self.assets * (_PER_POLL * self.polls + 2)


def count(at: Stage, assets: int, settled_after: float) -> Counted:
    """Runs one person's execution to its end; the files have been checked before the callback arrives."""
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
    """Returns every number of files, with few polls and with more; counted once per process."""
    with stage() as at:
        return tuple(count(at, assets, after) for after in SETTLED_AFTER_SECONDS for assets in ASSETS)


@functools.cache
def counted_videos() -> tuple[CountedVideo, ...]:
    """Returns a video that is made quickly and one that is not; counted once per process."""
    with stage() as at:
        return tuple(count_video(at, after) for after in MADE_AFTER_SECONDS)


def transitions() -> dict[str, int]:
    """Returns ``{"5 files, Active after 60 s": transitions, "a video, made after 30 s": transitions}``."""
    files = {f"{each.assets} files, Active after {each.settled_after:.0f} s": each.transitions for each in counted()}
    return files | {f"a video, made after {each.made_after:.0f} s": each.transitions for each in counted_videos()}


def _name(of: Counted) -> str:
    return f"{of.assets} file{'s' * (of.assets > 1)}, {of.polls} poll{'s' * (of.polls > 1)}"


def rows() -> list[Row]:
    """Returns the counts compared with the documented number, and, without a goal, with a loop for each file."""
    documented = [
        Row("transitions", _name(each), each.transitions, "transitions", floor=each.documented, goal=1)
        for each in counted()
    ]
    naive = [
        Row(
            "transitions",
            f"{_name(each)}, compared with a loop for each file",
            each.transitions,
            "transitions",
            floor=each.naive,
            note="Only the loops; a face check adds transitions to them.",
        )
        for each in counted()
        if each.assets > 1
    ]
    videos = [
        Row("transitions", f"a video, {each.polls} polls", each.transitions, "transitions", each.documented, goal=1)
        for each in counted_videos()
    ]
    return documented + naive + videos


def extra() -> dict[str, Any]:
    """Returns the plot's data: by number of files, the counted transitions and those of a loop for each file."""
    return {
        "points": [
            {"assets": each.assets, "polls": each.polls, "counted": each.transitions, "naive": each.naive}
            for each in counted()
        ]
    }
