"""The floor of a deployed stack: the same paths through the emulator, with functions that do nothing."""

from __future__ import annotations

import io
import json
import queue
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from local import emulator
from local.stack import Stack

_TIMEOUT_SECONDS = 60.0
#: With REPORT_TO it makes one HTTP call, because the measured path ends with one.
_SOURCE = """import http.client, os
def handler(event, context):
    if os.environ["REPORT_TO"]:
        connection = http.client.HTTPConnection(os.environ["REPORT_TO"])
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
    return {"statusCode": 200, "body": ""}
"""
#: Makes the two calls of a callback with boto3, and does nothing else.
_TWO_CALLS_SOURCE = """import boto3, os
table, queue = boto3.client("dynamodb"), boto3.client("sqs")
def handler(event, context):
    table.update_item(
        TableName="idle", Key={"pk": {"S": "a"}}, UpdateExpression="SET seen = :now",
        ExpressionAttributeValues={":now": {"N": "1"}}, ReturnValues="ALL_NEW",
    )
    queue.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody="{}")
    return {"statusCode": 200, "body": ""}
"""
_ROLE = "arn:aws:iam::000000000000:role/idle"
_NAME = "idle"


class _Arrivals(BaseHTTPRequestHandler):
    server: _Listener

    def do_GET(self) -> None:
        self.server.arrived.put(time.monotonic())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing is logged."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Arrivals)
        self.arrived: queue.Queue[float] = queue.Queue()


@dataclass(frozen=True)
class Idle:
    """Each method measures one path, in seconds."""

    url: str
    two_calls_url: str
    queue_url: str
    machines: dict[str, str]
    arrived: queue.Queue[float]
    #: Created in advance, because creating a client takes longer than the path.
    clients: dict[str, Any]

    def answer(self) -> int:
        """Sends one request to a function that does nothing, and returns the HTTP status."""
        return requests.get(self.url, timeout=40).status_code

    def two_calls(self) -> int:
        """Sends one request to a function that makes a callback's two calls, and returns the HTTP status."""
        return requests.get(self.two_calls_url, timeout=40).status_code

    def request(self) -> float:
        """From a request to its response."""
        began = time.monotonic()
        if self.answer() != requests.codes.ok:
            raise RuntimeError("the idle route does not return 200")
        return time.monotonic() - began

    def queue(self) -> float:
        """From a message to the function that reads it."""
        began = time.monotonic()
        self.clients["sqs"].send_message(QueueUrl=self.queue_url, MessageBody="{}")
        return self._arrival() - began

    def object(self) -> float:
        """From an object, through its event and a rule, to the function that receives the event."""
        began = time.monotonic()
        self.clients["s3"].put_object(Bucket=_NAME, Key="object", Body=b"")
        return self._arrival() - began

    def validation(self) -> float:
        """From the start of an execution of LookUpResult, SaveGroup, ClaimAssets, SubmitAsset to the last."""
        return self._execution("validation")

    def assets(self) -> float:
        """From the start of an execution of TakeOverAssets, SubmitAsset to the last."""
        return self._execution("assets")

    def _execution(self, machine: str) -> float:
        began = time.monotonic()
        self.clients["stepfunctions"].start_execution(stateMachineArn=self.machines[machine])
        return self._arrival() - began

    def _arrival(self) -> float:
        return self.arrived.get(timeout=_TIMEOUT_SECONDS)


