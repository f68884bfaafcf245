"""The cost of a stack per month at AWS's list prices, computed from the measured usage of people.

The benchmark onboards people and counts their usage (``usage.json``). The same arithmetic computes dollars for
`python -m ops cost` and for docs/performance.md. Settings come from the template. The rest are the assumptions below,
each with its reason.
"""

from __future__ import annotations

import functools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from likeness.steps.upkeep.recheck_assets import MAX_ASSETS_PER_RUN as RECHECKED_AT_MOST
from ops.template import ROOT, Template, product_template

RECORD = ROOT / "ops" / "usage.json"
#: AWS's price pages.
_PAGES = "https://aws.amazon.com/{}/pricing"


@dataclass(frozen=True)
class Price:
    """US dollars in us-east-1, without free tiers and discounts, as of November 2026; ``source`` has current ones."""

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
    # With point-in-time recovery ($0.20), which the table has.
    "table_gb_month": Price(
        0.25 + 0.20, "GB and month, with point-in-time recovery", _PAGES.format("dynamodb") + "/on-demand"
    ),
    "sqs_request": Price(0.40e-6, "request, standard queue", _PAGES.format("sqs")),
    "s3_put": Price(0.005e-3, "PUT or POST, Standard", _PAGES.format("s3")),
    "s3_get": Price(0.0004e-3, "GET, Standard", _PAGES.format("s3")),
    "s3_gb_month": Price(0.023, "GB and month, Standard", _PAGES.format("s3")),
    "out_gb": Price(0.09, "GB out to the internet", _PAGES.format("ec2/on-demand")),
    # AWS services' default events are free; a bucket's are opt-in, and counted as paid here.
    "event": Price(1.00e-6, "custom or opt-in event", _PAGES.format("eventbridge")),
    "log_byte": Price(0.50e-9, "byte taken in, vended logs too", _PAGES.format("cloudwatch")),
    "log_gb_month": Price(0.03, "GB and month of logs", _PAGES.format("cloudwatch")),
    "metric_month": Price(0.30, "metric and month, by the hour", _PAGES.format("cloudwatch")),
    "alarm_month": Price(0.10, "metric that an alarm watches, and month", _PAGES.format("cloudwatch")),
    "secret_call": Price(0.05e-4, "call", _PAGES.format("secrets-manager")),
    "secret_month": Price(0.40, "secret and month", _PAGES.format("secrets-manager")),
    "key_month": Price(1.00, "key and month", _PAGES.format("kms")),
    "firewall_month": Price(5.00, "web ACL and month", _PAGES.format("waf")),
    "firewall_rule_month": Price(1.00, "rule and month", _PAGES.format("waf")),
    "firewall_request": Price(0.60e-6, "request", _PAGES.format("waf")),
}
#: Assumed seconds of a call within a region, of a call to crun, and of a client's webhook.
LATENCY = {
    "dynamodb": 0.005,
    "events": 0.01,
    "sqs": 0.008,
    "s3": 0.025,
    "stepfunctions": 0.025,
    "secretsmanager": 0.015,
    "crun": 0.2,
    "webhook": 0.3,
}
#: A function has one whole processor at this many MB (Lambda's guide, "Configure memory").
_WHOLE_PROCESSOR_MB = 1769
#: Bytes of START, END and REPORT of an invocation; of a request in the access log; of a history event; and CloudWatch's
#: overhead for each log event.
PLATFORM_LOG_BYTES, _ACCESS_LOG_BYTES, _HISTORY_EVENT_BYTES, LOG_EVENT_BYTES = 380, 220, 380, 26
_DAYS = 30.0
_HOURS = 24 * _DAYS
#: Requests per month to an empty queue: Lambda has five pollers per queue, each with long polls of 20 seconds (Lambda's
#: guide, "Using Lambda with Amazon SQS").
_EMPTY_RECEIVES = 5 * _DAYS * 86_400 / 20
#: API Gateway's detailed metrics of one method: Count, Latency, IntegrationLatency, 4XXError and 5XXError.
_METRICS_OF_A_METHOD = 5
#: Days for which a file that lifecycle rules have deleted stays as an older version.
_OLD_VERSION_DAYS = 7
_READ_UNIT_BYTES = 4096
_MINUTES = {"minute": 1, "minutes": 1, "hour": 60, "hours": 60}


@dataclass
class Units:
    """Request units of DynamoDB."""

    read: float = 0
    write: float = 0


