"""Cold starts as on Lambda: the real runtime client, the built layers, and a new process each time.

It measures from the start of the process to the end of the first invocation, by the ruler of this machine
(bench/studies/ruler.py). The floor is a handler that creates ``boto3.client``s of the same services and makes one call.
A function is compared with its floor run by run, and the median of the ratios counts.
"""

from __future__ import annotations

import json
import os
import queue
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from bench.checked.check import COLD_PATH
from bench.studies.artefact import Artefact, build
from bench.studies.canned import Canned, Run, canned
from bench.studies.recording import Exchange, Recording, record
from bench.studies.ruler import Pairs, Ruler, detect
from bench.table import Row

PART = "cold_start"
#: The starts of which the plot shows the phases; they are measured in CPU time.
_PHASE_REPETITIONS = 2
_TIMEOUT_SECONDS = 60.0
#: A ruler may run a process this many times slower.
_SLOWER = 10
_WORKERS = 2
#: The goal of the functions for which a caller or a person waits.
_WAITED_FOR = (
    *("create_session", "record_consent", "fetch_asset", "register_asset", "open_validation"),
    "send_webhooks",
)
#: The goal of functions that did not exist at the commit of BEFORE.
_NEW_GOAL = 1.2
#: A ruler that counts the same in each run measures only these more than once, to show that it does.
_REPEATED = ("create_session", "receive_callback", "register_asset")
_PATH_GOAL, _WAITED_GOAL, _SPREAD_GOAL = 0.6, 1.2, 0.05
#: Ratios at commit 729b774, measured with the same ruler and Python 3.11: other functions may not get worse.
BEFORE = Path(__file__).with_name("cold_start_before.json")
#: A ratio counts as worse from this share on: an update of a package moves it a little.
_NO_WORSE = 1.05
_PATH_NOTE = (
    "Lambda's runtime client and the import of botocore are 725 of the 1,000 million instructions of each start. One"
    " function for the three tasks was measured: 1,134 in place of 2,980, so 0.55 for the path. docs/adr/0017 says why"
    " each task has a function, and why receive_callback does not start the execution (0.72)."
)
#: The packages in Lambda's runtime: boto3 with its dependencies, and the runtime client.
_RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "jmespath", "urllib3", "six.py")
_RUNTIME_CLIENT = ("awslambdaric", "runtime_client.*", "simplejson", "snapshot_restore_py")
_EMPTY_HANDLER = "def handler(event, context):\n    return None\n"
_FLOOR = """import json
import boto3
clients = [boto3.client(each) for each in {services!r}]
def handler(event, context):
    return json.dumps(clients[0].{call}, default=str)
"""
_CALL_BY_SERVICE = {
    "dynamodb": 'get_item(TableName="T", Key={"pk": {"S": "a"}, "sk": {"S": "b"}})',
    "events": 'put_events(Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}"}])',
}
#: Returns the imported modules, in the order of their imports.
_LIST_MODULES = """
import importlib.util, json, sys
answered = handler
def handler(event, context):
    answered(event, context)
    found = [name for name, each in sys.modules.items() if getattr(each, "__spec__", None) and each.__spec__.origin]
    return [name for name in found if name not in ("app", "__main__") and importlib.util.find_spec(name)]
"""
_AN_ITEM = Exchange("dynamodb", "GetItem", {}, 200, {"content-type": "application/x-amz-json-1.0"}, b'{"Item": {}}')


@dataclass(frozen=True)
class Sample:
    """CPU seconds. ``init_cpu`` ends when the runtime client asks for its first event."""

    cpu: float
    init_cpu: float


