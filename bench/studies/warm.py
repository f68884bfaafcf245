"""Warm invocations: the CPU time of a handler, compared with that of its calls alone by the same clients."""

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
#: The functions on the page; the record of usage needs the others too.
FUNCTIONS = (
    "receive_callback",
    "authorize",
    "get_session",
    "check_use",
    "create_session",
    "register_asset",
    "claim_assets",
    "poll_assets",
    "look_up_result",
    "submit_asset",
    "start_onboarding",
)
#: Why a function does more than its calls. The shares are of what it does beyond them, by Python's profiler.
_REASONS = {
    "create_session": (
        "Beyond its calls: Powertools' idempotency is 29 % (digests of the request, the stored response), the two log"
        " lines 28 % and the metrics of the call to crun 18 %. The rest is the body's check, the row and the response."
    ),
    "poll_assets": (
        "Beyond its calls: the history of polls, which shortens later waits, is 30 %, its log line and metrics are"
        " 30 %, and reading the six rows is 24 %."
    ),
    "look_up_result": "Beyond its calls: its two log lines are 31 % and the metrics of the call to crun 24 %.",
}


@dataclass(frozen=True)
class Times:
    """CPU milliseconds of all threads of this process, in the order of the runs; ``calls`` is the number in one run."""

    handler: list[float]
    floor: list[float]
    calls: int


def p50(of: list[float]) -> float:
    """Returns the median."""
    return statistics.median(of)


def p99(of: list[float]) -> float:
    """Returns the 99th percentile."""
    return statistics.quantiles(of, n=100)[98]


@functools.cache
def measured(only: tuple[str, ...] = ()) -> dict[str, Times]:
    """Measures each function that makes calls, or those of ``only``, once per process; handler and floor take turns."""
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
    """Returns medians with their goal, and 99th percentiles without one."""
    found = []
    for name in FUNCTIONS:
        times = measured(FUNCTIONS)[name]
        reason = _REASONS.get(name, "")
        found.append(Row("warm", name, p50(times.handler), "ms CPU", floor=p50(times.floor), goal=1.3, note=reason))
    # A use check is made right before each use of a likeness, and reads the same rows.
    use, get = (measured(FUNCTIONS)[name] for name in ("check_use", "get_session"))
    found.append(
        Row("warm", "check_use beside get_session", p50(use.handler), "ms CPU", floor=p50(get.handler), goal=1.3)
    )
    for name in FUNCTIONS:
        times = measured(FUNCTIONS)[name]
        found.append(Row("warm", f"{name}, p99", p99(times.handler), "ms CPU", floor=p99(times.floor)))
    return found
