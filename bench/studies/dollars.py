"""US dollars for a thousand people at AWS's list prices, compared with a design that polls each file in its own loop.

Usage is counted (bench/checked/usage.py) and processor time is measured (bench/studies/warm.py). The rest are the
assumptions of ops/cost.py, each with its reason.
"""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

from bench.checked.usage import (
    ASSETS,
    PERSONS,
    PERSONS_PLOTTED,
    SCHEDULED,
    STATUS_REQUESTS,
    Counted,
    metric_series,
    record,
    scale,
    used,
)
from bench.studies import warm
from bench.table import Row
from ops.cost import RECORD, Figures, Rates, Units, Usage, bill, memory_of, mix, month
from ops.template import product_template

#: Numbers of files per person in the plot.
PLOTTED = (1, 2, 10, 20)
#: The functions that onboard a person.
_ONBOARDING = (
    *("authorize", "create_session", "get_session", "receive_callback", "check_upload", "start_onboarding"),
    *("look_up_result", "claim_assets", "submit_asset", "poll_assets", "publish_changes", "send_webhooks"),
)
#: The naive design: seconds between two polls; transitions of the face check, of each file and of each poll.
_NAIVE_WAIT_SECONDS, _NAIVE_FIXED, _NAIVE_PER_FILE, _PER_POLL = 5.0, 8, 2, 3


def naive_of(usage: Counted) -> Usage:
    """Returns the usage of the same people in the naive design.

    It has a loop with a fixed pause for each file, an invocation for each poll, and no cache for the authorizer.
    """
    found = mix([(1, usage)])
    polls = sum(max(1, math.ceil(seconds / _NAIVE_WAIT_SECONDS)) for seconds in usage.settled_after)
    found.transitions = _NAIVE_FIXED * usage.persons + _NAIVE_PER_FILE * usage.files + _PER_POLL * polls
    found.events = usage.events * found.transitions / usage.transitions
    scale(found, "authorize", usage.persons * (1 + STATUS_REQUESTS) / usage.invocations["authorize"])
    scale(found, "poll_assets", polls / usage.invocations["poll_assets"])
    # Each poll reads one item and calls crun once; each file is written once, with its entry in an index.
    found.calls["poll_assets"] = {
        "dynamodb": polls + usage.files,
        "crun": polls,
        "secretsmanager": usage.calls["poll_assets"]["secretsmanager"],
    }
    found.units["poll_assets"] = Units(polls, 2 * usage.files)
    return found


def per_thousand(usage: Usage) -> dict[str, float]:
    """Returns US dollars for a thousand such people, by service."""
    return {service: 1000 * dollars / usage.persons for service, dollars in bill(usage, rates()).items()}


@functools.cache
def rates() -> Rates:
    """Returns the template's memory sizes and the processor time measured on this machine."""
    processor = {name: warm.p50(times.handler) / 1000 for name, times in warm.measured(_ONBOARDING + SCHEDULED).items()}
    return Rates(memory_of(product_template()), processor)


def write_record() -> Path:
    """Writes ops/usage.json, and returns its path."""
    found = record() | {"processor_seconds": rates().processor, "metrics": metric_series()}
    RECORD.write_text(json.dumps(_rounded(found), indent=1, sort_keys=True) + "\n")
    return RECORD


def _rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _rounded(each) for name, each in found.items()}
    return float(f"{found:.4g}")


def rows() -> list[Row]:
    """Returns dollars by service, compared with the naive design; the sum has the goal."""
    usage = used(ASSETS, PERSONS)
    ours, naive = per_thousand(usage), per_thousand(naive_of(usage))
    unit = f"$ per 1,000 persons, {ASSETS} files each"
    total = Row("dollars", "all services", sum(ours.values()), unit, floor=sum(naive.values()), goal=0.4)
    by_service = [Row("dollars", each, ours[each], unit, floor=naive[each]) for each in ours]
    idle_month = sum(each.dollars for each in month(Figures(persons=0)))
    note = (
        "Both designs pay for secrets, alarms, polls of empty queues and scheduled runs, whatever the traffic. Stored"
        " files and their transfer are not counted here: see docs/cost.md."
    )
    return [total, *by_service, Row("dollars", "a month without traffic", idle_month, "$", note=note)]


def extra() -> dict[str, Any]:
    """Returns the plot's data: dollars by number of files."""
    numbers = sorted({*PLOTTED, ASSETS})
    usages = [used(files, PERSONS if files == ASSETS else PERSONS_PLOTTED) for files in numbers]
    lines: dict[str, list[Usage]] = {
        "the product": [*usages],
        "a loop for each file": [naive_of(each) for each in usages],
    }
    return {
        "assets": numbers,
        "lines": {name: [round(sum(per_thousand(each).values()), 4) for each in many] for name, many in lines.items()},
    }
