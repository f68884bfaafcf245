"""The real state machine with the real handlers, in moto, against the simulator over HTTP.

moto interprets the ASL and invokes each Lambda with its "simple" backend, whose ``invoke`` is replaced here by the
handler of functions/<name>/app.py.
"""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

from likeness.runtime import bootstrap
from local.simulator import Simulator, SimulatorSettings
from tests.aws import isolated_aws_environment, make_bus, make_table
from tests.functions import (
    ACCOUNT,
    CRUN_KEY,
    GENERATION_TASKS,
    REGION,
    TASKS,
    cold_start,
    environment,
    invoke,
    one_authority,
)
from tests.template_file import ROOT


@dataclass
class WorkflowHarness:
    """Everything in one process: moto's AWS, the simulator, the functions."""

    simulator: Simulator
    table: str
    queue_url: str
    bucket: str
    machine_arn: str
    generation_machine_arn: str
    warm: dict[str, ModuleType] = field(default_factory=dict)
    _starting: threading.Lock = field(default_factory=threading.Lock)

    def call(self, function: str, event: dict[str, Any]) -> Any:
        """Runs a handler as Lambda does: JSON in, JSON out. A function starts when it is called for the first time."""
        with self._starting:
            if function not in self.warm:
                self.warm[function] = cold_start(function)
        return invoke(self.warm[function], event)

    def drain(self) -> int:
        """Delivers the queue's messages to start_onboarding, each twice as SQS may; returns their number."""
        sqs = boto3.client("sqs")
        found = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        records = [
            {"messageId": each["MessageId"], "body": each["Body"], "eventSource": "aws:sqs", "attributes": {}}
            for each in found
        ]
        if records:
            assert self.call("start_onboarding", {"Records": records * 2}) == {"batchItemFailures": []}
        for each in found:
            sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=each["ReceiptHandle"])
        return len(found)

    def executions(self) -> list[dict[str, Any]]:
        """Returns all executions of onboard_person, newest first."""
        return self._executions(self.machine_arn)

    def generation_executions(self) -> list[dict[str, Any]]:
        """Returns all executions of make_generation, newest first."""
        return self._executions(self.generation_machine_arn)

    @staticmethod
    def _executions(arn: str) -> list[dict[str, Any]]:
        found: Any = boto3.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
        return list(found)

    def wait(self, seconds: float = 60) -> list[dict[str, Any]]:
        """Waits until no execution is running; returns all executions."""
        return self._wait(self.executions, seconds)

    def wait_for_generations(self, seconds: float = 60) -> list[dict[str, Any]]:
        """The same for executions of make_generation."""
        return self._wait(self.generation_executions, seconds)

    @staticmethod
    def _wait(executions: Callable[[], list[dict[str, Any]]], seconds: float) -> list[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = executions()
            if found and all(each["status"] != "RUNNING" for each in found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"still running: {executions()}")


def definition(file: Path, table: str) -> str:
    """Returns a state machine as deployed, with the names of moto's resources."""
    text = file.read_text().replace("${TableName}", table).replace("${Partition}", "aws")
    for task in (*TASKS, *GENERATION_TASKS):
        placeholder = "".join(part.capitalize() for part in task.split("_")) + "FunctionArn"
        text = text.replace("${" + placeholder + "}", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{task}")
    return text


def _machines(table: str) -> tuple[str, str]:
    """Makes onboard_person and make_generation; returns their ARNs."""
    iam = boto3.client("iam")
    role = iam.create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    for task in (*TASKS, *GENERATION_TASKS):
        boto3.client("lambda").create_function(
            FunctionName=task, Runtime="python3.13", Role=role, Handler="app.handler", Code={"ZipFile": b"-"}
        )
    first, second = (
        boto3.client("stepfunctions").create_state_machine(
            name=name, definition=definition(ROOT / f"statemachine/{file}.asl.json", table), roleArn=role
        )["stateMachineArn"]
        for name, file in (("machine", "onboard_person"), ("generations", "make_generation"))
    )
    return first, second


def _parsed_once(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """moto reads a definition when a machine is made and whenever an execution starts: to parse it takes half a second.

    What is executed is made anew from what was parsed.
    """
    trees: dict[str, Any] = {}

    def again(definition: str) -> Any:
        if definition not in trees:
            trees[definition] = parse(definition)[1]
        return Preprocessor().visit(trees[definition]), trees[definition]

    return again


@pytest.fixture(scope="session", autouse=True)
def _definitions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(_parsed_once(AmazonStateLanguageParser.parse)))
        yield


@contextmanager
def simulated() -> Iterator[Simulator]:
    """Starts the simulator for the duration of the block."""
    # An asset's name decides its outcome here, because the simulator cannot download from moto's S3.
    outcomes = [
        {"name": "good*", "outcome": "active", "after_seconds": 0.5},
        {"name": "other_person*", "outcome": "failed", "code": "FaceMismatch", "after_seconds": 0.5},
        {"name": "lost*", "outcome": "failed", "code": "DownloadFailed", "after_seconds": 0.2, "times": 1},
        {"name": "lost*", "outcome": "active", "after_seconds": 0.2},
        {"name": "never*", "outcome": "never"},
    ]
    settings = SimulatorSettings.model_validate({"asset_outcomes": outcomes})
    with Simulator("127.0.0.1", 0, api_key=CRUN_KEY, settings=settings) as running:
        yield running


@contextmanager
def deployed(simulator: Simulator) -> Iterator[WorkflowHarness]:
    """An account with the state machine, and the functions in it."""
    config: Any = {
        "lambda": {"use_docker": False},
        "stepfunctions": {"execute_state_machine": True},
        "core": {"mock_credentials": True},
    }
    with (
        isolated_aws_environment(),
        pytest.MonkeyPatch.context() as patch,
        one_authority(),
        mock_aws(config=config),
    ):
        table = "Table"
        make_table(table, table, stream=True)
        make_table("IdempotencyTable", "IdempotencyTable")
        queue_url = boto3.client("sqs").create_queue(QueueName="onboarding")["QueueUrl"]
        boto3.client("s3").create_bucket(Bucket="inventory")
        boto3.client("s3").create_bucket(Bucket="uploads")
        boto3.client("s3").put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
        made = WorkflowHarness(simulator, table, queue_url, "uploads", *_machines(table))
        variables = environment(
            table=table,
            idempotency_table="IdempotencyTable",
            queue_url=queue_url,
            dead_letter_url=boto3.client("sqs").create_queue(QueueName="dead-letters")["QueueUrl"],
            change_dead_letter_url=boto3.client("sqs").create_queue(QueueName="unread-changes")["QueueUrl"],
            webhook_queue_url=boto3.client("sqs").create_queue(QueueName="webhooks")["QueueUrl"],
            webhook_dead_letter_url=boto3.client("sqs").create_queue(QueueName="dead-webhooks")["QueueUrl"],
            event_bus=make_bus("likeness-events"),
            bucket="uploads",
            machine_arn=made.machine_arn,
            generation_machine_arn=made.generation_machine_arn,
            crun=simulator.url,
            secrets=boto3.client("secretsmanager"),
        )
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(bootstrap, "_clients", {})

        def run(
            _: LambdaSimpleBackend, function_name: str, qualifier: str | None, body: Any, headers: Any, response: Any
        ) -> bytes:
            try:
                return json.dumps(made.call(function_name.rsplit(":", 1)[-1], json.loads(body))).encode()
            except Exception as exc:
                traceback.print_exc()
                response["x-amz-function-error"] = "Unhandled"
                return json.dumps({"errorType": type(exc).__name__, "errorMessage": str(exc)}).encode()

        patch.setattr(LambdaSimpleBackend, "invoke", run)
        yield made
        if made.executions():
            made.wait()
        if made.generation_executions():
            made.wait_for_generations()


@pytest.fixture
def harness() -> Iterator[WorkflowHarness]:
    with simulated() as simulator, deployed(simulator) as made:
        yield made


def events(name: str) -> dict[str, Any]:
    """Returns the event file of a function."""
    found: dict[str, Any] = json.loads((Path(ROOT) / "events" / f"{name}.json").read_text())
    return found
