"""At how many persons an hour which quota ends growth: a model, its check on the emulator, and a simulated day.

A quota's limit divided by what one person uses of it is a number of persons. What a person uses is counted
(ops/usage.json). The simulation (bench/studies/crowd.py) shows the same with the real rate limiter and poll schedule,
and is compared with executions on the emulator at three sizes.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.studies.crowd import RATES, Crowd, Outcome, Simulation, day, evenly
from bench.studies.memory import _AWS_CALL, _CRUN_CALL, _FULL_PROCESSOR_MB, memory_size
from bench.table import Row
from local import emulator
from local.media import portrait
from local.processes import free_port
from local.stack import Options, Stack, running_stack
from ops.cost import RECORD, Usage, usage_from
from tests.integration.conftest import Api, Canaries, come_back, face_check, send_file, settled
from tests.template_file import TEMPLATE

PART = "capacity"
#: A person of the model: files, and requests of the person's page to static files (docs/performance.md).
FILES, PAGE_REQUESTS = 5, 15
READ_ON = "2026-11-29"
_HOUR = 3600.0
_PARAMETERS = TEMPLATE["Parameters"]
#: Seconds of a webhook receiver's response. Assumed.
_RECEIVER = 0.5
_DOCS = "https://docs.aws.amazon.com"
_STATES = f"{_DOCS}/step-functions/latest/dg/service-quotas.html"
_LAMBDA = f"{_DOCS}/lambda/latest/dg/gettingstarted-limits.html"
_SCALING = f"{_DOCS}/lambda/latest/dg/scaling-behavior.html"
_GATEWAY = f"{_DOCS}/apigateway/latest/developerguide/limits.html"
_PARTITION = f"{_DOCS}/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
_QUEUE = f"{_DOCS}/lambda/latest/dg/services-sqs-scaling.html"


@dataclass(frozen=True)
class Quota:
    """A limit per second (``limit``), what one person uses of it (``use``), and what moves it.

    ``limit`` and ``use`` have the same ``unit``. ``source`` is a parameter of the template or a page of AWS.
    """

    name: str
    limit: float
    use: float
    unit: str
    moves: str
    source: str

    @property
    def persons(self) -> float:
        """Persons an hour at which the quota ends growth."""
        return self.limit / self.use * _HOUR


def default(parameter: str) -> float:
    """Returns the default of one of the template's parameters."""
    return float(_PARAMETERS[parameter]["Default"])


def person() -> Usage:
    """Returns what one person with FILES files uses."""
    return usage_from(json.loads(RECORD.read_text())["persons"][str(FILES)])


def crun_calls(usage: Usage) -> float:
    """Returns the calls to crun."""
    return sum(each.get("crun", 0) for each in usage.calls.values())


def busy_seconds(usage: Usage) -> dict[str, float]:
    """Returns the seconds for which one person keeps a process of each function busy, when all processes are warm."""
    processor: dict[str, float] = json.loads(RECORD.read_text())["processor_seconds"]
    found = {}
    for name, times in usage.invocations.items():
        calls = usage.calls.get(name, {})
        crun = calls.get("crun", 0)
        waits = crun * _CRUN_CALL + (sum(calls.values()) - crun) * _AWS_CALL
        computing = processor.get(name, 0.01) / min(1.0, memory_size(name) / _FULL_PROCESSOR_MB)
        found[name] = times * computing + waits
    found["send_webhooks"] += usage.invocations["send_webhooks"] * _RECEIVER
    return found


def limiter_writes(usage: Usage) -> float:
    """Returns the writes to the rate limiter's items: one for each batch of calls to crun."""
    asking = ("create_session", "look_up_result", "submit_asset", "poll_assets")
    return sum(usage.invocations[each] for each in asking)


