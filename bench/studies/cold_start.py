"""Cold starts as on Lambda: the real runtime client, the built layers, and a new process each time.

It measures CPU time from the start of the process to the end of the first invocation. The floor is a handler that
creates ``boto3.client``s of the same services and makes one call.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from bench.studies.artefact import Artefact, build
from bench.studies.canned import Canned, Run, canned
from bench.studies.recording import Exchange, Recording, record
from bench.table import Row

REPETITIONS = 12
_FLOOR_REPETITIONS = 3
_TIMEOUT_SECONDS = 60.0
#: Functions with the lower goal: they do not call crun and parse no request body.
_WITHOUT_BODY_PARSING = frozenset(
    {"receive_callback", "authorize", "check_upload", "start_onboarding", "claim_assets", "publish_changes"}
)
_BODY_PARSING_NOTE = (
    "Pydantic for the request body and Powertools' router are a third of this start. Both are kept, because they are"
    " better tested than our own code would be."
)
_NEAR_GOAL_NOTE = "Within a tenth of its goal: on a shared machine, the fastest of twelve starts varies by that much."
#: The reasons why functions miss their goal.
_MISSED_GOAL_NOTES = dict.fromkeys(("create_session", "record_consent", "register_asset"), _BODY_PARSING_NOTE) | {
    "create_session": f"{_BODY_PARSING_NOTE} Powertools' idempotency also imports boto3.",
    "get_session": "With one client the floor is low, so that Powertools' router and logger weigh more.",
    "claim_assets": "With one client the floor is low, so that the logger and the domain's own classes weigh more.",
}
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
        run = Run(event, answers)
        self.server.play(run)
        child = subprocess.Popen(
            [sys._base_executable, "-S", "-m", "awslambdaric", "app.handler"],  # type: ignore[attr-defined]
            cwd=task,
            env=self.environment | self._process(task, layers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        run.ready.wait(_TIMEOUT_SECONDS)
        init_cpu = _cpu_so_far(child.pid)
        run.over.wait(_TIMEOUT_SECONDS)
        time.sleep(0.005)  # the process still reads the runtime API's response, and then waits for the next event
        os.kill(child.pid, signal.SIGKILL)  # not Popen.kill: that would reap a process that has ended by itself
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        self.answer = run.answer or b""
        if run.failed or run.answer is None:
            raise RuntimeError(f"{task.name}: {(run.answer or b'no answer')[:2000]!r}")
        if b'"statusCode": 5' in run.answer or b'"statusCode":5' in run.answer:
            raise RuntimeError(f"{task.name}: {run.answer[:2000]!r}")
        return Sample(usage.ru_utime + usage.ru_stime, init_cpu)

    def _process(self, task: Path, layers: Sequence[Path]) -> dict[str, str]:
        endpoint = f"http://{self.server.address}"
        paths = [task, *(layer / "python" for layer in layers), self._runtime]
        return {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
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


@dataclass
class Samples:
    """The samples of each function, of the floor for each set of services, and of the parts of a start."""

    built: dict[str, list[Sample]]
    floors: dict[tuple[str, ...], list[Sample]]
    runtime: list[Sample]
    imports: dict[str, list[Sample]]
    services: dict[str, tuple[str, ...]]

    def floor_of(self, function: str) -> float:
        """Returns the CPU milliseconds of a function's floor."""
        return _milliseconds(self.floors[self.services[function]])


@cache
def measure(repetitions: int = REPETITIONS, only: tuple[str, ...] = ()) -> Samples:
    """Takes all samples; each repetition has another order, because other load slows the machine at times."""
    recordings, environment = record()
    wanted = [each for name, each in sorted(recordings.items()) if not only or name in only]
    with tempfile.TemporaryDirectory() as folder, canned() as server:
        bench = Bench(server, Path(folder), build(), environment)
        found = Samples({}, {}, [], {}, {each.function: each.services for each in wanted})
        for each in wanted:  # not measured: this fills the file cache, and fails when an invocation does
            bench.start(bench.function(each.function), bench.artefact.layers, each.event, each.exchanges)
        turns: list[Recording | tuple[str, ...]] = [*wanted, *sorted(set(found.services.values()))]
        for number in range(repetitions):
            random.Random(number).shuffle(turns)
            for turn in turns:
                if isinstance(turn, Recording):
                    task = bench.function(turn.function)
                    sample = bench.start(task, bench.artefact.layers, turn.event, turn.exchanges)
                    found.built.setdefault(turn.function, []).append(sample)
                else:
                    found.floors.setdefault(turn, []).append(bench.start(bench.floor(turn), [], {}, [_AN_ITEM]))
        _take_apart(bench, wanted, found)
    return found


def _take_apart(bench: Bench, wanted: Sequence[Recording], found: Samples) -> None:
    """Measures the runtime client alone, and the imports alone."""
    bare = bench.task("bare", _EMPTY_HANDLER)
    for _ in range(_FLOOR_REPETITIONS):
        found.runtime.append(bench.start(bare, [], {}, []))
    for each in wanted:
        task = bench.task(f"imports_{each.function}", bench.imports_of(each))
        for _ in range(_FLOOR_REPETITIONS):
            sample = bench.start(task, bench.artefact.layers, {}, [])
            found.imports.setdefault(each.function, []).append(sample)


def _milliseconds(samples: Sequence[Sample], name: str = "cpu") -> float:
    """Returns the smallest sample: other load on the machine only ever adds to a start."""
    return 1000 * min(float(getattr(each, name)) for each in samples)


def rows() -> list[Row]:
    """Returns one row for each function."""
    found = measure()
    return [_judged(function, _milliseconds(samples), found) for function, samples in sorted(found.built.items())]


def _judged(function: str, measured: float, found: Samples) -> Row:
    goal = 0.9 if function in _WITHOUT_BODY_PARSING else 1.2
    row = Row("cold_start", function, measured, "ms", floor=found.floor_of(function), goal=goal)
    if row.passes:
        return row
    near = _NEAR_GOAL_NOTE if measured <= 1.1 * goal * found.floor_of(function) else ""
    return replace(row, note=_MISSED_GOAL_NOTES.get(function, near))


def extra() -> dict[str, Any]:
    """Returns the plot's data: CPU milliseconds by phase."""
    found = measure()
    functions = {}
    for function, samples in sorted(found.built.items()):
        ready, whole = _milliseconds(samples, "init_cpu"), _milliseconds(samples)
        runtime, imported = _milliseconds(found.runtime), _milliseconds(found.imports[function])
        functions[function] = {
            "runtime": runtime,
            "imports": max(0.0, imported - runtime),
            "clients": max(0.0, ready - imported),
            "first invocation": whole - max(ready, imported),
            "floor": found.floor_of(function),
        }
    return {"functions": functions}
