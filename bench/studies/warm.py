"""Warm invocations: the processor time of a handler beside that of its calls alone, made by the same clients."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.studies.recording import record
from bench.studies.replay import Player, replay
from bench.table import Row

RUNS = 200
_WARM_UP = 10
#: What is measured in public; the others are measured to know what they cost.
FUNCTIONS = (
    "receive_callback",
    "authorize",
    "get_session",
    "create_session",
    "register_asset",
    "claim_assets",
    "poll_assets",
    "look_up_result",
    "submit_asset",
    "start_onboarding",
)


@dataclass(frozen=True)
class Times:
    """Milliseconds of processor time: of all threads of this process, in the order of the runs; ``calls`` of one."""

    handler: list[float]
    floor: list[float]
    calls: int


def p50(of: list[float]) -> float:
    """The median."""
    return statistics.median(of)


def p99(of: list[float]) -> float:
    """Of a hundred, one takes longer."""
    return statistics.quantiles(of, n=100)[98]


@functools.cache
def measured(only: tuple[str, ...] = ()) -> dict[str, Times]:
    """Each function that calls anybody, or ``only`` some; handler and floor take turns.

    Once for the life of the process.
    """
    recordings, environment = record()
    with replay(recordings, environment) as players:
        return {name: _measure(player) for name, player in players.items() if not only or name in only}


def _measure(player: Player) -> Times:
    times = Times([], [], len(player.calls))
    for run in range(_WARM_UP + RUNS):
        for act, kept in ((player.floor, times.floor), (player.handler, times.handler)):
            player.use()
            spent = _processor_time(act)
            if run >= _WARM_UP:
                kept.append(1000 * spent)
    return times


def _processor_time(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def rows() -> list[Row]:
    """Medians with their goal, and the slowest of a hundred to look at."""
    found = []
    for name in FUNCTIONS:
        times = measured()[name]
        found.append(Row("warm", name, p50(times.handler), "ms CPU", floor=p50(times.floor), goal=1.3))
    for name in FUNCTIONS:
        times = measured()[name]
        found.append(Row("warm", f"{name}, p99", p99(times.handler), "ms CPU", floor=p99(times.floor)))
    return found
