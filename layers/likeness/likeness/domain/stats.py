"""A client's statistics by day: the numbers of sessions and assets, their outcomes, and crun's processing times.

Everything counts for the UTC day of its ULID, so a day is a range of keys. Counts of parts add up to the whole.
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
#: The epoch of ULIDs.
FIRST_DAY = date(1970, 1, 1)
_DAY_MILLISECONDS = 86_400_000
#: Four buckets per doubling, the first up to one second: a quantile is accurate to 20 percent.
_BUCKETS_PER_DOUBLING = 4
#: What a session reaches after it was created, in the usual order. A session never leaves a step that it has reached:
#: not with a new link, and not when it is erased.
#:
#: ``consented``: a consent is on record. ``opened``: the first link to the face check was created. ``checked``: a
#: result of the face check arrived, passed or not. ``passed``: one of them was a pass. ``verified``: crun has confirmed
#: the person. ``active``: a file became active.
STEPS = ("consented", "opened", "checked", "passed", "verified", "active")


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
    """The UTC day of a ULID."""
    return date.fromordinal(FIRST_DAY.toordinal() + milliseconds_of(ulid) // _DAY_MILLISECONDS)


@dataclass(frozen=True, slots=True)
class SessionFact:
    """The counted fields of a session; ``error`` is the code of its last error, ``reached`` the steps of STEPS."""

    ulid: str
    status: str
    error: str | None = None
    reached: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AssetFact:
    """The counted fields of an asset; ``seconds`` from its submission until it was active."""

    ulid: str
    status: str
    error: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The counted fields of a client's sessions and assets, complete from the newest ULID down.

    ``rest`` is the newest ULID that was not read yet, None when all were read.
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
    reached: Counter[str] = field(default_factory=Counter)


def _bound(index: int) -> float:
    return round(math.pow(2, index / _BUCKETS_PER_DOUBLING), 3)


def bucket_of(seconds: float) -> float:
    """The smallest of 1, 2^¼, 2^½, … (to the millisecond) that is not less than ``seconds``."""
    if seconds <= 1:
        return 1.0
    index = math.ceil(_BUCKETS_PER_DOUBLING * math.log2(seconds))
    # Rounding may move a bound past a value that is close to it.
    return next(bound for bound in map(_bound, range(max(0, index - 1), index + 2)) if seconds <= bound)


def tally(sessions: Iterable[SessionFact], assets: Iterable[AssetFact]) -> list[Day]:
    """The days that have sessions or assets, newest first."""
    days: dict[date, Day] = {}

    def day(ulid: str) -> Day:
        found = day_of(ulid)
        return days.setdefault(found, Day(found))

    for session in sessions:
        of = day(session.ulid)
        of.sessions += 1
        of.statuses[session.status] += 1
        of.reached.update(session.reached)
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
