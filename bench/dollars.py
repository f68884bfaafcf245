"""Dollars for a thousand persons at AWS's list prices, beside a design that asks for each file in a loop of its own.

Whatever can be counted is counted while persons are played through the product: calls, request units, transitions,
history events, invocations, bytes of logs. The rest are the assumptions that stand below, each with its reason.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import warm
from bench.capacity import Meter, metered, size
from bench.stage import OperationFailed, Stage, answered, stage
from bench.table import Row
from likeness.domain.asset import AssetStatus
from local.media import portrait
from local.processes import ROOT
from ops.cost import (
    LATENCY,
    LOG_EVENT_BYTES,
    PLATFORM_LOG_BYTES,
    PRICES,
    RECORD,
    Figures,
    Rates,
    Units,
    Usage,
    bill,
    memory_of,
    mix,
    month,
    usage_from,
)
from ops.template import product_template
from tests.aws import stream_records
from tests.faults.onboarding import registration, take_check
from tests.template_file import RESOURCES

#: Time until a file is Active at crun: lognormal. Assumed; nothing is published.
MEDIAN_SECONDS, SIGMA = 20.0, 0.8
#: The authorizer's answers are kept for so long (ReauthorizeEvery).
_AUTHORIZED_SECONDS = RESOURCES["Api"]["Properties"]["Auth"]["Authorizers"]["Credential"]["Identity"][
    "ReauthorizeEvery"
]
#: The developer looks so often at a session.
_STATUS_REQUESTS = 2
ASSETS, PERSONS = 5, 8
PLOTTED, PERSONS_PLOTTED = (1, 2, 10, 20), 2
#: The other design's pause, in seconds, and its fixed transitions: those of the check are the same.
NAIVE_WAIT_SECONDS, _NAIVE_FIXED, _NAIVE_PER_FILE, _PER_POLL = 5.0, 8, 2, 3


#: What the clock calls, and how it is played.
CLOCK = ("reconcile", "export_inventory", "recheck_assets", "check_credits")
#: What a person's way leads through.
USED = (
    *("authorize", "create_session", "get_session", "receive_callback", "check_upload", "start_onboarding"),
    *("look_up_result", "claim_assets", "submit_asset", "poll_assets", "publish_changes", "send_webhooks"),
)
#: Numbers of files of which `usage` keeps what a person uses; between them it is nearly a line.
RECORDED = (0, 1, 2, 5, 10, 20)


@dataclass
class Played(Usage):
    """What persons have used, and what another design would need to know of them."""

    #: Polls that loops for each file would have taken for the same persons.
    naive_polls: int = 0
    authorizations: int = 0


# -- persons ------------------------------------------------------------------------------------------------------


@functools.cache
def _face(index: int) -> bytes:
    # Files of one session differ: of the same bytes only one would go to crun.
    return portrait("alice", 600 + 10 * index, 800, image_format="JPEG")


@contextmanager
def _watched(at: Stage, usage: Usage) -> Iterator[None]:
    where, invoke = at.where, at.where.invoke

    def watching(function: str, event: Mapping[str, Any]) -> Any:
        before = len(where.logs)
        try:
            return invoke(function, event)
        finally:
            usage.invocations[function] += 1
            written = sum(len(line.encode()) + LOG_EVENT_BYTES for line in where.logs[before:])
            usage.log_bytes[function] += PLATFORM_LOG_BYTES + written

    where.invoke = where.state_machine.call = watching  # type: ignore[method-assign]
    try:
        yield
    finally:
        where.invoke = where.state_machine.call = invoke  # type: ignore[method-assign]


def _play(at: Stage, usage: Played, files: int, chance: random.Random) -> None:
    """One person: the developer opens a session with its files, they are uploaded, the check is passed."""
    at.clear()
    at.where.state_machine.transitions.clear()
    at.where.state_machine.events.clear()
    waits = [chance.lognormvariate(math.log(MEDIAN_SECONDS), SIGMA) for _ in range(files)]
    outcomes = [
        {"name": f"file {number}", "outcome": "active", "after_seconds": wait} for number, wait in enumerate(waits)
    ]
    at.where.simulator.update_settings(asset_outcomes=outcomes)
    with _watched(at, usage), metered(at.where) as meter:
        session = _onboard(at, files)
        usage.published += _publish(at, session)
    if [each.status for each in at.where.store.list_assets(session)] != [AssetStatus.ACTIVE] * files:
        raise OperationFailed("not every file became Active")
    usage.persons += 1
    usage.files += files
    usage.requests += 2 + _STATUS_REQUESTS  # the session, the callback
    usage.authorizations += 1 + _STATUS_REQUESTS
    usage.transitions += at.where.state_machine.transitions.total()
    usage.events += at.where.state_machine.events.total()
    usage.naive_polls += sum(max(1, math.ceil(wait / NAIVE_WAIT_SECONDS)) for wait in waits)
    for call in at.where.injector.calls:
        usage.calls[call.by][call.service] += 1
    _add_units(usage, meter)
    usage.stored_bytes += sum(map(size, _items(at, session)))


def _add_units(usage: Usage, meter: Meter) -> None:
    for by, spent in meter.spent.items():
        kept = usage.units[by]
        kept.read, kept.write = kept.read + spent.read, kept.write + spent.write


def _items(at: Stage, session: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = at.where.aws("dynamodb").query(
        TableName="Table",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"SESSION#{session}"}},
    )["Items"]
    return found


def _publish(at: Stage, session: str) -> int:
    """The runs that the table's stream and the webhook queue bring about for a session; how many events there were."""
    records = [each for each in stream_records("Table") if _is_change(each["dynamodb"], session)]
    published: list[dict[str, Any]] = []
    happened = at.where.injector.happened

    def heard(service: str, operation: str, body: dict[str, Any]) -> None:
        happened(service, operation, body)
        published.extend(body["Entries"] if operation == "PutEvents" else [])

    at.where.injector.happened = heard
    try:
        # Lambda gathers changes for a second.
        for _, batch in itertools.groupby(records, lambda each: int(each["dynamodb"]["ApproximateCreationDateTime"])):
            at.where.invoke("publish_changes", {"Records": list(batch)})
    finally:
        at.where.injector.happened = happened
    for entry in published:
        at.where.invoke("send_webhooks", {"Records": [_message(entry)]})
    return len(published)


