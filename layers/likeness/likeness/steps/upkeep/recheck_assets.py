"""Checks every active asset at crun once per sweep, the least recently checked first, and reports lost assets.

crun does not report when it drops an asset, and one check proves nothing: an asset that a run misses is a suspect, and
a suspect that a later run misses again is lost. A refusal that is not about the asset, a lost answer or a page of HTML
proves nothing either.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal, Protocol, TypedDict

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.crun import AssetReport, UpstreamProblem
from likeness.domain.recheck import Recheck, Suspect
from likeness.errors import ACCOUNT_REFUSALS, ConditionFailed, UpstreamError, UpstreamRefused
from likeness.ports.crun import Crun
from likeness.ports.files import AssetStore
from likeness.ports.system import Clock

_DAY = 86_400.0
#: Runs are hourly.
_RUNS_PER_DAY = 24
#: How many assets a run checks at least and at most. It checks four at a time, so that onboarding gets its permits.
MIN_ASSETS_PER_RUN, MAX_ASSETS_PER_RUN = 20, 120
_AT_A_TIME = 4
_PAUSE_SECONDS = 5.0
#: The least time between the two checks of a suspect, so that a repeated run does not count as the second.
APART_SECONDS = 600.0
_NOT_FOUND = 404


class _Seen(Enum):
    """The meaning of crun's answer about an asset."""

    THERE = "there"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass
class _Run:
    """The state of one run: its remaining budget (``left``) and its results."""

    now: float
    until: float
    left: int
    there: int = 0
    lost: int = 0
    stopped: bool = False
    suspects: list[Suspect] = field(default_factory=list)


class Rechecked(TypedDict):
    """How many assets are ``there`` and ``lost``. ``overtaken``: another run has saved its progress first."""

    outcome: Literal["rechecked", "overtaken"]
    there: int
    lost: int


class ActiveAssets(Protocol):
    """The active assets in a stable order, and the progress of the sweep over them."""

    def progress(self) -> Recheck | None:
        """Returns the sweep's progress, None before the first sweep."""
        ...

    def save(self, recheck: Recheck) -> bool:
        """Saves the progress in one write. Returns False when another run has saved since ``recheck`` was read."""
        ...

    def clients(self) -> list[str]:
        """Returns all client ids, sorted."""
        ...

    def ids(self, client_id: str, after: str, limit: int) -> tuple[list[tuple[str, str]], str | None]:
        """Returns session and asset ids of at most ``limit`` active assets of a client, after asset ``after``.

        Also returns the asset after which to continue, None when there are no more.
        """
        ...

    def load(self, ids: Sequence[tuple[str, str]]) -> list[Asset]:
        """Returns the current state of those assets that exist. At most 100."""
        ...


