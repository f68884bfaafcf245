"""AWS in simulated time: it invokes the functions, and retries them as the real services do.

One thread and one clock: actions run in the order of their times, so a scenario runs the same way every time.
"""

from __future__ import annotations

import functools
import heapq
import io
import itertools
import json
import logging
import math
import os
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
import time_machine
from botocore.exceptions import ClientError
from moto import mock_aws

from likeness.adapters.aws import make_client
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger
from local.simulator import Simulator, SimulatorSettings
from ops.client_keys import ClientKeys
from tests.aws import (
    Tables,
    forget_messages,
    forget_objects,
    isolated_aws_environment,
    make_bus,
    make_table,
)
from tests.faults.fault_injection import Fault, FaultInjector, Killed, LostByAws
from tests.faults.state_machine import StateError, StateMachine
from tests.functions import (
    ACCOUNT,
    CRUN_KEY,
    REGION,
    cold_start,
    environment,
    event_of_request,
    invoke,
    one_authority,
)
from tests.roles import Permission, Usage, deployed, granted, names_of, template
from tests.template_file import RESOURCES

LINK_CHECK_SECONDS = 330.0
START = 1_800_000_000.0
#: An asynchronous invocation that failed is repeated after one minute, and after two more (Lambda's guide).
_ASYNC_RETRIES = (60.0, 120.0)
_VISIBILITY_SECONDS = float(RESOURCES["OnboardingQueue"]["Properties"]["VisibilityTimeout"])
_MAX_RECEIVES = RESOURCES["OnboardingQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
_WATCHED = ("dynamodb", "events", "sqs", "s3", "secretsmanager", "stepfunctions")
#: The template's interval between runs of reconcile.
_TICK_SECONDS = 300
#: Longer than every Retry of the state machine, and every redelivery by SQS or S3.
USED_UP_SECONDS = 9 * 3600.0
#: Longer than any wait of the application: what has not ended by then never ends.
_LONGEST = 40 * 86_400.0

Story = Generator[float, None, None]


@dataclass
class Answer:
    """An HTTP response. ``body`` is parsed if the function returns JSON."""

    status: int
    body: Any = None
    location: str | None = None


@dataclass(frozen=True)
class Lookup:
    """A look-up that reached crun: the token's age in seconds, and whether its callback had not been opened yet."""

    age: float
    before_pass: bool


@dataclass
class SimulatedAws:
    """The account, the services that invoke the functions, and crun."""

    simulator: Simulator
    clock: time_machine.Traveller
    store: DynamoStore
    injector: FaultInjector
    queue_url: str
    dead_letter_url: str
    bucket: str
    client_key: str
    state_machine: StateMachine
    usage: Usage
    fresh: Tables
    now: float = START
    warm: dict[str, ModuleType] = field(default_factory=dict)
    executions: dict[str, str] = field(default_factory=dict)
    #: The input of each execution, as text.
    inputs: dict[str, str] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    undelivered: list[dict[str, Any]] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    uploads: list[dict[str, Any]] = field(default_factory=list)
    callbacks: list[str] = field(default_factory=list)
    #: Route and trace root of each API request.
    traced: list[tuple[str, str]] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    #: Functions whose step gets a fault, to test that the harness detects it: each is given the step, and returns it.
    spoiled: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    #: Whether ``reconcile`` runs every five minutes.
    reconciles: bool = True
    #: Functions that fail for now, and the time at which they work again.
    broken_until: dict[str, float] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)
    _visited: set[str] = field(default_factory=set)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=itertools.count)
    _last_tick: float = 0.0

    # -- time -------------------------------------------------------------------------------------------------

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedules an action."""
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), action))

    def play(self, story: Story) -> None:
        """Plays a story: a generator that yields the seconds until its next step."""
        pause = next(story, None)
        if pause is not None:
            self.after(pause, lambda: self.play(story))

    def settle(self, seconds: float = _LONGEST) -> None:
        """Advances the clock until nothing is scheduled, or ``seconds`` have passed."""
        end = self.now + seconds
        while True:
            tick = self._next_tick()
            if tick is not None and tick <= end and not (self._agenda and self._agenda[0][0] < tick):
                self.now = max(self.now, tick)
                self.clock.move_to(self.now)
                self._reconcile()
                continue
            if not self._agenda or self._agenda[0][0] > end:
                break
            self.now, _, action = heapq.heappop(self._agenda)
            self.clock.move_to(self.now)
            action()
        if seconds < _LONGEST:
            self.now = end
            self.clock.move_to(end)
        else:
            assert not self._agenda, "actions are scheduled without an end"
            assert tick is None, "a row stays due without an end"

    def _next_tick(self) -> float | None:
        """Returns the time of the next run of reconcile that finds something; runs that find nothing are skipped."""
        if not self.reconciles:
            return None
        due = min(
            (float(item.attrs["due_at"].value) for item in self.fresh.items("Table") if "due_at" in item.attrs),
            default=None,
        )
        return None if due is None else math.ceil(max(due, self._last_tick + 1) / _TICK_SECONDS) * _TICK_SECONDS

    def _reconcile(self) -> None:
        self._last_tick = self.now
        with suppress(StateError):  # the next run tries again
            self.invoke("reconcile", {"id": "tick"})

    def aws(self, service: str) -> Any:
        """Returns the platform's own client of a service. Its calls are not numbered."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service)  # type: ignore[call-overload]
        return self._clients[service]

    def sleep(self, seconds: float) -> None:
        """Sleeps in a function: actions that become due meanwhile run late."""
        self.now += seconds
        self.clock.move_to(self.now)

    # -- a scenario -------------------------------------------------------------------------------------------

    def begin(self, plan: Mapping[int, Fault], *, keep: bool = False) -> None:
        """Starts a scenario with cold functions, empty records and buckets, and the initial tables.

        With ``keep`` the tables keep their rows.
        """
        if not keep:  # moto slows down as tables and buckets grow
            self.fresh.restore()
            forget_objects()
        self.injector.begin(plan)
        self.simulator.reset()
        for record in (
            self.metrics,
            self.logs,
            self.undelivered,
            self.delivered,
            self.uploads,
            self.callbacks,
            self.traced,
            self.lookups,
        ):
            record.clear()
        forget_messages()
        self._visited.clear()
        self.warm.clear()
        self.executions.clear()
        self.inputs.clear()
        self.state_machine.outputs.clear()
        self.broken_until.clear()
        self._agenda.clear()
        self.state_machine.chance.seed(1)

    # -- functions --------------------------------------------------------------------------------------------

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Invokes a function. Raises StateError when it fails or is killed; after a kill it starts cold."""
        if self.broken_until.get(function, 0) > self.now:
            raise StateError("Lambda.Unknown", "the function is broken for now")
        output = io.StringIO()
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(output)
        try:
            with self.injector.inside(function), redirect_stdout(output):
                if function not in self.warm:
                    self.warm[function] = self._start(function)
                return invoke(self.warm[function], event)
        except Killed:
            self.warm.pop(function, None)
            raise StateError("Lambda.Unknown", "the process stopped") from None
        except Exception as exc:
            raise StateError(type(exc).__name__, str(exc)) from exc
        finally:
            self._collect_logs(output.getvalue())

    def _start(self, function: str) -> ModuleType:
        app = cold_start(function)
        if function in self.spoiled:
            setattr(app, function, self.spoiled[function](getattr(app, function)))
        return app

    def _collect_logs(self, text: str) -> None:
        for line in text.splitlines():
            self.logs.append(line)
            if '"_aws"' in line:
                directives = json.loads(line)["_aws"]["CloudWatchMetrics"]
                self.metrics += [each["Name"] for directive in directives for each in directive["Metrics"]]

    # -- API Gateway ------------------------------------------------------------------------------------------

    def api(
        self,
        method: str,
        resource: str,
        *,
        key: str = "",
        idempotency_key: str = "",
        body: object = None,
        query: str = "",
        **path: str,
    ) -> Answer:
        """Sends a request with a credential (by default the client's) through the authorizer."""
        credential = {"x-api-key": key or self.client_key}
        arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:api/v1/{method}{resource}"
        try:
            found = self.invoke("authorize", {"methodArn": arn, "headers": credential})
        except StateError:
            return Answer(500)
        if found["policyDocument"]["Statement"][0]["Effect"] != "Allow":
            return Answer(403)
        root = f"1-{int(self.now):08x}-{len(self.traced):024x}"
        self.traced.append((f"{method} {resource}", root))
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        event = event_of_request(
            method,
            resource,
            resource.format(**path),
            body=None if body is None else json.dumps(body),
            headers=headers | {"X-Amzn-Trace-Id": f"Root={root}"},
            authorizer=found["context"],
            parameters=path,
            query=parse_qs(query),
        )
        return self._integration(_FUNCTION_OF[method, resource], event)

    def crun_route(self, call: str, *, key: str = "", body: object = None, **query: str) -> Answer:
        """Sends a request to one of crun's own routes, which have no authorizer."""
        method, function = _CRUN_ROUTES[call]
        path = f"/api/v1/client/{call if '/' in call else f'job/{call}'}"
        event = event_of_request(
            method,
            path,
            path,
            body=None if body is None else json.dumps(body),
            headers={"x-api-key": key or self.client_key},
            query={name: [value] for name, value in query.items()},
        )
        event["requestContext"]["requestId"] = f"request-{next(_REQUESTS)}"
        return self._integration(function, event)

    def browser(self, url: str) -> Answer:
        """Opens a callback URL as a browser does."""
        path, _, query = url.partition("/callback/")[2].partition("?")
        self._visited.add(url.partition("?")[0])
        parts = dict(zip(("session_id", "attempt", "signature"), path.split("/"), strict=True))
        values: dict[str, list[str]] = {}
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            values.setdefault(name, []).append(value)
        event = event_of_request(
            "GET", "/callback/{session_id}/{attempt}/{signature}", path, parameters=parts, query=values
        )
        return self._integration("receive_callback", event)

    def task_callback(self, url: str, body: object = None) -> Answer:
        """Calls the URL of a task, as crun does. A text is sent as it is."""
        path = "/task/" + url.partition("/task/")[2]
        resource = "/task/{generation_id}/{signature}"
        parts = dict(zip(("generation_id", "signature"), path.split("/")[2:], strict=True))
        text = body if isinstance(body, str) else json.dumps(body)
        event = event_of_request("POST", resource, path, body=text, parameters=parts)
        return self._integration("receive_task", event)

    def _integration(self, function: str, event: Mapping[str, Any]) -> Answer:
        try:
            found = self.invoke(function, event)
        except StateError:
            return Answer(502)
        body = found["body"]
        if body.startswith("{"):
            self.usage.note_forms(function, json.loads(body))
            self.usage.note_preview(function, json.loads(body))
            self.usage.note_media(function, json.loads(body))
        headers = found.get("headers", {}) | {
            name: values[0] for name, values in (found.get("multiValueHeaders") or {}).items()
        }
        return Answer(found["statusCode"], json.loads(body) if body.startswith("{") else body, headers.get("Location"))

    # -- S3 ---------------------------------------------------------------------------------------------------

    def put_object(self, key: str, content: bytes) -> None:
        """Stores a file in the bucket and delivers its event."""
        put = self.aws("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
        self._uploaded(key, len(content), put["VersionId"])

    def _uploaded(self, key: str, size: int, version_id: str) -> None:
        about = {"key": key, "size": size, "version-id": version_id}
        event = {
            "detail": {"bucket": {"name": self.bucket}, "object": about},
            "time": datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.uploads.append(event)
        self.deliver_upload(event)

    def _notify_of_new_objects(self) -> None:
        """Delivers the events of objects that functions stored."""
        notified = {each["detail"]["object"]["version-id"] for each in self.uploads}
        for found in self.aws("s3").list_object_versions(Bucket=self.bucket).get("Versions", []):
            if found["VersionId"] not in notified and found["Key"].startswith(("uploads/", "inbox/")):
                self._uploaded(found["Key"], found["Size"], found["VersionId"])

    def deliver_upload(self, event: dict[str, Any]) -> None:
        """Delivers one event, with the retries of an asynchronous invocation."""
        self.after(1, lambda: self._check_upload(event, 0))

    def _check_upload(self, event: dict[str, Any], tries: int) -> None:
        try:
            self.invoke("check_upload", event)
        except StateError:
            if tries < len(_ASYNC_RETRIES):
                self.after(_ASYNC_RETRIES[tries], lambda: self._check_upload(event, tries + 1))
            else:
                self.undelivered.append(event)

    # -- SQS --------------------------------------------------------------------------------------------------

    def send(self, body: str) -> None:
        """Sends a message to the onboarding queue."""
        self.aws("sqs").send_message(QueueUrl=self.queue_url, MessageBody=body)
        self.after(0.1, self._pump)

    def _pump(self) -> None:
        sqs = self.aws("sqs")
        found = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"]).get(
            "Messages", []
        )
        if not found:
            return
        records = [
            {
                "messageId": each["MessageId"],
                "body": each["Body"],
                "eventSource": "aws:sqs",
                "attributes": each["Attributes"],
            }
            for each in found
        ]
        self.delivered += [each["Body"] for each in found if each["Body"] not in self.delivered]
        try:
            failed = {
                each["itemIdentifier"]
                for each in self.invoke("start_onboarding", {"Records": records})["batchItemFailures"]
            }
        except StateError:
            failed = {each["MessageId"] for each in found}
        for each in found:
            if each["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=each["ReceiptHandle"])
        if failed:
            self.after(_VISIBILITY_SECONDS + 1, self._pump)
        self.after(0.1, self._pump)

    def waiting(self, url: str) -> int:
        """Returns how many messages a queue holds, including hidden and delayed ones."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        names.append("ApproximateNumberOfMessagesDelayed")
        found = self.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(each) for each in found.values())

    # -- Step Functions ---------------------------------------------------------------------------------------

    def _begin_execution(self, name: str, document: str, arn: str) -> None:
        if name not in self.executions:
            self.executions[name], self.inputs[name] = "RUNNING", document
            self.after(0.05, lambda: self.play(self._execute(name, json.loads(document), arn)))

    def place_execution(self, name: str, document: dict[str, Any], status: str) -> None:
        """Adds an execution that was started earlier: it runs from its first state, or has ended."""
        sfn = self.aws("stepfunctions")
        arn = os.environ["GENERATION_STATE_MACHINE_ARN" if name.startswith("gen_") else "STATE_MACHINE_ARN"]
        sfn.start_execution(stateMachineArn=arn, name=name, input=json.dumps(document))
        self.executions[name] = status
        if status == "RUNNING":
            self.after(0.05, lambda: self.play(self._execute(name, document, arn)))

    def _execute(self, name: str, document: dict[str, Any], machine_arn: str) -> Story:
        is_onboarding = machine_arn == os.environ["STATE_MACHINE_ARN"]
        run = self.state_machine.execute(name, document, "onboard_person" if is_onboarding else "make_generation")
        while self.executions.get(name) == "RUNNING":  # otherwise it was stopped or deleted
            try:
                yield next(run)
            except StopIteration as ended:
                self.executions[name] = ended.value
        # moto keeps the names; ``answer`` returns an execution's status.
        arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        self.aws("stepfunctions").stop_execution(executionArn=arn)

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Returns Step Functions' response about an execution, because moto does not run them."""
        if operation not in ("DescribeExecution", "GetExecutionHistory"):
            return None
        name = json.loads(request["body"])["executionArn"].rpartition(":")[2]
        if name not in self.executions:
            return 400, {"Error": {"Code": "ExecutionDoesNotExist", "Message": name}, "ResponseMetadata": {}}
        if operation == "DescribeExecution":
            return 200, {"status": self.executions[name], "name": name}
        outputs = [json.dumps({"Payload": each}) for each in self.state_machine.outputs.get(name, [])]
        done = [{"type": "TaskSucceeded", "taskSucceededEventDetails": {"output": each}} for each in outputs]
        return 200, {"events": done}

    def use_up(self, function: str) -> None:
        """Breaks a function for longer than anything retries it."""
        self.broken_until[function] = self.now + USED_UP_SECONDS

    def asking(self, call: str, url: str) -> None:
        """Records a look-up that is sent to crun."""
        if call != "visual-validate-result":
            return
        validation = self.simulator.store.validations.get(url.partition("byted_token=")[2])
        if validation is None:
            return  # crun never issued this token
        self.lookups.append(Lookup(self.now - validation.issued_at, validation.callback_url not in self._visited))

    def happened(self, service: str, operation: str, body: dict[str, Any]) -> None:
        """Reacts to a function's call that took effect."""
        if (service, operation) == ("s3", "PutObject"):
            self._notify_of_new_objects()
        elif operation == "SendMessage":
            self.after(float(body.get("DelaySeconds", 0)) + 0.1, self._pump)
        elif operation == "StopExecution":
            name = body["executionArn"].rpartition(":")[2]
            self.executions[name] = "ABORTED"
        elif operation == "StartExecution":
            self._begin_execution(body["name"], body["input"], body["stateMachineArn"])


#: The numbers of requests to crun's own routes. Each has an id of its own, which no other request has.
_REQUESTS = itertools.count(1)
#: crun's own routes, by the last part of their paths.
_CRUN_ROUTES = {
    "visual-validate-session": ("POST", "open_validation"),
    "visual-validate-result": ("GET", "get_result"),
    "asset-upload": ("POST", "fetch_asset"),
    "asset-info": ("GET", "get_result"),
    "CreateTask": ("POST", "relay_task"),
    "EstimateTask": ("POST", "relay_task"),
    "TaskInfo": ("GET", "get_task"),
    "account/balance": ("GET", "get_task"),
}
_FUNCTION_OF = {
    ("POST", "/generations"): "create_generation",
    ("POST", "/generations/estimate"): "create_generation",
    ("GET", "/generations"): "get_generation",
    ("GET", "/generations/{generation_id}"): "get_generation",
    ("GET", "/sessions/{session_id}/uses"): "get_generation",
    ("POST", "/generations/{generation_id}/cancel"): "cancel_generation",
    ("DELETE", "/generations/{generation_id}"): "cancel_generation",
    ("POST", "/sessions"): "create_session",
    ("POST", "/sessions/{session_id}/attempts"): "create_session",
    ("POST", "/sessions/{session_id}/invite"): "create_session",
    ("DELETE", "/sessions/{session_id}/invite"): "revoke_invite",
    ("GET", "/client-keys"): "manage_integration",
    ("GET", "/webhooks"): "manage_integration",
    ("POST", "/webhooks/{webhook_id}/test"): "manage_integration",
    ("POST", "/webhooks/{webhook_id}/replay"): "manage_integration",
    ("GET", "/consent"): "record_consent",
    ("POST", "/sessions/{session_id}/consent"): "record_consent",
    ("POST", "/sessions/{session_id}/consent/decline"): "record_consent",
    ("POST", "/sessions/{session_id}/consent/withdraw"): "withdraw_consent",
    ("PUT", "/sessions/{session_id}/consent_terms"): "withdraw_consent",
    ("POST", "/sessions/{session_id}/receipt"): "issue_receipt",
    ("GET", "/sessions/{session_id}/receipt"): "issue_receipt",
    ("DELETE", "/sessions/{session_id}/receipt"): "issue_receipt",
    ("GET", "/receipt"): "issue_receipt",
    ("GET", "/sessions/{session_id}/use"): "check_use",
    ("POST", "/use-checks"): "check_use",
    ("POST", "/sessions/{session_id}/assets"): "register_asset",
    ("POST", "/sessions/{session_id}/assets/{asset_id}/retry"): "register_asset",
    ("POST", "/sessions/{session_id}/requests"): "request_files",
    ("DELETE", "/sessions/{session_id}/requests/{name}"): "request_files",
    ("POST", "/sessions/{session_id}/finish"): "request_files",
    ("GET", "/sessions"): "get_session",
    ("GET", "/stats"): "get_stats",
    ("DELETE", "/sessions/{session_id}"): "erase_session",
    ("DELETE", "/sessions/{session_id}/assets/{asset_id}"): "erase_session",
    ("GET", "/sessions/{session_id}"): "get_session",
    ("GET", "/sessions/{session_id}/assets/{asset_id}"): "get_session",
    ("GET", "/sessions/{session_id}/assets/{asset_id}/preview"): "get_session",
}


def _integrations(injector: FaultInjector, is_broken: Callable[[], bool]) -> Callable[[dict[str, Any]], Any]:
    dynamodb = boto3.client("dynamodb")

    def update_item(parameters: dict[str, Any]) -> Any:
        if is_broken():
            raise StateError("DynamoDB.SdkClientException")
        try:
            return injector.integration("UpdateItem", lambda: dynamodb.update_item(**parameters))
        except LostByAws:
            raise StateError("DynamoDB.SdkClientException") from None
        except ClientError as exc:
            raise StateError(f"DynamoDB.{exc.response['Error']['Code']}") from exc

    return update_item


def _queues() -> tuple[str, str]:
    sqs = boto3.client("sqs")
    dead = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": _MAX_RECEIVES})
    attributes = {"VisibilityTimeout": str(int(_VISIBILITY_SECONDS)), "RedrivePolicy": redrive}
    return sqs.create_queue(QueueName="onboarding", Attributes=attributes)["QueueUrl"], dead  # type: ignore[arg-type]


def _state_machine(name: str) -> str:
    role = boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    # moto only keeps the executions' names; tests/faults/state_machine.py interprets the real document.
    made = boto3.client("stepfunctions").create_state_machine(
        name=name, definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}', roleArn=role
    )
    return str(made["stateMachineArn"])


@functools.cache
def _granted() -> frozenset[Permission]:
    return frozenset(granted(deployed(template())))


def with_store(store: Callable[[Any, str], object], name: str = "store") -> Callable[[Any], Any]:
    """Returns what gives a step another store, which is its field ``name``; see ``SimulatedAws.spoiled``."""
    return lambda step: replace(step, **{name: store(bootstrap.client("dynamodb"), "Table")})


class SharedAccount:
    """One account for all examples of a module, because creating one takes a second. The first call creates it."""

    def __init__(self, settings: Mapping[str, Any], **parameters: Any) -> None:
        self._settings, self._parameters = settings, parameters
        self._opened = ExitStack()
        self._account: SimulatedAws | None = None

    def __call__(self) -> SimulatedAws:
        """Returns the account."""
        if self._account is None:
            self._account = self._opened.enter_context(simulated_aws(self._settings, **self._parameters))
        return self._account

    def close(self) -> None:
        """Ends the account, if there is one."""
        self._opened.close()


@contextmanager
def simulated_aws(
    settings: Mapping[str, Any], *, start: float = START, stream: bool = False, **parameters: str
) -> Iterator[SimulatedAws]:
    """Yields an account with all resources, and fails at the end if a role does not allow a call that was made.

    ``settings`` are the simulator's, ``parameters`` environment variables of the functions, and ``start`` the initial
    time in epoch seconds. With ``stream`` the table has a stream.
    """
    with (
        isolated_aws_environment(),
        pytest.MonkeyPatch.context() as patch,
        one_authority(),
        mock_aws(config={"lambda": {"use_docker": False}, "core": {"mock_credentials": True}}),
        Simulator(api_key=CRUN_KEY, settings=SimulatorSettings.model_validate(settings)) as simulator,
        time_machine.travel(start, tick=False) as clock,
    ):
        for name in ("Table", "IdempotencyTable"):
            make_table(name, name, stream=stream and name == "Table")
        queue_url, dead = _queues()
        boto3.client("s3").create_bucket(Bucket="inventory")
        boto3.client("s3").create_bucket(Bucket="uploads")
        boto3.client("s3").put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
        variables = environment(
            table="Table",
            idempotency_table="IdempotencyTable",
            queue_url=queue_url,
            dead_letter_url=dead,
            change_dead_letter_url=boto3.client("sqs").create_queue(QueueName="unread-changes")["QueueUrl"],
            webhook_queue_url=boto3.client("sqs").create_queue(QueueName="webhooks")["QueueUrl"],
            webhook_dead_letter_url=boto3.client("sqs").create_queue(QueueName="dead-webhooks")["QueueUrl"],
            event_bus=make_bus("likeness-events"),
            bucket="uploads",
            machine_arn=_state_machine("onboard"),
            generation_machine_arn=_state_machine("make"),
            crun=simulator.url,
            secrets=boto3.client("secretsmanager"),
        ) | {
            "LINK_CHECK_DELAY_SECONDS": str(int(LINK_CHECK_SECONDS)),
            "CRUN_REQUESTS_PER_10S": "10000",  # the rate limiter sleeps in real time; it has tests of its own
            "POLL_FIRST_DELAY_SECONDS": "3",
            "POLL_BACKOFF_RATE": "1.5",
            "POLL_MAX_DELAY_SECONDS": "30",
            "POLL_DEADLINE_SECONDS": "86400",
            "POLL_DELAY_WEIGHT": "0.2",
            **parameters,
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(bootstrap, "_clients", {})
        usage = Usage(names_of(variables))
        injector = FaultInjector(lambda *_: None, lambda *_: None, usage.note)
        for service in _WATCHED:
            injector.watch(service, bootstrap.client(service))
        injector.watch("s3", bootstrap.media_client())
        client_key = ClientKeys(boto3.client("dynamodb"), "Table").add("acme", ["https://shop.example"])
        made = SimulatedAws(
            simulator=simulator,
            clock=clock,
            store=DynamoStore(make_client("dynamodb"), "Table"),
            injector=injector,
            queue_url=queue_url,
            dead_letter_url=dead,
            bucket="uploads",
            client_key=client_key,
            state_machine=StateMachine(
                lambda *_: None,
                _integrations(injector, lambda: made.broken_until.get("onboard_person", 0) > made.now),
                "Table",
                random.Random(1),
                lambda: made.now,
            ),
            usage=usage,
            fresh=Tables(),
            now=start,
        )
        real = time.sleep
        patch.setattr(time, "sleep", lambda seconds: (made.sleep if injector.caller else real)(seconds))
        made.state_machine.call = made.invoke
        injector.happened, injector.asking = made.happened, made.asking
        injector.answers, injector.used_up = made.answer, made.use_up
        with injector.over_http():
            yield made
        beyond = sorted(map(str, usage.seen - _granted()))
        assert not beyond, f"no role allows {beyond}"
