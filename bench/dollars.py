"""Dollars for a thousand persons at AWS's list prices, beside a design that asks for each file in a loop of its own.

Whatever can be counted is counted while persons are played through the product: calls, request units, transitions,
history events, invocations, bytes of logs. The rest are the assumptions that stand below, each with its reason.
"""

from __future__ import annotations

import functools
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from bench import warm
from bench.capacity import Units, metered
from bench.stage import OperationFailed, Stage, answered, stage
from bench.table import Row
from likeness.domain.asset import AssetStatus
from local.media import portrait
from tests.faults.onboarding import registration, take_check
from tests.template_file import RESOURCES

#: AWS's pages of prices.
_PAGES = "https://aws.amazon.com/{}/pricing"


@dataclass(frozen=True)
class Price:
    """US dollars in us-east-1, without free tiers and discounts, as of November 2026; ``source`` has today's."""

    dollars: float
    per: str
    source: str


PRICES = {
    "lambda_request": Price(0.20e-6, "request", _PAGES.format("lambda")),
    "lambda_gb_second": Price(0.0000133334, "GB-second on arm64", _PAGES.format("lambda")),
    "transition": Price(0.025e-3, "transition, retries too", _PAGES.format("step-functions")),
    "api_request": Price(3.50e-6, "request of a REST API", _PAGES.format("api-gateway")),
    "write_unit": Price(0.625e-6, "write request unit", _PAGES.format("dynamodb") + "/on-demand"),
    "read_unit": Price(0.125e-6, "read request unit", _PAGES.format("dynamodb") + "/on-demand"),
    "sqs_request": Price(0.40e-6, "request, standard queue", _PAGES.format("sqs")),
    "s3_put": Price(0.005e-3, "PUT or POST, Standard", _PAGES.format("s3")),
    "s3_get": Price(0.0004e-3, "GET, Standard", _PAGES.format("s3")),
    # Events that a service sends by itself are free; a bucket's have to be asked for, and are taken as paid here.
    "event": Price(1.00e-6, "opt-in event", _PAGES.format("eventbridge")),
    "log_byte": Price(0.50e-9, "byte taken in, vended logs too", _PAGES.format("cloudwatch")),
    "secret_call": Price(0.05e-4, "call", _PAGES.format("secrets-manager")),
    "secret_month": Price(0.40, "secret and month", _PAGES.format("secrets-manager")),
    "alarm_month": Price(0.10, "alarm and month", _PAGES.format("cloudwatch")),
}
#: Seconds that a call takes inside of a region, and crun's answer over the internet. Assumed.
LATENCY = {"dynamodb": 0.005, "sqs": 0.008, "s3": 0.025, "stepfunctions": 0.025, "secretsmanager": 0.015, "crun": 0.2}
#: A function has one whole processor at so many MB (Lambda's guide, "Configure memory").
_WHOLE_PROCESSOR_MB = 1769
#: START, END and REPORT of an invocation; one request in the access log; one history event; CloudWatch's own bytes for
#: each log event.
_PLATFORM_LOG_BYTES, _ACCESS_LOG_BYTES, _HISTORY_EVENT_BYTES, _LOG_EVENT_BYTES = 380, 220, 380, 26
#: Time until a file is Active at crun: lognormal. Assumed; nothing is published.
MEDIAN_SECONDS, SIGMA = 20.0, 0.8
#: The authorizer's answers are kept for so long (ReauthorizeEvery).
_AUTHORIZED_SECONDS = RESOURCES["Api"]["Properties"]["Auth"]["Authorizers"]["Credential"]["Identity"][
    "ReauthorizeEvery"
]
#: The developer looks so often at a session.
_LOOKS = 2
ASSETS, PERSONS = 5, 8
PLOTTED, PERSONS_PLOTTED = (1, 2, 10, 20), 2
#: The other design's pause, in seconds, and its fixed transitions: those of the check are the same.
NAIVE_WAIT_SECONDS, _NAIVE_FIXED, _NAIVE_PER_FILE, _PER_ROUND = 5.0, 8, 2, 3


#: Lambda waits at a queue with five receivers, each for 20 seconds at a time (Lambda's guide, "Using Lambda with Amazon
#: SQS"): so many requests a month.
_EMPTY_RECEIVES = 5 * 30 * 86_400 / 20