@dataclass(frozen=True, slots=True)
class RecheckAssets:
    """Sweeps over all active assets in ``days`` days, or longer if MAX_ASSETS_PER_RUN an hour are too few.

    ``refused()`` is called when crun refuses our account, ``lost()`` for each lost asset. ``sleep`` takes seconds.
    """

    assets: ActiveAssets
    store: AssetStore
    crun: Crun
    clock: Clock
    sleep: Callable[[float], None]
    days: float
    refused: Callable[[], None]
    lost: Callable[[], None]

    def __call__(self, until: float) -> Rechecked:
        """Does one run, which starts no check after ``until`` (epoch seconds)."""
        now = self.clock.now()
        after = before = self.assets.progress() or Recheck(now)
        if before.over and now >= before.started_at + self.days * _DAY:
            after = Recheck(now, last_asked=before.asked, version=before.version)
        # The first sweep counts the assets.
        per_run = math.ceil(max(after.last_asked, after.asked) / (self.days * _RUNS_PER_DAY))
        run = _Run(
            now,
            until,
            min(MAX_ASSETS_PER_RUN, max(MIN_ASSETS_PER_RUN, per_run)) if after.last_asked else MAX_ASSETS_PER_RUN,
        )
        self._check_suspects(before.suspects, run)
        if not after.over:
            after = self._continue_sweep(after, run)
        saved = self.assets.save(replace(after, suspects=tuple(run.suspects[:MAX_ASSETS_PER_RUN])))
        return {"outcome": "rechecked" if saved else "overtaken", "there": run.there, "lost": run.lost}

    def _check_suspects(self, suspects: Sequence[Suspect], run: _Run) -> None:
        due = [each for each in suspects if each.seen_at + APART_SECONDS <= run.now]
        run.suspects = [each for each in suspects if each not in due]
        for chunk in _chunks(due):
            if not self._may_ask(run):
                run.suspects += chunk
                continue
            found = self._ask([(each.session_id, each.asset_id) for each in chunk], run)
            for asset, seen, code in found:
                if seen is _Seen.MISSING:
                    self._mark_lost(asset, code, run)
                elif seen is _Seen.UNKNOWN:
                    run.suspects += [each for each in chunk if each.asset_id == asset.id]

    def _continue_sweep(self, sweep: Recheck, run: _Run) -> Recheck:
        """Checks the next assets of the sweep and returns its new progress."""
        first, clients = True, self.assets.clients()
        while self._may_ask(run):
            client = next((each for each in clients if each >= sweep.client), None)
            if client is None:
                return replace(sweep, over=True)
            after = sweep.after if client == sweep.client else ""
            ids, last = self.assets.ids(client, after, min(_AT_A_TIME, run.left))
            found = self._ask(ids, run) if ids else []
            if run.stopped and not first:
                return sweep  # crun is unavailable: the next run continues here
            # The first assets of a run are skipped even so, so that they cannot block the others forever.
            first = False
            known = {each.asset_id for each in run.suspects}
            run.suspects += [
                Suspect(asset.session_id, asset.id, run.now)
                for asset, seen, _ in found
                if seen is _Seen.MISSING and asset.id not in known
            ]
            # The smallest string that sorts after this client.
            client, after = (client, last) if last else (f"{client}\0", "")
            sweep = replace(sweep, client=client, after=after, asked=sweep.asked + len(ids))
        return sweep

    def _may_ask(self, run: _Run) -> bool:
        return run.left > 0 and not run.stopped and self.clock.now() < run.until

    def _ask(self, ids: Sequence[tuple[str, str]], run: _Run) -> list[tuple[Asset, _Seen, str | None]]:
        """Checks those that are still active. Sets ``stopped`` when crun answers for none of them."""
        assets = [each for each in self.assets.load(ids) if each.status is AssetStatus.ACTIVE and each.crun_asset_id]
        run.left -= len(ids)
        if not assets:
            return []
        reports: dict[str, AssetReport | UpstreamProblem] = {}
        for client_id in dict.fromkeys(each.client_id for each in assets):
            of_client = (str(each.crun_asset_id) for each in assets if each.client_id == client_id)
            wanted = [each for each in dict.fromkeys(of_client) if each not in reports]
            try:
                reports |= self.crun.asset_reports(wanted, client_id=client_id) if wanted else {}
            except UpstreamError as problem:
                reports |= dict.fromkeys(wanted, problem)
        if any(
            isinstance(each, UpstreamRefused) and each.upstream_code in ACCOUNT_REFUSALS for each in reports.values()
        ):
            self.refused()
        found = [(each, *_judge(reports[str(each.crun_asset_id)])) for each in assets]
        run.there += sum(seen is _Seen.THERE for _, seen, _ in found)
        run.stopped = all(seen is _Seen.UNKNOWN for _, seen, _ in found)
        self.sleep(_PAUSE_SECONDS)
        return found

    def _mark_lost(self, asset: Asset, upstream_code: str | None, run: _Run) -> None:
        try:
            self.store.change_asset(asset.lost(upstream_code, self.clock.now()), [AssetStatus.ACTIVE])
        except ConditionFailed:
            return  # erased in the meantime
        run.lost += 1
        self.lost()


def _judge(report: AssetReport | UpstreamProblem) -> tuple[_Seen, str | None]:
    if isinstance(report, AssetReport):
        failed = report.status == "Failed"
        return (_Seen.MISSING, (report.error_code or "Failed")[:64]) if failed else (_Seen.THERE, None)
    if isinstance(report, UpstreamRefused) and report.upstream_code == _NOT_FOUND:
        return _Seen.MISSING, str(_NOT_FOUND)
    return _Seen.UNKNOWN, None


def _chunks(suspects: Sequence[Suspect]) -> Iterator[list[Suspect]]:
    waiting = iter(suspects)
    while chunk := list(itertools.islice(waiting, _AT_A_TIME)):
        yield chunk
