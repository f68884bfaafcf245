"""The memory that each function uses, and a model of the time and the cost of a cold start for each MemorySize.

The peak is that of a new process under Lambda's runtime client, with the built layers, after its start and one
invocation with recorded responses. The model: a function has memory / 1,769 MB of a processor (AWS: 1,769 MB are one
vCPU), but a whole one while it starts; waits for AWS and crun do not depend on the size; the start is billed. The
recorded responses use plain HTTP, so the model adds one new TLS connection for each service (bench/studies/tls.py).
Most people come once, so most invocations that somebody waits for are cold: the model is about cold starts.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.studies.artefact import build
from bench.studies.bytecode import all_recordings, wrapped
from bench.studies.canned import canned
from bench.studies.cold_start import BEFORE, Bench, count
from bench.studies.recording import Recording, record, record_press_of_start
from bench.studies.ruler import detect
from bench.studies.tls import measure as measure_tls
from bench.table import Row
from tests.template_file import RESOURCES, TEMPLATE

SAMPLES = 3
#: The press of Start has a goal of its own.
_PRESS_SAMPLES = 7
SIZES = (128, 256, 512, 1024)
_PEAK_SHARE = 0.6
_FULL_PROCESSOR_MB = 1769
#: US dollars in us-east-1 on arm64 (aws.amazon.com/lambda/pricing): per GB-second, and per request.
_GB_SECOND = 0.0000133334
_REQUEST = 0.20 / 1_000_000
#: Seconds of waiting for one call. Assumed, because recorded responses are immediate.
_AWS_CALL, _CRUN_CALL = 0.01, 0.3
#: A size is good enough when its cost times latency is at most this factor above the best.
_NEAR_BEST = 1.1
#: Reads Linux's VmHWM: getrusage also counts the process before its exec.
_MEASURED_SOURCE = """import json, time
start = time.process_time()
from function import handler as invoke
def handler(event, context):
    began = time.process_time()
    answer = invoke(event, context)
    ended = time.process_time()
    with open("/proc/self/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    with open("measured.json", "w") as file:
        json.dump({"init": began, "first": ended - began, "peak": peak * 1024 / 1e6}, file)
    return answer
"""


@dataclass(frozen=True)
class Footprint:
    """One function: peak in MB; CPU seconds of its start and of its first invocation; seconds that it waits for calls.

    ``first`` includes the TLS connections.
    """

    peak: float
    init: float
    first: float
    waiting: float

    def latency(self, size: int) -> float:
        """Returns the seconds of a cold start at ``size`` MB."""
        return self.init + self.first / min(1.0, size / _FULL_PROCESSOR_MB) + self.waiting

    def cost(self, size: int) -> float:
        """Returns the US dollars of a cold start at ``size`` MB."""
        return self.latency(size) * size / 1024 * _GB_SECOND + _REQUEST

    def fits(self, size: int) -> bool:
        """Returns whether enough of ``size`` MB stays free."""
        return self.peak <= _PEAK_SHARE * size


def best_size(footprint: Footprint) -> int:
    """Returns the smallest size that fits and whose cost times latency is within a tenth of the best."""
    products = {size: footprint.cost(size) * footprint.latency(size) for size in SIZES if footprint.fits(size)}
    if not products:
        return SIZES[-1]
    return min(size for size, product in products.items() if product <= _NEAR_BEST * min(products.values()))


def measure(samples: int = SAMPLES, only: Set[str] = frozenset()) -> dict[str, Footprint]:
    """Returns the footprint of each function, or of those in ``only``: the highest peak and the median times."""
    recordings, settings = record()
    wanted = [each for each in all_recordings(recordings) if not only or each.function in only]
    return _footprints(wanted, settings, samples)


def _footprints(wanted: Sequence[Recording], settings: dict[str, str], samples: int) -> dict[str, Footprint]:
    with tempfile.TemporaryDirectory() as folder, canned() as server:
        bench = Bench(server, Path(folder), build(), settings)
        connection = _connections()
        return {each.function: _footprint(bench, each, samples, connection) for each in wanted}


@cache
def _connections() -> tuple[float, float]:
    """Returns the CPU seconds of the first call on a new TLS connection: of an AWS client, and of crun's."""
    calls = measure_tls(SAMPLES)
    return calls["dynamodb"][0], calls["crun"][0]


def _footprint(bench: Bench, recording: Recording, samples: int, connection: tuple[float, float]) -> Footprint:
    task = wrapped(bench, recording.function, _MEASURED_SOURCE)
    found = []
    for _ in range(samples):
        bench.start(task, bench.artefact.layers, recording.event, recording.exchanges)
        found.append(json.loads((task / "measured.json").read_text()))
    asked = Counter(each.service == "crun" for each in recording.exchanges)
    services = Counter(name == "crun" for name in {each.service for each in recording.exchanges})
    tls = services[False] * connection[0] + services[True] * connection[1]
    return Footprint(
        peak=max(each["peak"] for each in found),
        init=statistics.median(each["init"] for each in found),
        first=statistics.median(each["first"] for each in found) + tls,
        waiting=asked[True] * _CRUN_CALL + asked[False] * _AWS_CALL,
    )


def memory_size(function: str) -> int:
    """Returns the template's MemorySize of functions/<function>, in MB."""
    (size,) = (
        each["Properties"].get("MemorySize", TEMPLATE["Globals"]["Function"]["MemorySize"])
        for each in RESOURCES.values()
        if each["Type"] == "AWS::Serverless::Function" and each["Properties"]["CodeUri"] == f"functions/{function}"
    )
    return int(size)


_found: dict[str, Footprint] = {}


def rows() -> list[Row]:
    """Returns each function's peak compared with its MemorySize, and the size by the rule."""
    _found.update(measure())
    peaks = [
        Row("memory", f"{name}: peak", each.peak, "MB", memory_size(name), _PEAK_SHARE)
        for name, each in sorted(_found.items())
    ]
    sizes = [
        Row("memory", f"{name}: size by the rule", best_size(each), "MB", memory_size(name))
        for name, each in sorted(_found.items())
    ]
    return [*peaks, *sizes, *_press_of_start()]


_START_GOAL = 0.7
_PRESS = "press of Start to the H5 link, all functions cold"


def _press_of_start() -> list[Row]:
    """Returns the model's time from a press of Start to the H5 link, compared with that of the commit of BEFORE.

    A press invokes authorize with the token of the invite link, then create_session for an attempt. The earlier
    processor time is the present one times the ratio of the instructions; waits are those of that commit.
    """
    recordings, settings = record_press_of_start()
    footprints = _footprints(list(recordings.values()), settings, _PRESS_SAMPLES)
    now = {name: each.latency(memory_size(name)) for name, each in footprints.items()}
    kept = json.loads(BEFORE.read_text())
    if detect().unit != kept["unit"]:
        return [Row("memory", _PRESS, sum(now.values()), "s", note="The floor needs instructions.")]
    counted, before = count(list(recordings.values()), settings), 0.0
    for name, earlier in kept["press_of_start"].items():
        more, each = earlier["instructions"] / counted[name], footprints[name]
        then = Footprint(each.peak, each.init * more, each.first * more, earlier["waits"])
        before += then.latency(earlier["memory"])
    note = (
        f"The floor is this model for commit {kept['commit']}, before pages and functions were made faster. In both,"
        f" {1000 * sum(each.waiting for each in footprints.values()):.0f} ms are waits for crun and AWS. create_session"
        f" starts with {counted['create_session']:,.0f} million instructions in place of"
        f" {kept['press_of_start']['create_session']['instructions']:,.0f}."
    )
    return [Row("memory", _PRESS, sum(now.values()), "s", before, _START_GOAL, note=note)]


def extra() -> dict[str, Any]:
    """Returns the model's table."""
    return {"table": model_table(_found)}


def model_table(footprints: Mapping[str, Footprint]) -> list[list[str]]:
    """Returns seconds and US dollars per million cold starts, by function and size; the first line is the head."""
    head = ["function", "start, ms CPU", "first invocation, ms CPU", "waits, ms", *(f"{size} MB" for size in SIZES)]
    table = [[*head, "template", "by the rule"]]
    for name, each in sorted(footprints.items()):
        milliseconds = [f"{1000 * value:.0f}" for value in (each.init, each.first, each.waiting)]
        table.append([name, *milliseconds, *(_cell(each, size) for size in SIZES), f"{memory_size(name)}"])
        table[-1].append(f"{best_size(each)}")
    return table


def _cell(footprint: Footprint, size: int) -> str:
    if not footprint.fits(size):
        return "too small"
    return f"{footprint.latency(size):.2f} s, ${1_000_000 * footprint.cost(size):.2f}"