def _counts() -> dict[str, float]:
    return defaultdict(float)


@dataclass
class Usage:
    """The usage of some people. ``calls`` by function and service, ``log_bytes`` and ``units`` by function.

    ``events`` are those of executions' histories, ``published`` those of the event bus.
    """

    persons: float = 0
    transitions: float = 0
    events: float = 0
    requests: float = 0
    files: float = 0
    published: float = 0
    stored_bytes: float = 0
    invocations: dict[str, float] = field(default_factory=_counts)
    calls: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(_counts))
    log_bytes: dict[str, float] = field(default_factory=_counts)
    units: dict[str, Units] = field(default_factory=lambda: defaultdict(Units))

    def called(self, service: str) -> float:
        """Returns the number of calls to a service by all functions."""
        return sum(calls.get(service, 0) for calls in self.calls.values())

    def as_json(self) -> dict[str, Any]:
        """Returns the usage as JSON for the record."""
        return {name: getattr(self, name) for name in _SINGLE} | {
            "invocations": dict(self.invocations),
            "calls": {function: dict(each) for function, each in self.calls.items()},
            "log_bytes": dict(self.log_bytes),
            "units": {function: asdict(each) for function, each in self.units.items()},
        }


_SINGLE = ("persons", "transitions", "events", "requests", "files", "published", "stored_bytes")


def mix(parts: Iterable[tuple[float, Usage]]) -> Usage:
    """Returns the weighted sum of usages."""
    found = Usage()
    for weight, each in parts:
        for name in _SINGLE:
            setattr(found, name, getattr(found, name) + weight * getattr(each, name))
        for function, times in each.invocations.items():
            found.invocations[function] += weight * times
        for function, size in each.log_bytes.items():
            found.log_bytes[function] += weight * size
        for function, calls in each.calls.items():
            for service, times in calls.items():
                found.calls[function][service] += weight * times
        for function, units in each.units.items():
            found.units[function].read += weight * units.read
            found.units[function].write += weight * units.write
    return found


def usage_from(found: Mapping[str, Any]) -> Usage:
    """Returns a usage from its JSON in the record."""
    units = {function: Units(**each) for function, each in found["units"].items()}
    return mix([(1, Usage(**{**found, "units": units}))])


@dataclass(frozen=True)
class Rates:
    """The rates of functions: MB, and seconds of a whole processor for one run."""

    memory: Mapping[str, float]
    processor: Mapping[str, float]

    def gb_seconds(self, usage: Usage, function: str) -> float:
        """Returns a function's GB-seconds: processor time at its share of a processor, plus waits for calls."""
        memory, times = self.memory[function], usage.invocations[function]
        processor = self.processor[function] * _WHOLE_PROCESSOR_MB / memory
        calls = usage.calls.get(function, {})
        # Several calls to crun in one run are concurrent.
        waits = sum(LATENCY[service] * number for service, number in calls.items() if service != "crun")
        waits += LATENCY["crun"] * min(times, calls.get("crun", 0))
        return (processor * times + waits) * memory / 1024


def memory_of(template: Template) -> dict[str, float]:
    """Returns the MB of each function, by the name of its folder."""
    usual = template.get("Globals", {}).get("Function", {}).get("MemorySize", 128)  # 128 is Lambda's own default
    return {
        each["Properties"]["CodeUri"].rpartition("/")[2]: each["Properties"].get("MemorySize", usual)
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Serverless::Function"
    }


def bill(usage: Usage, rates: Rates) -> dict[str, float]:
    """Returns the dollars of a usage, by service."""
    logs = sum(usage.log_bytes.values()) + usage.requests * _ACCESS_LOG_BYTES + usage.events * _HISTORY_EVENT_BYTES
    # A message is sent, received and deleted; EventBridge sends one for each published event.
    messages = usage.called("sqs") + usage.published
    return {
        "Step Functions": usage.transitions * PRICES["transition"].dollars,
        "Lambda": sum(usage.invocations.values()) * PRICES["lambda_request"].dollars
        + sum(rates.gb_seconds(usage, each) for each in usage.invocations) * PRICES["lambda_gb_second"].dollars,
        "API Gateway": usage.requests * PRICES["api_request"].dollars,
        "DynamoDB": sum(
            each.read * PRICES["read_unit"].dollars + each.write * PRICES["write_unit"].dollars
            for each in usage.units.values()
        ),
        "SQS": 3 * messages * PRICES["sqs_request"].dollars,
        # crun fetches each file once.
        "S3": usage.files * PRICES["s3_put"].dollars + (usage.called("s3") + usage.files) * PRICES["s3_get"].dollars,
        "EventBridge": (usage.files + usage.published) * PRICES["event"].dollars,
        "CloudWatch Logs": logs * (PRICES["log_byte"].dollars + PRICES["log_gb_month"].dollars / 1e9),
        "Secrets Manager, calls": usage.called("secretsmanager") * PRICES["secret_call"].dollars,
    }