def quotas() -> list[Quota]:
    """Returns all quotas of the model with the template's defaults, the one that ends growth first at the beginning."""
    usage = person()
    busy, crun = busy_seconds(usage), crun_calls(usage)
    own, writes = default("CrunRequestsPer10s") / 10, sum(each.write for each in usage.units.values())
    at_once = default("BackgroundConcurrency")
    most = max(usage.invocations.values())
    parameter = "CrunRequestsPer10s, when crun grants the key more"
    found = [
        Quota("calls to crun, all clients", own, crun, "calls", parameter, "CrunRequestsPer10s"),
        Quota(
            "calls to crun, one client's share",
            own * 3 / 4,
            crun,
            "calls",
            f"{parameter}; the share is three quarters",
            "adapters/table/rate_limiter.py",
        ),
        Quota(
            "webhooks sent at once",
            at_once,
            busy["send_webhooks"],
            "busy processes",
            "BackgroundConcurrency (at most 1,000)",
            _QUEUE,
        ),
        Quota(
            "messages handled at once",
            at_once,
            busy["start_onboarding"],
            "busy processes",
            "BackgroundConcurrency (at most 1,000)",
            _QUEUE,
        ),
        Quota(
            "requests of one route and method",
            100,
            PAGE_REQUESTS,
            "requests",
            "ThrottlingRateLimit in template.yaml; fewer files of the page",
            "template.yaml",
        ),
        Quota(
            "Lambda: concurrent executions",
            1000,
            sum(busy.values()),
            "busy processes",
            "a request to AWS (L-B99A9384)",
            _LAMBDA,
        ),
        Quota(
            "Lambda: new processes of one function",
            100,
            most,
            "processes, if none were idle",
            "none; idle processes are used first",
            _SCALING,
        ),
        Quota("Step Functions: executions started", 300, 1, "starts", "a request to AWS", _STATES),
        Quota("Step Functions: executions started, smaller regions", 150, 1, "starts", "a request to AWS", _STATES),
        Quota("Step Functions: transitions", 5000, usage.transitions, "transitions", "a request to AWS", _STATES),
        Quota(
            "Step Functions: transitions, smaller regions",
            800,
            usage.transitions,
            "transitions",
            "a request to AWS",
            _STATES,
        ),
        Quota(
            "DynamoDB: one partition, the rate limiter's items",
            1000,
            limiter_writes(usage),
            "write units",
            "none: a limiter for each client or lane would be a change of the code",
            _PARTITION,
        ),
        Quota(
            "DynamoDB: one partition, if one client's index took every write",
            1000,
            writes,
            "write units",
            "several clients; DynamoDB divides busy partitions by itself",
            _PARTITION,
        ),
        Quota(
            "API Gateway: requests of the account",
            10_000,
            usage.requests + PAGE_REQUESTS,
            "requests",
            "a request to AWS (L-8A5B8E43)",
            _GATEWAY,
        ),
    ]
    return sorted(found, key=lambda each: each.persons)


# -- the simulated day --------------------------------------------------------------------------------------------

PERSONS_A_DAY, CLIENTS, DAY_FILES = 100_000, 4, 2
#: CrunRequestsPer10s of the simulated day: the busiest hour has 7,500 persons, each with nine calls.
DAY_PER_10S = 300


def settling(chance: random.Random) -> float:
    """Draws the seconds until a file is Active. The distribution is an assumption; crun publishes nothing."""
    return chance.lognormvariate(math.log(20), 0.8)


def checking(chance: random.Random) -> float:
    """Draws the seconds between a link and the pass."""
    return chance.uniform(20, 100)


def simulated_day() -> dict[str, float]:
    """Simulates the day, and returns its figures."""
    outcome = Simulation(Crowd(day(PERSONS_A_DAY), DAY_FILES, CLIENTS, DAY_PER_10S, settling, checking, seed=1)).run()
    return figures(outcome)


def figures(outcome: Outcome) -> dict[str, float]:
    """Returns the figures of an outcome that rows and pages show."""
    persons = max(1, outcome.finished)

    def share(of: Sequence[float], at: float) -> float:
        return sorted(of)[int(at * (len(of) - 1))]

    return {
        "finished": outcome.finished,
        "calls": outcome.all_calls / persons,
        "transitions": outcome.transitions / persons,
        "refused": outcome.refused,
        "retried": outcome.retried,
        "running": outcome.most_running,
        "writes": outcome.writes / persons,
        "link p99": share(outcome.link_waits, 0.99),
        "delay p50": share(outcome.delays, 0.5),
        "delay p95": share(outcome.delays, 0.95),
        "done p95": share(outcome.done, 0.95),
        **{f"{rate} in 10 s": outcome.peak(rate) for rate in RATES},
    }