@dataclass
class Usage:
    """What persons have used. ``calls`` by function and service, ``log_bytes`` and ``units`` by function."""

    persons: int = 0
    transitions: float = 0
    events: float = 0
    requests: float = 0
    files: float = 0
    invocations: Counter[str] = field(default_factory=Counter)
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    log_bytes: Counter[str] = field(default_factory=Counter)
    units: dict[str, Units] = field(default_factory=dict)
    #: Rounds of questions that loops for each file would have taken for the same persons.
    naive_rounds: int = 0
    authorizations: int = 0

    def called(self, service: str) -> float:
        """Calls to a service, of all functions."""
        return sum(calls[service] for calls in self.calls.values())


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
            written = sum(len(line.encode()) + _LOG_EVENT_BYTES for line in where.logs[before:])
            usage.log_bytes[function] += _PLATFORM_LOG_BYTES + written

    where.invoke = where.machine.call = watching  # type: ignore[method-assign]
    try:
        yield
    finally:
        where.invoke = where.machine.call = invoke  # type: ignore[method-assign]


def _play(at: Stage, usage: Usage, files: int, chance: random.Random) -> None:
    """One person: the developer opens a session with its files, they are uploaded, the check is passed."""
    at.clear()
    at.where.machine.transitions.clear()
    at.where.machine.events.clear()
    waits = [chance.lognormvariate(math.log(MEDIAN_SECONDS), SIGMA) for _ in range(files)]
    outcomes = [
        {"name": f"file {number}", "outcome": "active", "after_seconds": wait} for number, wait in enumerate(waits)
    ]
    at.where.simulator.update_settings(asset_outcomes=outcomes)
    with _watched(at, usage), metered(at.where) as meter:
        session = _onboard(at, files)
    if [each.status for each in at.where.store.list_assets(session)] != [AssetStatus.ACTIVE] * files:
        raise OperationFailed("not every file became Active")
    usage.persons += 1
    usage.files += files
    usage.requests += 2 + _LOOKS  # the session, the callback
    usage.authorizations += 1 + _LOOKS
    usage.transitions += at.where.machine.transitions.total()
    usage.events += at.where.machine.events.total()
    usage.naive_rounds += sum(max(1, math.ceil(wait / NAIVE_WAIT_SECONDS)) for wait in waits)
    for call in at.where.wire.calls:
        usage.calls.setdefault(call.by, Counter())[call.service] += 1
    for by, spent in meter.spent.items():
        kept = usage.units.setdefault(by, Units())
        kept.read, kept.write = kept.read + spent.read, kept.write + spent.write


def _onboard(at: Stage, files: int) -> str:
    view = at.post("/sessions", {"assets": [registration(0, f"file {number}") for number in range(files)]})
    for number, each in enumerate(view["assets"]):
        at.where.put_object(each["upload"]["fields"]["key"], _face(number))
    at.where.settle(20)
    answered(at.where.browser(take_check(view["attempt"]["h5_link"], "pass")), 303)
    at.where.settle()
    for _ in range(_LOOKS):
        answered(at.where.api("GET", "/sessions/{session_id}", session_id=view["id"]), 200)
    found: str = view["id"]
    return found


@functools.cache
def used(files: int, persons: int) -> Usage:
    """So many persons with so many files each; chance has a seed."""
    usage, chance = Usage(), random.Random(files)
    with stage() as at:
        for _ in range(persons):
            _play(at, usage, files, chance)
    # As with the cache: the developer's requests for one person fall into one span of the authorizer's memory.
    _scale(usage, "authorize", 1 / (1 + _LOOKS))
    return usage


def _scale(usage: Usage, function: str, by: float) -> None:
    """As if a function had been invoked more or less often."""
    usage.invocations[function] = round(usage.invocations[function] * by)
    usage.log_bytes[function] = round(usage.log_bytes[function] * by)
    usage.calls[function] = Counter({name: round(times * by) for name, times in usage.calls[function].items()})
    if function in usage.units:
        units = usage.units[function]
        usage.units[function] = Units(units.read * by, units.write * by)


def naive_of(usage: Usage) -> Usage:
    """The same persons: a loop for each file with a fixed pause, a function for each question, no authorizer cache."""
    found = Usage(
        persons=usage.persons,
        transitions=_NAIVE_FIXED * usage.persons + _NAIVE_PER_FILE * usage.files + _PER_ROUND * usage.naive_rounds,
        requests=usage.requests,
        files=usage.files,
        invocations=Counter(usage.invocations),
        calls={by: Counter(calls) for by, calls in usage.calls.items()},
        log_bytes=Counter(usage.log_bytes),
        units=dict(usage.units),
        authorizations=usage.authorizations,
    )
    found.events = usage.events * found.transitions / usage.transitions
    _scale(found, "authorize", usage.authorizations / usage.invocations["authorize"])
    _scale(found, "poll_assets", usage.naive_rounds / usage.invocations["poll_assets"])
    # Each question reads one item and asks once; each file is written once, with its entry in an index.
    found.calls["poll_assets"] = Counter(
        dynamodb=usage.naive_rounds + int(usage.files),
        crun=usage.naive_rounds,
        secretsmanager=usage.calls["poll_assets"]["secretsmanager"],
    )
    found.units["poll_assets"] = Units(usage.naive_rounds, 2 * usage.files)
    return found