# -- a month ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """The input of a month's bill.

    ``persons`` start in the month, with ``assets`` of ``megabytes`` each. ``page_requests`` are those of a person's
    browser, ``webhooks`` the endpoints that receive each event. ``months`` is how long people have come at this rate,
    which determines the size of the table.
    """

    persons: float
    assets: float = 5
    megabytes: float = 2
    page_requests: float = 30
    webhooks: int = 0
    months: float = 12
    firewall: bool = False
    alarm_email: bool = False


@dataclass(frozen=True)
class Line:
    """One line of the bill: US dollars per month. ``always``: the cost does not depend on traffic."""

    name: str
    dollars: float
    always: bool = False


@dataclass(frozen=True)
class Record:
    """The measurements: a person's usage by number of files, and that of one scheduled run by function."""

    persons: Mapping[int, Usage]
    clock: Mapping[str, Usage]
    processor: Mapping[str, float]
    metrics: float

    def person(self, assets: float) -> Usage:
        """Returns the usage of a person with this many files, interpolated between the measured numbers."""
        known = sorted(self.persons)
        upper = next((each for each in known[1:] if each >= assets), known[-1])
        lower = known[known.index(upper) - 1]
        share = (assets - lower) / (upper - lower)
        return mix([(1 - share, self.persons[lower]), (share, self.persons[upper])])


@functools.cache
def recorded() -> Record:
    """Returns the record that `python -m bench usage` has written."""
    found = json.loads(RECORD.read_text())
    return Record(
        persons={int(files): usage_from(each) for files, each in found["persons"].items()},
        clock={function: usage_from(each) for function, each in found["clock"].items()},
        processor=found["processor_seconds"],
        metrics=found["metrics"],
    )


def month(figures: Figures, template: Template | None = None, record: Record | None = None) -> list[Line]:
    """Returns the bill of a month, fixed costs first."""
    template, record = template or product_template(), record or recorded()
    rates = Rates(memory_of(template), record.processor)
    return [*_always(figures, template, record, rates), *_used(figures, template, record, rates)]


def _always(figures: Figures, template: Template, record: Record, rates: Rates) -> list[Line]:
    resources = template["Resources"].values()
    kinds = Counter(each["Type"] for each in resources)
    watched = sum(_watched(each["Properties"]) for each in resources if each["Type"] == "AWS::CloudWatch::Alarm")
    clock = mix((_runs(template, function), one) for function, one in record.clock.items())
    keys = kinds["AWS::KMS::Key"] if figures.alarm_email else 0
    return [
        Line("Alarms", watched * PRICES["alarm_month"].dollars, always=True),
        Line(
            "Key of the alarms' topic",
            keys * PRICES["key_month"].dollars,
            always=True,
        ),
        Line("Secrets", kinds["AWS::SecretsManager::Secret"] * PRICES["secret_month"].dollars, always=True),
        Line("Polls of empty queues", empty_receives(template) * PRICES["sqs_request"].dollars, always=True),
        Line("Scheduled runs, with their logs", sum(bill(clock, rates).values()), always=True),
        # The metric of the credits left at crun is written each hour.
        Line("Metric of credits", PRICES["metric_month"].dollars, always=True),
    ]


def _watched(alarm: Mapping[str, Any]) -> int:
    """Returns the number of metrics that an alarm watches."""
    return sum("MetricStat" in each for each in alarm.get("Metrics", [])) or 1


def empty_receives(template: Template) -> float:
    """Returns Lambda's polls of empty queues per month."""
    queues = sum(
        event["Type"] == "SQS"
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Serverless::Function"
        for event in each["Properties"].get("Events", {}).values()
    )
    return float(queues) * _EMPTY_RECEIVES