# -- the check on the emulator ------------------------------------------------------------------------------------

SIZES = (5, 15, 45)
#: Persons who act at the same time, and processes of each function: more would only slow the emulator down.
_CALLERS, _AT_ONCE, _TIMEOUT = 2, 4, 240.0
_LIMITED = ("LookUpResult", "ClaimAssets", "SubmitAsset", "PollAssets", "SendWebhooks", "CheckUpload", "PublishChanges")
#: Seconds until a file is Active on the simulator, so that a person needs a few polls.
_SETTLE = (4.0, 10.0)
_CHECK_PARAMETERS = ("LinkCheckDelaySeconds=900", "CrunRequestsPer10s=400")


@dataclass(frozen=True)
class Measured:
    """What persons used on the emulator, or in the simulation: calls to crun, executions and transitions."""

    persons: int
    calls: int
    executions: int
    transitions: int

    def differs(self, other: Measured) -> float:
        """Returns the largest difference of a figure, as a share."""
        pairs = [(self.calls, other.calls), (self.executions, other.executions)]
        pairs.append((self.transitions, other.transitions))
        return max(abs(mine - theirs) / theirs for mine, theirs in pairs)


def predicted(persons: int) -> Measured:
    """Returns the simulation's figures for the emulator's persons, who pass at once."""
    crowd = Crowd(
        evenly(persons, persons * 2.0),
        1,
        1,
        400,
        lambda chance: chance.uniform(*_SETTLE),
        lambda chance: chance.uniform(1, 2),
        step=0.5,
    )
    found = Simulation(crowd).run()
    return Measured(persons, found.all_calls, found.executions, found.transitions)


def on_the_emulator(sizes: Sequence[int] = SIZES) -> list[Measured]:
    """Onboards persons on the deployed stack, size by size, and counts."""
    options = Options(Path(".local/bench.json"), free_port(), free_port(), parameters=_CHECK_PARAMETERS)
    with running_stack(options, lambda _: None) as stack:
        settings = {"fetch_delay_seconds": 0, "settle_min_seconds": _SETTLE[0], "settle_max_seconds": _SETTLE[1]}
        requests.post(f"{stack.simulator_url}/_sim/settings", json=settings, timeout=10).raise_for_status()
        functions = emulator.client("lambda", stack.emulator_endpoint)
        for each in _LIMITED:
            name = stack.resource(f"{each}Function")
            functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=_AT_ONCE)
        counter = _Counter(stack)
        _onboard(stack, 1)  # the functions' processes start
        found, before = [], counter.now()
        for persons in sizes:
            _onboard(stack, persons)
            after = counter.now()
            found.append(Measured(persons, *(more - less for more, less in zip(after, before, strict=True))))
            before = after
    return found


def _onboard(stack: Stack, persons: int) -> None:
    with ThreadPoolExecutor(_CALLERS) as pool:
        made = list(pool.map(lambda number: _pass(Api(stack, stack.api_key, Canaries()), number), range(persons)))
    api = Api(stack, stack.api_key, Canaries())
    for each in made:
        _until(lambda each=each: settled(api.get(each)))
    sfn = emulator.client("stepfunctions", stack.emulator_endpoint)
    machine = stack.outputs["StateMachineArn"]
    _until(lambda: not sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])


def _pass(api: Api, number: int) -> str:
    picture = portrait("alice", 400 + number, 500, image_format="PNG")
    asset = {"name": "bench", "asset_type": "Image", "content_type": "image/png", "size_bytes": len(picture)}
    made = api.session(assets=[asset])
    if not send_file(made["assets"][0]["upload"], picture).ok:
        raise RuntimeError("the stack refused an upload")
    _until(lambda: api.get(made["id"])["assets"][0]["status"] == "uploaded")
    callback = face_check(made["attempt"]["h5_link"])
    _until(lambda: _comes_back(callback))
    found: str = made["id"]
    return found