def _is_change(record: dict[str, Any], session: str) -> bool:
    """Whether the stream's filter lets a record through, and it is of this session."""
    key, image = record["Keys"], record.get("NewImage")
    return bool(image) and key["pk"]["S"] == f"SESSION#{session}" and key["sk"]["S"].startswith(("SESSION", "ASSET#"))


def _message(entry: dict[str, Any]) -> dict[str, Any]:
    """An event of the bus, as the webhook queue's rule sends it on."""
    event = {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
    (example, _) = json.loads((ROOT / "events" / "send_webhooks.json").read_text())["Records"]
    message: dict[str, Any] = example | {"body": json.dumps(json.loads(example["body"]) | event)}
    return message


def _onboard(at: Stage, files: int) -> str:
    view = at.post("/sessions", {"assets": [registration(0, f"file {number}") for number in range(files)]})
    for number, each in enumerate(view["assets"]):
        at.where.put_object(each["upload"]["fields"]["key"], _face(number))
    at.where.settle(20)
    answered(at.where.browser(take_check(view["attempt"]["h5_link"], "pass")), 303)
    at.where.settle()
    for _ in range(_STATUS_REQUESTS):
        answered(at.where.api("GET", "/sessions/{session_id}", session_id=view["id"]), 200)
    found: str = view["id"]
    return found


@functools.cache
def used(files: int, persons: int) -> Played:
    """So many persons with so many files each; chance has a seed."""
    usage, chance = Played(), random.Random(files)
    with stage(stream=True) as at:
        for _ in range(persons):
            _play(at, usage, files, chance)
    # As with the cache: the developer's requests for one person fall into one span of the authorizer's memory.
    _scale(usage, "authorize", 1 / (1 + _STATUS_REQUESTS))
    return usage


def _scale(usage: Usage, function: str, by: float) -> None:
    """As if a function had been invoked more or less often."""
    usage.invocations[function] *= by
    usage.log_bytes[function] *= by
    usage.calls[function] = {name: times * by for name, times in usage.calls[function].items()}
    units = usage.units[function]
    usage.units[function] = Units(units.read * by, units.write * by)


def naive_of(usage: Played) -> Usage:
    """The same persons: a loop for each file with a fixed pause, a function for each question, no authorizer cache."""
    found = mix([(1, usage)])
    found.transitions = _NAIVE_FIXED * usage.persons + _NAIVE_PER_FILE * usage.files + _PER_POLL * usage.naive_polls
    found.events = usage.events * found.transitions / usage.transitions
    _scale(found, "authorize", usage.authorizations / usage.invocations["authorize"])
    _scale(found, "poll_assets", usage.naive_polls / usage.invocations["poll_assets"])
    # Each question reads one item and asks once; each file is written once, with its entry in an index.
    found.calls["poll_assets"] = {
        "dynamodb": usage.naive_polls + usage.files,
        "crun": usage.naive_polls,
        "secretsmanager": usage.calls["poll_assets"]["secretsmanager"],
    }
    found.units["poll_assets"] = Units(usage.naive_polls, 2 * usage.files)
    return found


# -- dollars ------------------------------------------------------------------------------------------------------


def per_thousand(usage: Usage) -> dict[str, float]:
    """Dollars of a thousand such persons, by service."""
    return {service: 1000 * dollars / usage.persons for service, dollars in bill(usage, rates()).items()}


@functools.cache
def rates() -> Rates:
    """The template's sizes, and the processor time that is measured here."""
    processor = {name: warm.p50(times.handler) / 1000 for name, times in warm.measured(USED + CLOCK).items()}
    return Rates(memory_of(product_template()), processor)


# -- the record ---------------------------------------------------------------------------------------------------


def clock_runs() -> dict[str, Usage]:
    """One run of each function that the clock calls, a while after its last one, when there is nothing to do."""
    found = {function: Usage() for function in CLOCK}
    with stage() as at:
        for function, usage in found.items():
            at.clear()
            at.where.invoke(function, {"id": "tick"})
            at.later(900)
            at.where.injector.calls.clear()
            with _watched(at, usage), metered(at.where) as meter:
                at.where.invoke(function, {"id": "tick"})
            for call in at.where.injector.calls:
                usage.calls[call.by][call.service] += 1
            _add_units(usage, meter)
    return found


def record(files: Sequence[int] = RECORDED) -> dict[str, Any]:
    """What ops/usage.json holds but for processor times: counts, the same on every machine, for one person each."""
    persons = {}
    for number in files:
        usage = used(number, _persons(number))
        persons[str(number)] = mix([(1 / usage.persons, usage)]).as_json()
    return {"persons": persons, "clock": {name: each.as_json() for name, each in clock_runs().items()}}


def _persons(files: int) -> int:
    return PERSONS if files <= ASSETS else PERSONS_PLOTTED


def write_record() -> Path:
    """Writes ops/usage.json; its path."""
    found = record() | {"processor_seconds": rates().processor, "metrics": metric_series()}
    RECORD.write_text(json.dumps(_rounded(found), indent=1, sort_keys=True) + "\n")
    return RECORD


def stale() -> list[str]:
    """What ops/usage.json says otherwise than persons who are played now; counts alone, by a twentieth or more."""
    kept, found = json.loads(RECORD.read_text()), record(files=(0, 1))
    differ = []
    for kind in ("persons", "clock"):
        for name, now in found[kind].items():
            before, after = (_totals(usage_from(each)) for each in (kept[kind][name], now))
            differ += [
                f"{kind} {name}: {each} {before[each]:g} → {after[each]:g}"
                for each in before
                if abs(after[each] - before[each]) > max(before[each], 1) / 20
            ]
    return differ


def _totals(usage: Usage) -> dict[str, float]:
    return {
        "transitions": usage.transitions,
        "requests": usage.requests,
        "events published": usage.published,
        "invocations": sum(usage.invocations.values()),
        "calls": sum(sum(each.values()) for each in usage.calls.values()),
        "bytes of logs": sum(usage.log_bytes.values()),
        "read units": sum(each.read for each in usage.units.values()),
        "write units": sum(each.write for each in usage.units.values()),
    }


def _rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _rounded(each) for name, each in found.items()}
    return float(f"{found:.4g}")