def _runs(template: Template, function: str) -> float:
    """Returns the scheduled runs of a function per month."""
    logical_id = "".join(part.capitalize() for part in function.split("_")) + "Function"
    events = template["Resources"][logical_id]["Properties"]["Events"].values()
    (schedule,) = [each["Properties"]["Schedule"] for each in events if each["Type"] == "Schedule"]
    number, unit = schedule.removeprefix("rate(").removesuffix(")").split()
    return _HOURS * 60 / (int(number) * _MINUTES[unit])


def _used(figures: Figures, template: Template, record: Record, rates: Rates) -> list[Line]:
    person = record.person(figures.assets)
    usage = mix(
        [
            (figures.persons, person),
            (figures.persons * figures.page_requests, _one_run(person, "get_session", requests=1)),
            (figures.persons * person.published * figures.webhooks, _one_run(person, "send_webhooks", webhook=1)),
        ]
    )
    lines = [Line(name, dollars) for name, dollars in bill(usage, rates).items()]
    lines += _stored(figures, template, person, rates)
    # A metric is billed for the hours in which it was written.
    busy = 1 - math.exp(-figures.persons / _HOURS)
    metrics = record.metrics + _METRICS_OF_A_METHOD * _detailed_methods(template)
    lines.append(Line("Metrics", busy * metrics * PRICES["metric_month"].dollars))
    if figures.firewall:
        rules = len(template["Resources"]["ApiFirewall"]["Properties"]["Rules"])
        month_ = PRICES["firewall_month"].dollars + rules * PRICES["firewall_rule_month"].dollars
        lines.append(Line("Firewall", month_ + usage.requests * PRICES["firewall_request"].dollars))
    return lines


def _one_run(person: Usage, function: str, requests: float = 0, webhook: float = 0) -> Usage:
    """Returns the usage of one more run of a function, by its mean in a person's usage.

    ``webhook`` is the number of messages, and of requests to a client's endpoint, in that run.
    """
    share = 1 / person.invocations[function]
    calls = {name: times * share for name, times in person.calls.get(function, {}).items()}
    units = person.units.get(function, Units())
    return Usage(
        requests=requests,
        invocations={function: 1},
        calls={function: calls | ({"webhook": webhook, "sqs": webhook} if webhook else {})},
        log_bytes={function: person.log_bytes[function] * share},
        units={function: Units(units.read * share, units.write * share)},
    )


def _stored(figures: Figures, template: Template, person: Usage, rates: Rates) -> list[Line]:
    """Returns the costs of stored and sent files, and of the inventory of all people so far."""

    def default(name: str) -> float:
        return float(template["Parameters"][name]["Default"])

    uploaded_gb = figures.persons * figures.assets * figures.megabytes / 1000
    days = default("UploadRetentionDays") + _OLD_VERSION_DAYS
    persons = figures.persons * figures.months
    table_gb = persons * person.stored_bytes / 1e9
    exports = _HOURS / default("InventoryHours")
    exported = exports * table_gb * 1e9 / _READ_UNIT_BYTES / 2 * PRICES["read_unit"].dollars
    exported += (
        table_gb
        * default("InventoryRetentionDays")
        / (default("InventoryHours") / 24)
        * (PRICES["s3_gb_month"].dollars)
    )
    rechecks = persons * figures.assets * _DAYS / default("RecheckDays")
    rechecks = min(rechecks, RECHECKED_AT_MOST * _runs(template, "recheck_assets"))
    seconds = rechecks * LATENCY["crun"] * rates.memory["recheck_assets"] / 1024
    return [
        Line("Files stored", uploaded_gb * days / _DAYS * PRICES["s3_gb_month"].dollars),
        Line("Files fetched by crun", uploaded_gb * PRICES["out_gb"].dollars),
        Line("Inventory: stored, exported", table_gb * PRICES["table_gb_month"].dollars + exported),
        Line(
            "Inventory: re-checked",
            seconds * PRICES["lambda_gb_second"].dollars + rechecks * PRICES["read_unit"].dollars,
        ),
    ]


def _detailed_methods(template: Template) -> int:
    """Returns the number of methods with detailed metrics of API Gateway."""
    settings = template["Resources"]["Api"]["Properties"].get("MethodSettings", [])
    if not any(each.get("MetricsEnabled") for each in settings):
        return 0
    return sum(
        event["Type"] == "Api"
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Serverless::Function"
        for event in each["Properties"].get("Events", {}).values()
    )