# -- dollars ------------------------------------------------------------------------------------------------------


def _memory_mb(function: str) -> int:
    logical_id = "".join(part.capitalize() for part in function.split("_")) + "Function"
    found: int = RESOURCES[logical_id]["Properties"]["MemorySize"]
    return found


def _gb_seconds(usage: Usage, function: str) -> float:
    """Processor time, measured, at the function's share of a processor; and the waits for its calls."""
    memory, times = _memory_mb(function), usage.invocations[function]
    processor = warm.p50(warm.measured()[function].handler) / 1000 * _WHOLE_PROCESSOR_MB / memory
    calls = usage.calls.get(function, Counter())
    # What asks crun more than once asks side by side.
    waits = sum(LATENCY[service] * number for service, number in calls.items() if service != "crun")
    waits += LATENCY["crun"] * min(times, calls["crun"])
    return (processor * times + waits) * memory / 1024


def bill(usage: Usage) -> dict[str, float]:
    """Dollars of a thousand such persons, by service."""
    logs = usage.log_bytes.total() + usage.requests * _ACCESS_LOG_BYTES + usage.events * _HISTORY_EVENT_BYTES
    # A message is sent, received and deleted.
    messages = usage.called("sqs")
    found = {
        "Step Functions": usage.transitions * PRICES["transition"].dollars,
        "Lambda": usage.invocations.total() * PRICES["lambda_request"].dollars
        + sum(_gb_seconds(usage, each) for each in usage.invocations) * PRICES["lambda_gb_second"].dollars,
        "API Gateway": usage.requests * PRICES["api_request"].dollars,
        "DynamoDB": sum(
            each.read * PRICES["read_unit"].dollars + each.write * PRICES["write_unit"].dollars
            for each in usage.units.values()
        ),
        "SQS": 3 * messages * PRICES["sqs_request"].dollars,
        # crun fetches each file once.
        "S3": usage.files * PRICES["s3_put"].dollars + (usage.called("s3") + usage.files) * PRICES["s3_get"].dollars,
        "EventBridge": usage.files * PRICES["event"].dollars,
        "CloudWatch Logs": logs * PRICES["log_byte"].dollars,
        "Secrets Manager, calls": usage.called("secretsmanager") * PRICES["secret_call"].dollars,
    }
    return {service: 1000 * dollars / usage.persons for service, dollars in found.items()}


def monthly() -> float:
    """Dollars of a month in which nothing happens: secrets, alarms, and Lambda's looks into an empty queue."""
    kinds = Counter(each["Type"] for each in RESOURCES.values())
    secrets = kinds["AWS::SecretsManager::Secret"] * PRICES["secret_month"].dollars
    alarms = kinds["AWS::CloudWatch::Alarm"] * PRICES["alarm_month"].dollars
    return secrets + alarms + _EMPTY_RECEIVES * PRICES["sqs_request"].dollars


def rows() -> list[Row]:
    """By service, beside the other design's; the sum has the goal."""
    usage = used(ASSETS, PERSONS)
    ours, naive = bill(usage), bill(naive_of(usage))
    unit = f"$ per 1,000 persons, {ASSETS} files each"
    total = Row("dollars", "all services", sum(ours.values()), unit, floor=sum(naive.values()), goal=0.4)
    by_service = [Row("dollars", each, ours[each], unit, floor=naive[each]) for each in ours]
    note = (
        "secrets, alarms and reads of an empty queue, whatever the traffic, in both designs;"
        " stored files and their transfer are not counted"
    )
    return [total, *by_service, Row("dollars", "a month without anybody", monthly(), "$", note=note)]


def extra() -> dict[str, Any]:
    """For a plot: dollars by number of files. Besides, by service; and what was assumed."""
    numbers = sorted({*PLOTTED, ASSETS})
    usages = [used(files, PERSONS if files == ASSETS else PERSONS_PLOTTED) for files in numbers]
    ours, naive = [bill(each) for each in usages], [bill(naive_of(each)) for each in usages]
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
