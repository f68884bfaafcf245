"""What people use, counted while they are onboarded in simulated AWS: the record that `python -m ops cost` reads.

It counts calls, request units, transitions, history events, invocations and bytes of logs. These counts are the same on
every machine, so `stale` can compare ops/usage.json with the current code.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.checked.capacity import Meter, metered, size
from bench.checked.stage import OperationFailed, Stage, answered, stage
from likeness.domain.asset import AssetStatus
from local.media import portrait
from local.processes import ROOT
from ops.cost import LOG_EVENT_BYTES, PLATFORM_LOG_BYTES, RECORD, Units, Usage, mix, usage_from
from tests.aws import stream_records
from tests.faults.onboarding import registration, take_check

#: Time until a file is Active at crun: lognormal. This is an assumption; crun publishes nothing.
_MEDIAN_SECONDS, _SIGMA = 20.0, 0.8
#: Requests by which the developer reads a session's status.
STATUS_REQUESTS = 2
ASSETS, PERSONS = 5, 8
PERSONS_PLOTTED = 2
#: The functions that run on a schedule.
SCHEDULED = ("reconcile", "export_inventory", "recheck_assets", "check_credits")
#: The numbers of files for which the record has a person's usage; between them, usage is almost linear.
_RECORDED = (0, 1, 2, 5, 10, 20)


@dataclass
class Counted(Usage):
    """The usage of some people, and the seconds after which each of their files became Active."""

    settled_after: list[float] = field(default_factory=list)


# -- people -------------------------------------------------------------------------------------------------------


@functools.cache
def _face(index: int) -> bytes:
    # The files of a session must differ: of several files with the same bytes, only one goes to crun.
    return portrait("alice", 600 + 10 * index, 800, image_format="JPEG")


@contextmanager
def _invocations_counted(at: Stage, usage: Usage) -> Iterator[None]:
    where, invoke = at.where, at.where.invoke

    def counting(function: str, event: Mapping[str, Any]) -> Any:
        before = len(where.logs)
        try:
            return invoke(function, event)
        finally:
            usage.invocations[function] += 1
            written = sum(len(line.encode()) + LOG_EVENT_BYTES for line in where.logs[before:])
            usage.log_bytes[function] += PLATFORM_LOG_BYTES + written

    where.invoke = where.state_machine.call = counting  # type: ignore[method-assign]
    try:
        yield
    finally:
        where.invoke = where.state_machine.call = invoke  # type: ignore[method-assign]


def _add_person(at: Stage, usage: Counted, files: int, chance: random.Random) -> None:
    """Onboards one person: the developer creates a session with files, they are uploaded, the check is passed."""
    at.clear()
    at.where.state_machine.transitions.clear()
    at.where.state_machine.events.clear()
    settled_after = [chance.lognormvariate(math.log(_MEDIAN_SECONDS), _SIGMA) for _ in range(files)]
    outcomes = [
        {"name": f"file {number}", "outcome": "active", "after_seconds": seconds}
        for number, seconds in enumerate(settled_after)
    ]
    at.where.simulator.update_settings(asset_outcomes=outcomes)
    with _invocations_counted(at, usage), metered(at.where) as meter:
        session = _onboard(at, files)
        usage.published += _publish(at, session)
    if [each.status for each in at.where.store.list_assets(session)] != [AssetStatus.ACTIVE] * files:
        raise OperationFailed("not every file became Active")
    usage.persons += 1
    usage.files += files
    usage.requests += 2 + STATUS_REQUESTS  # the session, the callback
    usage.transitions += at.where.state_machine.transitions.total()
    usage.events += at.where.state_machine.events.total()
    usage.settled_after += settled_after
    for call in at.where.injector.calls:
        usage.calls[call.by][call.service] += 1
    _add_units(usage, meter)
    usage.stored_bytes += sum(map(size, _items(at, session)))


def _add_units(usage: Usage, meter: Meter) -> None:
    for by, spent in meter.spent.items():
        units = usage.units[by]
        units.read, units.write = units.read + spent.read, units.write + spent.write


def _items(at: Stage, session: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = at.where.aws("dynamodb").query(
        TableName="Table",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"SESSION#{session}"}},
    )["Items"]
    return found


def _publish(at: Stage, session: str) -> int:
    """Runs what the table's stream and the webhook queue would run for a session. Returns the number of events."""
    records = [each for each in stream_records("Table") if _is_change(each["dynamodb"], session)]
    published: list[dict[str, Any]] = []
    happened = at.where.injector.happened

    def collecting(service: str, operation: str, body: dict[str, Any]) -> None:
        happened(service, operation, body)
        published.extend(body["Entries"] if operation == "PutEvents" else [])

    at.where.injector.happened = collecting
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
    """Returns whether a stream record passes the stream's filter and belongs to this session."""
    key, image = record["Keys"], record.get("NewImage")
    return bool(image) and key["pk"]["S"] == f"SESSION#{session}" and key["sk"]["S"].startswith(("SESSION", "ASSET#"))


