"""How costs grow with the number of files in a session, and with the number of sessions.

The latency of moto's queries grows with its table, so it is not measured. The figures are calls, bytes, request units,
the items that DynamoDB examines for each one that it returns, and the functions' own processor time.
"""

from __future__ import annotations

import functools
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bench.checked.calls import counted as counted_calls
from bench.checked.capacity import metered
from bench.checked.stage import ACTIVE_AFTER_SECONDS, OperationFailed, Stage, answered, stage
from bench.studies.recording import Recorder, Recording, environment_now
from bench.studies.replay import Player, replay
from bench.table import Row
from likeness.domain.asset import AssetStatus
from likeness.runtime import bootstrap
from tests.faults.fault_injection import Call
from tests.roles import deployed, granted, template

ASSETS = (1, 10, 100, 200)
SESSIONS = (1_000, 10_000)
#: The default number of sessions on a page.
PAGE = 20
#: The number of files that the others are compared with.
_BASE_ASSETS = 10
_RUNS = 15
_REPLAYED_FUNCTIONS = ("claim_assets", "poll_assets")
_OTHER_CLIENT_EVERY = 3


@dataclass
class Session:
    """The costs of one session, from the claim to the poll in which the last file is Active.

    ``calls`` of all functions; ``bytes_read`` and ``read_units`` of DynamoDB; ``cpu`` is the median of the seconds for
    one claim and one poll without a change, whose calls are answered immediately.
    """

    assets: int
    calls: int
    bytes_read: int
    read_units: float
    cpu: float = 0.0


@dataclass(frozen=True)
class Listing:
    """The costs of one page of a listing, in a table with ``sessions`` sessions."""

    sessions: int
    calls: int
    examined: int
    returned: int


@dataclass
class Growth:
    """All measurements; ``operations`` are the names of the calls that the functions made."""

    sessions: list[Session] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    operations: set[str] = field(default_factory=set)


# -- files in a session -------------------------------------------------------------------------------------------


def _grow(at: Stage, assets: int) -> Session:
    session = at.verified(*[f"face {number}" for number in range(assets)])
    before = len(at.where.injector.calls)
    with metered(at.where) as meter:
        for each in at.claimed(session):
            at.task("submit_asset", session, asset_id=each)
        first = at.task("poll_assets", session, round=0)
        at.later(ACTIVE_AFTER_SECONDS + 1)
        last = at.task("poll_assets", session, round=1)
    if (first["next"], last["next"]) != ("wait", "done"):
        raise OperationFailed(f"{assets} files: {first}, {last}")
    if {each.status for each in at.where.store.list_assets(session)} != {AssetStatus.ACTIVE}:
        raise OperationFailed("not every file became Active")
    calls: Sequence[Call] = at.where.injector.calls[before:]
    return Session(assets, len(calls), meter.total.bytes_read, meter.total.read)


def _recordings() -> tuple[dict[str, Recording], dict[str, str]]:
    """Records a claim and a poll without a change, by function and number of files, and the functions' environment."""
    found: dict[str, Recording] = {}
    with stage(start=time.time() - 3600) as at, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "client", bootstrap.client)  # restored at the end
        recorder = Recorder(asset_status="Processing")
        recorder.listen(at.where)
        for assets in ASSETS:
            at.clear()
            session = at.processing(assets)
            recorder.found.clear()
            at.claimed(session)
            at.task("poll_assets", session, round=0)
            found |= {f"{name}-{assets}": each[-1] for name, each in recorder.found.items()}
        return found, environment_now()


def _cpu() -> dict[int, float]:
    """Returns the CPU seconds of one claim and one poll, by number of files."""
    recordings, environment = _recordings()
    with replay(recordings, environment) as players:
        return _processor_times({n: [players[f"{name}-{n}"] for name in _REPLAYED_FUNCTIONS] for n in ASSETS})


def _processor_times(sizes: Mapping[int, Sequence[Player]]) -> dict[int, float]:
    """Returns median CPU seconds by number of files; the numbers of files take turns."""
    found: dict[int, list[float]] = {assets: [] for assets in sizes}
    for _ in range(_RUNS):
        for assets, players in sizes.items():
            found[assets].append(sum(_spent(each) for each in players))
    return {assets: statistics.median(each) for assets, each in found.items()}