@contextmanager
def idle(stack: Stack) -> Iterator[Idle]:
    """Deploys the functions and their triggers to the stack's emulator, which ends with the stack."""
    listener = _Listener()
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield _deploy(stack, listener)
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _deploy(stack: Stack, listener: _Listener) -> Idle:
    endpoint = stack.emulator_endpoint
    silent = _function(endpoint, "idle", _SOURCE, REPORT_TO="")
    reporting = _function(endpoint, "idle-reporting", _SOURCE, REPORT_TO=f"127.0.0.1:{listener.server_address[1]}")
    sink = emulator.client("sqs", endpoint).create_queue(QueueName=f"{_NAME}-sink")["QueueUrl"]
    calling = _function(endpoint, "idle-two-calls", _TWO_CALLS_SOURCE, QUEUE_URL=str(sink))
    _route(endpoint, stack.outputs["RestApiId"], {_NAME: silent, f"{_NAME}-two-calls": calling})
    _rule(endpoint, reporting)
    machines = {
        "validation": _machine(endpoint, "validation", [_task(silent), _save(endpoint), _task(silent)], reporting),
        "assets": _machine(endpoint, "assets", [_task(silent)], reporting),
    }
    return Idle(
        url=f"{stack.api_url}/{_NAME}",
        two_calls_url=f"{stack.api_url}/{_NAME}-two-calls",
        queue_url=_queue(endpoint, reporting),
        machines=machines,
        arrived=listener.arrived,
        clients={name: emulator.client(name, endpoint) for name in ("s3", "sqs", "stepfunctions")},
    )


def _function(endpoint: str, name: str, source: str, **variables: str) -> str:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", source)
    made = emulator.client("lambda", endpoint).create_function(
        FunctionName=name,
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Role=_ROLE,
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": variables},
        Timeout=10,
        MemorySize=512,
    )
    return str(made["FunctionArn"])


def _route(endpoint: str, rest_api: str, functions: dict[str, str]) -> None:
    api = emulator.client("apigateway", endpoint)
    root = next(each["id"] for each in api.get_resources(restApiId=rest_api)["items"] if each["path"] == "/")
    for path, function in functions.items():
        made = api.create_resource(restApiId=rest_api, parentId=root, pathPart=path)
        emulator.put_route(api, rest_api, made["id"], "GET", function)
    api.create_deployment(restApiId=rest_api, stageName="v1")


def _queue(endpoint: str, function: str) -> str:
    sqs = emulator.client("sqs", endpoint)
    url = str(sqs.create_queue(QueueName=_NAME)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    emulator.client("lambda", endpoint).create_event_source_mapping(
        EventSourceArn=arn, FunctionName=function, BatchSize=10
    )
    return url


def _rule(endpoint: str, function: str) -> None:
    s3, events = emulator.client("s3", endpoint), emulator.client("events", endpoint)
    s3.create_bucket(Bucket=_NAME)
    s3.put_bucket_notification_configuration(Bucket=_NAME, NotificationConfiguration={"EventBridgeConfiguration": {}})
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [_NAME]}}}
    events.put_rule(Name=_NAME, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=_NAME, Targets=[{"Id": "1", "Arn": function}])


def _task(function: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": {}},
        "ResultPath": None,
    }


def _save(endpoint: str) -> dict[str, Any]:
    emulator.client("dynamodb", endpoint).create_table(
        TableName=_NAME,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:updateItem",
        "Parameters": {"TableName": _NAME, "Key": {"pk": {"S": "a"}}},
        "ResultPath": None,
    }


def _machine(endpoint: str, name: str, tasks: list[dict[str, Any]], last: str) -> str:
    """Creates a state machine of ``tasks`` and a Map over one item that invokes ``last``, and returns its ARN."""
    processor = {"StartAt": "Last", "States": {"Last": _task(last) | {"End": True}}}
    submit = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
    begin = {"Type": "Pass", "Result": {"items": [1]}}  # in place of the first Choice
    order = {f"State{number}": state for number, state in enumerate([begin, *tasks, submit])}
    for number in range(len(order) - 1):
        order[f"State{number}"]["Next"] = f"State{number + 1}"
    made = emulator.client("stepfunctions", endpoint).create_state_machine(
        name=f"{_NAME}-{name}", roleArn=_ROLE, definition=json.dumps({"StartAt": "State0", "States": order})
    )
    return str(made["stateMachineArn"])
