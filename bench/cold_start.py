"""Cold starts as Lambda makes them: the real runtime client, the layers as built, a fresh process each time.

CPU time from the start of the process to the end of the first invocation; wall time is shown beside it. The floor is a
handler that makes ``boto3.client``s of the same services and one call.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from bench.artefact import Artefact, build
from bench.canned import Canned, Run, canned
from bench.recording import Exchange, Recording, record
from bench.table import Row

ROUNDS = 15
_SECONDS = 60.0
#: Functions that do not call crun and parse no body have the lower goal.
_LEAN = frozenset({"receive_callback", "authorize", "check_upload", "start_onboarding", "claim_assets"})
#: What Lambda's runtime brings along: boto3 with what it needs, and the runtime client.
_RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "jmespath", "urllib3", "six.py")
_RUNTIME_CLIENT = ("awslambdaric", "runtime_client.*", "simplejson", "snapshot_restore_py")
_BARE = "def handler(event, context):\n    return None\n"
_FLOOR = """import json
import boto3
clients = [boto3.client(each) for each in {services!r}]
def handler(event, context):
    return json.dumps(clients[0].get_item(TableName="T", Key={{"pk": {{"S": "a"}}, "sk": {{"S": "b"}}}}), default=str)
"""
_AN_ITEM = Exchange("dynamodb", "GetItem", {}, 200, {"content-type": "application/x-amz-json-1.0"}, b'{"Item": {}}')


@dataclass(frozen=True)
class Sample:
    """Seconds. ``init`` ends when the runtime asks for its first event."""

    cpu: float
    wall: float
    init_wall: float
    init_cpu: float


@dataclass
class Bench:
    """Where cold starts happen."""

    server: Canned
    scratch: Path
    artefact: Artefact
    environment: dict[str, str]

    def __post_init__(self) -> None:
        runtime = self.scratch / "runtime"
        runtime.mkdir()
        packages = Path(boto3.__file__).parents[1]
        for name in (*_RUNTIME, *_RUNTIME_CLIENT):
            for found in packages.glob(name):
                (runtime / found.name).symlink_to(found)
        self._runtime = runtime

    def task(self, name: str, source: str) -> Path:
        """A folder that is deployed as a function."""
        folder = self.scratch / "tasks" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "app.py").write_text(source)
        return folder

    def start(self, task: Path, layers: Sequence[Path], event: dict[str, Any], answers: Sequence[Exchange]) -> Sample:
        """One cold start. RuntimeError when the invocation fails."""
        run = Run(event, answers)
        self.server.play(run)
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys._base_executable, "-S", "-m", "awslambdaric", "app.handler"],  # type: ignore[attr-defined]
            cwd=task,
            env=self.environment | self._process(task, layers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        run.ready.wait(_SECONDS)
        init_cpu = _cpu_so_far(child.pid)
        run.over.wait(_SECONDS)
        time.sleep(0.005)  # the answer of the runtime API is read before the process waits for the next event
        os.kill(child.pid, signal.SIGKILL)  # not Popen.kill: that would collect a process that ended by itself
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        if run.failed or run.answer is None:
            raise RuntimeError(f"{task.name}: {(run.answer or b'no answer')[:2000]!r}")
        if b'"statusCode": 5' in run.answer or b'"statusCode":5' in run.answer:
            raise RuntimeError(f"{task.name}: {run.answer[:2000]!r}")
        return Sample(usage.ru_utime + usage.ru_stime, run.answered_at - began, run.ready_at - began, init_cpu)

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
    """Seconds on a CPU, of the main thread."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError):
        return 0.0


def floor_source(services: Sequence[str]) -> str:
    """The floor's handler. Every function has a client of DynamoDB: that one is called."""
    return _FLOOR.format(services=sorted(services, key=lambda each: each != "dynamodb"))


def measure(only: Sequence[str] = (), rounds: int = ROUNDS) -> dict[str, dict[str, list[Sample]]]:
    """Samples of each function, its floor, and the bare runtime, interleaved round by round."""
    recordings, environment = record()
    with tempfile.TemporaryDirectory() as folder, canned() as server:
        bench = Bench(server, Path(folder), build(), environment)
        wanted = [each for each in recordings.values() if not only or each.function in only]
        found: dict[str, dict[str, list[Sample]]] = {each.function: {} for each in wanted}
        for _ in range(rounds + 1):
            for recording in wanted:
                for kind, sample in _one_round(bench, recording):
                    found[recording.function].setdefault(kind, []).append(sample)
    for kinds in found.values():
        for samples in kinds.values():
            del samples[0]  # the files come from the disk that once
    return found


def _one_round(bench: Bench, recording: Recording) -> Iterator[tuple[str, Sample]]:
    floor = bench.task("floor_" + "_".join(recording.services), floor_source(recording.services))
    yield "floor", bench.start(floor, [], {}, [_AN_ITEM])
    task = bench.scratch / "tasks" / recording.function
    if not task.exists():
        shutil.copytree(bench.artefact.function(recording.function), task)
    yield "built", bench.start(task, bench.artefact.layers, recording.event, recording.exchanges)


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in samples))


def rows() -> list[Row]:
    """One row for each function."""
    found = []
    for function, kinds in measure().items():
        found.append(
            Row(
                "cold_start",
                function,
                1000 * _median(kinds["built"], "cpu"),
                "ms CPU",
                floor=1000 * _median(kinds["floor"], "cpu"),
                goal=0.9 if function in _LEAN else 1.2,
            )
        )
    return found