def _spent(player: Player) -> float:
    player.use()
    began = time.process_time()
    player.handler()
    return time.process_time() - began


# -- sessions in the table ----------------------------------------------------------------------------------------


@dataclass
class _Pages:
    examined: int = 0
    returned: int = 0

    def answered(self, parsed: dict[str, Any], **_: Any) -> None:
        self.examined += parsed["ScannedCount"]
        self.returned += parsed["Count"]


@contextmanager
def _watched() -> Iterator[_Pages]:
    pages, events = _Pages(), bootstrap.client("dynamodb").meta.events
    events.register("after-call.dynamodb.Query", pages.answered)
    try:
        yield pages
    finally:
        events.unregister("after-call.dynamodb.Query", pages.answered)


def _list(at: Stage, sessions: int) -> Listing:
    def ask() -> None:
        answered(at.where.api("GET", "/sessions"), 200)

    ask()  # a warm process
    with _watched() as pages:
        calls = at.calls_of("get_session", ask)
    return Listing(sessions, len(calls), pages.examined, pages.returned)


# -- everything ---------------------------------------------------------------------------------------------------


@functools.cache
def grown() -> Growth:
    """Returns all measurements, made once per process."""
    found = Growth()
    with stage() as at:
        for assets in ASSETS:
            at.clear()
            found.sessions.append(_grow(at, assets))
        found.operations |= {f"{each.service}.{each.operation}" for each in at.where.injector.calls}
    with stage() as at:
        made = 0
        for sessions in SESSIONS:
            # One in _OTHER_CLIENT_EVERY belongs to another client: DynamoDB must not examine it.
            at.add_sessions(sessions - made, lambda index: "other" if index % _OTHER_CLIENT_EVERY == 0 else "acme")
            made = sessions
            found.listings.append(_list(at, sessions))
        found.operations |= {f"{each.service}.{each.operation}" for each in at.where.injector.calls}
    seconds = _cpu()
    for each in found.sessions:
        each.cpu = seconds[each.assets]
    return found


def _per_asset(figure: str, unit: str, of: Callable[[Session], float]) -> list[Row]:
    sessions = grown().sessions
    base = next(of(each) / each.assets for each in sessions if each.assets == _BASE_ASSETS)
    return [
        Row(
            "growth",
            f"{figure} for each of {each.assets} files",
            of(each) / each.assets,
            unit,
            floor=base,
            goal=1.2 if each.assets > _BASE_ASSETS else None,
        )
        for each in sessions
        if each.assets != _BASE_ASSETS
    ]


def scanners() -> list[str]:
    """Returns the roles that may scan a table, except that of the export, which reads the whole table."""
    found = {each.role for each in granted(deployed(template())) if re.search(r"Scan|\*", each.action)}
    return sorted(found - {"ExportInventoryFunction"})


def rows() -> list[Row]:
    """Returns costs compared with a session of ten files, and a large table's listing compared with a small one's."""
    found = grown()
    small, large = found.listings
    called = found.operations | {name for each in counted_calls() for name in {*each.first, *each.warm}}
    pages = f"a page of {PAGE} among"
    return [
        *_per_asset("calls", "calls", lambda each: each.calls),
        *_per_asset("bytes read", "bytes", lambda each: each.bytes_read),
        *_per_asset("processor time of a claim and a poll", "ms CPU", lambda each: 1000 * each.cpu),
        Row("growth", f"{pages} {large.sessions:,} sessions", large.calls, "calls", floor=small.calls, goal=1),
        Row(
            "growth",
            f"{pages} {large.sessions:,} sessions, items examined",
            large.examined,
            "items",
            floor=large.returned,
            goal=1,
            note=f"{small.examined} items with {small.sessions:,} sessions.",
        ),
        Row("growth", "calls of Scan, in all operations", sum("Scan" in each for each in called), "calls", goal=0),
        Row("growth", "roles that may Scan, except the export's", len(scanners()), "roles", goal=0),
    ]