def _message(entry: dict[str, Any]) -> dict[str, Any]:
    """Returns an event of the bus as the webhook queue receives it."""
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
    for _ in range(STATUS_REQUESTS):
        answered(at.where.api("GET", "/sessions/{session_id}", session_id=view["id"]), 200)
    found: str = view["id"]
    return found


@functools.cache
def used(files: int, persons: int) -> Counted:
    """Returns the usage of ``persons`` people with ``files`` files each; random times have a fixed seed."""
    usage, chance = Counted(), random.Random(files)
    with stage(stream=True) as at:
        for _ in range(persons):
            _add_person(at, usage, files, chance)
    # API Gateway caches the authorizer's response: the developer's requests for one person need it once.
    scale(usage, "authorize", 1 / (1 + STATUS_REQUESTS))
    return usage


def scale(usage: Usage, function: str, by: float) -> None:
    """Changes the usage of one function as if it had been invoked ``by`` times as often."""
    usage.invocations[function] *= by
    usage.log_bytes[function] *= by
    usage.calls[function] = {name: times * by for name, times in usage.calls[function].items()}
    units = usage.units[function]
    usage.units[function] = Units(units.read * by, units.write * by)


# -- the record ---------------------------------------------------------------------------------------------------


def scheduled_runs() -> dict[str, Usage]:
    """Returns the usage of one run of each scheduled function, some time after the last one, with nothing to do."""
    found = {function: Usage() for function in SCHEDULED}
    with stage() as at:
        for function, usage in found.items():
            at.clear()
            at.where.invoke(function, {"id": "tick"})
            at.later(900)
            at.where.injector.calls.clear()
            with _invocations_counted(at, usage), metered(at.where) as meter:
                at.where.invoke(function, {"id": "tick"})
            for call in at.where.injector.calls:
                usage.calls[call.by][call.service] += 1
            _add_units(usage, meter)
    return found


def record(files: Sequence[int] = _RECORDED) -> dict[str, Any]:
    """Returns the counts of ops/usage.json, for one person each: all that it holds but the processor times."""
    persons = {}
    for number in files:
        usage = used(number, PERSONS if number <= ASSETS else PERSONS_PLOTTED)
        persons[str(number)] = mix([(1 / usage.persons, usage)]).as_json()
    return {"persons": persons, "clock": {name: each.as_json() for name, each in scheduled_runs().items()}}


def stale() -> list[str]:
    """Returns a line for each count of ops/usage.json that differs from the current one by a twentieth or more."""
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


def metric_series() -> int:
    """Returns the number of combinations of a metric and its dimensions that a person with files writes."""
    found = set()
    with stage(stream=True) as at:
        _add_person(at, Counted(), ASSETS, random.Random(ASSETS))
        for line in at.where.logs:
            if '"_aws"' not in line:
                continue
            entry = json.loads(line)
            for directive in entry["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    values = tuple((name, entry[name]) for name in names)
                    found |= {(metric["Name"], values) for metric in directive["Metrics"]}
    return len(found)