def metric_series() -> int:
    """The combinations of a metric and its dimensions that a person with files writes."""
    found = set()
    with stage(stream=True) as at:
        usage = Played()
        _play(at, usage, ASSETS, random.Random(ASSETS))
        for line in at.where.logs:
            if '"_aws"' not in line:
                continue
            entry = json.loads(line)
            for directive in entry["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    values = tuple((name, entry[name]) for name in names)
                    found |= {(metric["Name"], values) for metric in directive["Metrics"]}
    return len(found)


# -- the part -----------------------------------------------------------------------------------------------------


def monthly() -> float:
    """Dollars of a month in which nothing happens."""
    return sum(each.dollars for each in month(Figures(persons=0)))


def rows() -> list[Row]:
    """By service, beside the other design's; the sum has the goal."""
    usage = used(ASSETS, PERSONS)
    ours, naive = per_thousand(usage), per_thousand(naive_of(usage))
    unit = f"$ per 1,000 persons, {ASSETS} files each"
    total = Row("dollars", "all services", sum(ours.values()), unit, floor=sum(naive.values()), goal=0.4)
    by_service = [Row("dollars", each, ours[each], unit, floor=naive[each]) for each in ours]
    note = (
        "secrets, alarms, polls of empty queues and scheduled runs, whatever the traffic, in both designs;"
        " stored files and their transfer are not counted: docs/cost.md"
    )
    return [total, *by_service, Row("dollars", "a month without anybody", monthly(), "$", note=note)]


def extra() -> dict[str, Any]:
    """For a plot: dollars by number of files. Besides, by service; and what was assumed."""
    numbers = sorted({*PLOTTED, ASSETS})
    usages = [used(files, PERSONS if files == ASSETS else PERSONS_PLOTTED) for files in numbers]
    ours, naive = [per_thousand(each) for each in usages], [per_thousand(naive_of(each)) for each in usages]
    return {
        "assets": numbers,
        "lines": {
            "the product": [round(sum(each.values()), 4) for each in ours],
            "a loop for each file": [round(sum(each.values()), 4) for each in naive],
        },
        "by_service": {service: [round(each[service], 4) for each in ours] for service in ours[0]},
        "prices": {name: asdict(each) for name, each in PRICES.items()},
        "latency_seconds": LATENCY,
        "time_to_active": {"distribution": "lognormal", "median_seconds": MEDIAN_SECONDS, "sigma": SIGMA},
        "naive_wait_seconds": NAIVE_WAIT_SECONDS,
    }