def _comes_back(callback: str) -> bool:
    """Returns whether the callback was received. Like a person, the caller loads the page again when it was not."""
    try:
        return bool(come_back(callback).status_code == requests.codes.see_other)
    except requests.Timeout:
        return False


def _until(done: Any) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done within {_TIMEOUT:.0f} s")
        time.sleep(0.3)


class _Counter:
    """Counts calls to crun, executions, and the states that they entered."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._known = stack, dict[str, int]()

    def now(self) -> tuple[int, int, int]:
        """Returns all calls, executions and transitions so far; no execution runs."""
        entries = requests.get(f"{self._stack.simulator_url}/_sim/log", timeout=30).json()["entries"]
        calls = sum(each["call"] in _CRUN_CALLS for each in entries)
        sfn = emulator.client("stepfunctions", self._stack.emulator_endpoint)
        pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=self._stack.outputs["StateMachineArn"])
        for execution in (each["executionArn"] for page in pages for each in page["executions"]):
            if execution not in self._known:
                history = sfn.get_paginator("get_execution_history").paginate(executionArn=execution)
                events = (event["type"] for page in history for event in page["events"])
                self._known[execution] = sum(each.endswith("StateEntered") for each in events)
        return calls, len(self._known), sum(self._known.values())


#: The simulator's names for the four calls to crun.
_CRUN_CALLS = frozenset({"session", "result", "upload", "info"})


# -- the rows -----------------------------------------------------------------------------------------------------

_found: dict[str, Any] = {}


def rows() -> list[Row]:
    """Returns the limits, the check on the emulator, and the simulated day."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        simulated = pool.apply_async(simulated_day)
        measured = on_the_emulator()
        of_day: dict[str, float] = simulated.get()
    _found.update(day=of_day, check=[(each, predicted(each.persons)) for each in measured])
    return [*_limits(), *_checks(), *_day(of_day)]


def _limits() -> list[Row]:
    ordered = quotas()
    return [
        Row(PART, f"{each.name}", each.persons, "persons per hour", note=f"Moved by {each.moves}.") for each in ordered
    ]


def _checks() -> list[Row]:
    found = []
    for measured, model in _found["check"]:
        note = (
            f"Measured {measured.calls} calls to crun, {measured.executions} executions, {measured.transitions}"
            f" transitions; the model has {model.calls}, {model.executions}, {model.transitions}."
        )
        what = f"{measured.persons} persons on the emulator: largest difference to the model"
        found.append(Row(PART, what, measured.differs(model), "of the count", goal=0.2, note=note))
    return found


def _day(of_day: dict[str, float]) -> list[Row]:
    what = f"{PERSONS_A_DAY:,} persons a day"
    note = f"{DAY_FILES} files each, {CLIENTS} clients, CrunRequestsPer10s={DAY_PER_10S}."
    return [
        Row(PART, f"{what}: persons who finish", of_day["finished"], "", float(PERSONS_A_DAY), 1.0, True, note),
        Row(PART, f"{what}: calls to crun in 10 s", of_day["crun in 10 s"], "", float(DAY_PER_10S), 1.0),
        Row(PART, f"{what}: answers 429", of_day["refused"], "", goal=PERSONS_A_DAY / 1000),
        Row(PART, f"{what}: wait for a link, p99", of_day["link p99"], "s", goal=1.0),
        Row(PART, f"{what}: executions at once", of_day["running"], ""),
        Row(PART, f"{what}: transitions in 10 s", of_day["transitions in 10 s"], "", 8000.0, 1.0),
        Row(PART, f"{what}: Active to detected, p95", of_day["delay p95"], "s"),
    ]


def extra() -> dict[str, Any]:
    """Returns the table of the quotas, and the figures of docs/capacity.md."""
    check = [
        [each.persons, each.calls, model.calls, each.executions, model.executions, each.transitions, model.transitions]
        for each, model in _found["check"]
    ]
    return {"day": _found["day"], "check": check}