@dataclass
class Bench:
    """Starts processes as Lambda does."""

    server: Canned
    scratch: Path
    artefact: Artefact
    environment: dict[str, str]
    ruler: Ruler = field(default_factory=detect)
    #: The answer of the last process.
    answer: bytes = b""

    def __post_init__(self) -> None:
        runtime = self.scratch / "runtime"
        runtime.mkdir()
        packages = Path(boto3.__file__).parents[1]
        for name in (*_RUNTIME, *_RUNTIME_CLIENT):
            for found in packages.glob(name):
                (runtime / found.name).symlink_to(found)
        self._runtime = runtime

    def function(self, name: str) -> Path:
        """Returns the folder functions/<name> as deployed."""
        task = self.scratch / "tasks" / name
        if not task.exists():
            shutil.copytree(self.artefact.function(name), task)
        return task

    def floor(self, services: Sequence[str]) -> Path:
        """Returns the task of a floor: it creates clients of ``services`` and makes one call."""
        called = next(each for each in _CALL_BY_SERVICE if each in services)
        ordered = sorted(services, key=lambda each: each != called)
        return self.task("floor_" + "_".join(services), _FLOOR.format(services=ordered, call=_CALL_BY_SERVICE[called]))

    def imports_of(self, recording: Recording) -> str:
        """Returns a handler that imports the modules that the function has loaded at its end, and does nothing else."""
        source = (self.artefact.function(recording.function) / "app.py").read_text() + _LIST_MODULES
        task = self.task(f"modules_{recording.function}", source)
        self.start(task, self.artefact.layers, recording.event, recording.exchanges)
        names: list[str] = json.loads(self.answer)
        return f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n{_EMPTY_HANDLER}"

    def task(self, name: str, source: str) -> Path:
        """Returns a folder that is deployed as a function."""
        folder = self.scratch / "tasks" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "app.py").write_text(source)
        return folder

    def start(self, task: Path, layers: Sequence[Path], event: dict[str, Any], answers: Sequence[Exchange]) -> Sample:
        """Makes one cold start. Raises RuntimeError when the invocation fails."""
        child, run = self._begin(task, layers, Run(event, answers), list)
        run.ready.wait(_TIMEOUT_SECONDS)
        init_cpu = _cpu_so_far(child.pid)
        run.idle.wait(_TIMEOUT_SECONDS)
        usage = _end(child, signal.SIGKILL)
        self._check(task, run)
        return Sample(usage.ru_utime + usage.ru_stime, init_cpu)

    def count(self, task: Path, layers: Sequence[Path], event: dict[str, Any], answers: Sequence[Exchange]) -> float:
        """Makes one cold start, and returns its figure in the ruler's unit. Raises RuntimeError like ``start``."""
        log = self.scratch / "ruler.log"
        child, run = self._begin(task, layers, Run(event, answers), lambda command: self.ruler.wrap(command, log))
        run.idle.wait(_SLOWER * _TIMEOUT_SECONDS)
        usage = _end(child, signal.SIGTERM)  # perf and valgrind write their figure when their process is terminated
        self._check(task, run)
        return self.ruler.read(log, usage)

    def _begin(
        self, task: Path, layers: Sequence[Path], run: Run, wrap: Callable[[Sequence[str]], list[str]]
    ) -> tuple[subprocess.Popen[bytes], Run]:
        self.server.play(run)
        child = subprocess.Popen(
            wrap([sys._base_executable, "-S", "-m", "awslambdaric", "app.handler"]),  # type: ignore[attr-defined]
            cwd=task,
            env=self.environment | self._process(task, layers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return child, run

    def _check(self, task: Path, run: Run) -> None:
        self.answer = run.answer or b""
        if run.failed or run.answer is None:
            raise RuntimeError(f"{task.name}: {(run.answer or b'no answer')[:2000]!r}")
        if b'"statusCode": 5' in run.answer or b'"statusCode":5' in run.answer:
            raise RuntimeError(f"{task.name}: {run.answer[:2000]!r}")

    def _process(self, task: Path, layers: Sequence[Path]) -> dict[str, str]:
        endpoint = f"http://{self.server.address}"
        paths = [task, *(layer / "python" for layer in layers), self._runtime]
        return {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",  # the order of sets, and so the number of instructions, is the same in each run
            "PATH": os.environ.get("PATH", os.defpath),
            "AWS_LAMBDA_RUNTIME_API": self.server.address,
            "AWS_ENDPOINT_URL": endpoint,
            "CRUN_BASE_URL": endpoint,
            "LAMBDA_TASK_ROOT": str(task),
            "LAMBDA_RUNTIME_DIR": str(self._runtime),
            "AWS_LAMBDA_FUNCTION_NAME": task.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "HOME": str(self.scratch),
        }


def _cpu_so_far(pid: int) -> float:
    """Returns the CPU seconds of the main thread."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError):
        return 0.0


def _end(child: subprocess.Popen[bytes], by: signal.Signals) -> resource.struct_rusage:
    """Ends the process and what it has started, and returns what it has used."""
    os.killpg(child.pid, by)  # not Popen.kill: that would reap a process that has ended by itself
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    return usage


# -- the figures --------------------------------------------------------------------------------------------------


@dataclass
class Phases:
    """CPU samples of each function, of the runtime client alone, and of each function's imports alone."""

    built: dict[str, list[Sample]] = field(default_factory=dict)
    runtime: list[Sample] = field(default_factory=list)
    imports: dict[str, list[Sample]] = field(default_factory=dict)
    floors: dict[str, list[Sample]] = field(default_factory=dict)


Turn = Recording | tuple[str, ...]


@contextmanager
def _benches(environment: dict[str, str], number: int) -> Iterator[queue.SimpleQueue[Bench]]:
    """Creates ``number`` benches, each with its own server and folder."""
    free: queue.SimpleQueue[Bench] = queue.SimpleQueue()
    with ExitStack() as block:
        for _ in range(number):
            folder = Path(block.enter_context(tempfile.TemporaryDirectory()))
            free.put(Bench(block.enter_context(canned()), folder, build(), environment))
        yield free


@cache
def _recorded() -> tuple[dict[str, Recording], dict[str, str]]:
    return record()


@cache
def measure(only: tuple[str, ...] = ()) -> dict[str, Pairs]:
    """Measures each function, or those of ``only``, and their floors; each round has another order."""
    recordings, environment = _recorded()
    ruler = detect()
    wanted = [each for name, each in sorted(recordings.items()) if not only or name in only]
    found: dict[str | tuple[str, ...], list[float]] = {}
    with _benches(environment, _WORKERS if ruler.parallel else 1) as free:

        def take(turn: Turn) -> None:
            bench = free.get()
            try:
                name = turn.function if isinstance(turn, Recording) else turn
                found.setdefault(name, []).append(_count(bench, turn))
            finally:
                free.put(bench)

        for number in range(ruler.most_rounds):
            chosen = [each for each in wanted if number < _rounds(each.function, ruler)]
            turns: list[Turn] = [*chosen, *sorted({each.services for each in chosen})]
            random.Random(number).shuffle(turns)
            with ThreadPoolExecutor(free.qsize()) as pool:
                list(pool.map(take, turns))
    pairs = {}
    for each in wanted:
        mine = found[each.function]
        pairs[each.function] = Pairs(tuple(mine), tuple(found[each.services][: len(mine)]))
    return pairs


def count(recordings: Sequence[Recording], environment: dict[str, str]) -> dict[str, float]:
    """Returns the figure of one start for each of ``recordings``, by function, in the ruler's unit."""
    with _benches(environment, 1) as free:
        bench = free.get()
        return {each.function: _count(bench, each) for each in recordings}


def _rounds(function: str, ruler: Ruler) -> int:
    return ruler.most_rounds if function in _REPEATED else ruler.rounds


def _count(bench: Bench, turn: Turn) -> float:
    if isinstance(turn, Recording):
        return bench.count(bench.function(turn.function), bench.artefact.layers, turn.event, turn.exchanges)
    return bench.count(bench.floor(turn), [], {}, [_AN_ITEM])


@cache
def phases() -> Phases:
    """Takes the CPU samples of all functions for the plot."""
    recordings, environment = _recorded()
    found = Phases()
    with _benches(environment, 1) as free:
        bench = free.get()
        bare = bench.task("bare", _EMPTY_HANDLER)
        found.runtime = [bench.start(bare, [], {}, []) for _ in range(_PHASE_REPETITIONS)]
        floors: dict[tuple[str, ...], list[Sample]] = {}
        for name, each in sorted(recordings.items()):
            task = bench.task(f"imports_{name}", bench.imports_of(each))
            floors.setdefault(each.services, [])
            found.floors[name] = floors[each.services]
            for _ in range(_PHASE_REPETITIONS):
                whole = bench.start(bench.function(name), bench.artefact.layers, each.event, each.exchanges)
                found.built.setdefault(name, []).append(whole)
                found.imports.setdefault(name, []).append(bench.start(task, bench.artefact.layers, {}, []))
                if len(floors[each.services]) < _PHASE_REPETITIONS:
                    floors[each.services].append(bench.start(bench.floor(each.services), [], {}, [_AN_ITEM]))
    return found


def _milliseconds(samples: Sequence[Sample], name: str = "cpu") -> float:
    """Returns the smallest sample: other load on the machine only ever adds to a start."""
    return 1000 * min(float(getattr(each, name)) for each in samples)


def rows() -> list[Row]:
    """Returns one row for each function, the whole path of a callback, and the largest spread."""
    found, unit = measure(), detect().unit
    before: dict[str, float] = json.loads(BEFORE.read_text())["ratios"]
    path = [found[name].middle for name in COLD_PATH]
    whole = Row(
        PART,
        "callback to the first submission, all five starts",
        sum(mine for mine, _ in path),
        unit,
        floor=sum(floor for _, floor in path),
        goal=_PATH_GOAL,
        note=_PATH_NOTE,
    )
    spreads = {name: each.spread for name, each in found.items() if len(each.ratios) > 1}
    widest = max(spreads, key=lambda name: spreads[name])
    spread = Row(
        PART,
        "largest spread of a ratio between two runs",
        spreads[widest],
        "of the median",
        goal=_SPREAD_GOAL,
        note=f"{detect().name[0].upper()}{detect().name[1:]}; {widest}, {len(found[widest].ratios)} runs.",
    )
    parts = [f"{found[name].middle[0]:,.0f}" for name in ("create_generation", "create_task")]
    reasons = {
        "relay_task": "It also creates the task at crun, with twice as many calls: where the caller does not wait for"
        f" that, two functions do the same with {' and '.join(parts)} {unit}."
    }
    judged = [_judged(name, each, unit, before.get(name), reasons.get(name, "")) for name, each in found.items()]
    return [whole, spread, *judged]


def _judged(function: str, pairs: Pairs, unit: str, before: float | None, reason: str) -> Row:
    waited = function in _WAITED_FOR
    goal = _WAITED_GOAL if waited else _NO_WORSE * before if before else _NEW_GOAL
    mine, floor = pairs.middle
    return Row(PART, function, mine, unit, floor=floor, goal=goal, note=reason)


def extra() -> dict[str, Any]:
    """Returns the plot's data: CPU milliseconds by phase."""
    found = phases()
    functions = {}
    for function, samples in found.built.items():
        ready, whole = _milliseconds(samples, "init_cpu"), _milliseconds(samples)
        runtime, imported = _milliseconds(found.runtime), _milliseconds(found.imports[function])
        functions[function] = {
            "runtime": runtime,
            "imports": max(0.0, imported - runtime),
            "clients": max(0.0, ready - imported),
            "first invocation": whole - max(ready, imported),
            "floor": _milliseconds(found.floors[function]),
        }
    return {"functions": functions}
