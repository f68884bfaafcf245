"""What a client's days were like: how many sessions and assets, how they ended, and how long crun took.

Everything counts on the UTC day of its ULID, so a day is a range of keys. Counts of parts add up to those of the whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from likeness.domain.asset import AssetStatus
from likeness.domain.ids import milliseconds_of, newest_ulid, oldest_ulid
from likeness.domain.session import SessionStatus

DEFAULT_DAYS = 14
MAX_DAYS = 31
#: ULIDs count from here.
FIRST_DAY = date(1970, 1, 1)
_DAY_MILLISECONDS = 86_400_000
#: Four buckets for each doubling, the first up to one second: a quantile is known to a fifth of itself.
_BUCKETS_PER_DOUBLING = 4


@dataclass(frozen=True, slots=True)
class Period:
    """Whole UTC days, both included."""

    first: date
    last: date

    @property
    def oldest(self) -> str:
        """The first ULID of the first day."""
        return oldest_ulid(_midnight(self.first))

    @property
    def newest(self) -> str:
        """The last ULID of the last day."""
        return newest_ulid(_midnight(self.last) + _DAY_MILLISECONDS - 1)


def _midnight(day: date) -> int:
    return (day.toordinal() - FIRST_DAY.toordinal()) * _DAY_MILLISECONDS


def day_of(ulid: str) -> date:
    """The UTC day on which a ULID was made."""
    return date.fromordinal(FIRST_DAY.toordinal() + milliseconds_of(ulid) // _DAY_MILLISECONDS)


@dataclass(frozen=True, slots=True)
class SessionFact:
    """What counts of a session; ``error`` is the code of its last error."""

    ulid: str
    status: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AssetFact:
    """What counts of an asset; ``seconds`` from its submission until it was active."""

    ulid: str
    status: str
    error: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What counts of a client's sessions and assets, complete from the newest ULID down.

    ``rest`` is the newest ULID that is still to be read, None when everything was.
    """

    sessions: list[SessionFact]
    assets: list[AssetFact]
    rest: str | None


@dataclass(slots=True)
class Day:
    """One day's counts; ``seconds_to_active`` by the upper bounds of their buckets."""

    date: date
    sessions: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    assets: Counter[str] = field(default_factory=Counter)
    asset_failures: Counter[str] = field(default_factory=Counter)
    seconds_to_active: Counter[float] = field(default_factory=Counter)


def _bound(index: int) -> float:
    return round(math.pow(2, index / _BUCKETS_PER_DOUBLING), 3)


def bucket_of(seconds: float) -> float:
    """The smallest of 1, 2^¼, 2^½, … (to the millisecond) that ``seconds`` is not above."""
    if seconds <= 1:
        return 1.0
    index = math.ceil(_BUCKETS_PER_DOUBLING * math.log2(seconds))
    # The rounded bound may lie on the other side of a value that is next to it.
    return next(bound for bound in map(_bound, range(max(0, index - 1), index + 2)) if seconds <= bound)


def tally(sessions: Iterable[SessionFact], assets: Iterable[AssetFact]) -> list[Day]:
    """The days that have something, newest first."""
    days: dict[date, Day] = {}

    def day(ulid: str) -> Day:
        found = day_of(ulid)
        return days.setdefault(found, Day(found))

    for session in sessions:
        of = day(session.ulid)
        of.sessions += 1
        of.statuses[session.status] += 1
        if session.error and session.status == SessionStatus.REQUIRES_INPUT:
            of.failures[session.error] += 1
    for asset in assets:
        of = day(asset.ulid)
        of.assets[asset.status] += 1
        if asset.error and asset.status == AssetStatus.FAILED:
            of.asset_failures[asset.error] += 1
        if asset.seconds is not None:
            of.seconds_to_active[bucket_of(asset.seconds)] += 1
    return [days[each] for each in sorted(days, reverse=True)]
