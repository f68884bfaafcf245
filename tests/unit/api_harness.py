"""Runs the functions behind the HTTP API on an account in moto, with JSON events and responses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.domain.links import origin_of
from likeness.domain.signing import sign_callback
from likeness.runtime import bootstrap
from tests.aws import isolated_aws_environment, make_table
from tests.functions import cold_start, environment, event_of_request, invoke, one_authority

BASE = "https://likeness.example/v1"
ORIGINS = ("https://app.example.com", "https://app.example.com:8443", "http://127.0.0.1:8080", "http://[::1]:9000")
KEY = b"k" * 64
_HANDLERS = (
    "authorize", "create_session", "get_session", "get_stats", "register_asset", "request_files", "receive_callback",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A function's response to API Gateway. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ApiHarness:
    """Calls the handlers as API Gateway does, as client ``acme`` with the return origins ORIGINS."""

    apps: dict[str, ModuleType]
    store: DynamoStore
    authorizer: dict[str, str] = field(
        default_factory=lambda: {"client_id": "acme", "session_id": "", "return_origins": " ".join(ORIGINS)}
    )

    def request(self, function: str, method: str, resource: str, path: str = "", **more: Any) -> Answer:
        """Sends a request to an authorized route."""
        event = event_of_request(method, resource, path or resource, authorizer=self.authorizer, **more)
        return self.event(function, event)

    def event(self, function: str, event: Mapping[str, Any]) -> Answer:
        """Invokes a function with an unchanged event."""
        answer = invoke(self.apps[function], event)
        multi = {name: values[-1] for name, values in (answer.get("multiValueHeaders") or {}).items()}
        headers = {name.lower(): value for name, value in {**multi, **(answer.get("headers") or {})}.items()}
        return Answer(answer["statusCode"], headers, answer["body"])

    def create(self, **body: Any) -> Answer:
        """Creates a session without a link, so that crun is not called."""
        return self.request("create_session", "POST", "/sessions", body=json.dumps({"start": "on_open", **body}))

    def session(self, **body: Any) -> str:
        """Creates a session. Returns its id."""
        made = self.create(**body)
        assert made.status == 201, made.body
        found: str = made.json["id"]
        return found

    def callback(
        self, session: str, attempt: str = "1", signature: str | None = None, query: Any = None, **event: Any
    ) -> Answer:
        """Sends the browser's callback. The default ``signature`` is the valid one for the session and attempt."""
        signature = sign_callback([KEY], session, int(attempt)) if signature is None else signature
        resource = "/callback/{session_id}/{attempt}/{signature}"
        parameters = {"session_id": session, "attempt": attempt, "signature": signature}
        made = event_of_request("GET", resource, "/callback", parameters=parameters, query=query or {})
        return self.event("receive_callback", made | event)

    def allows(self, credential: str) -> dict[str, Any]:
        """Returns the authorizer's response for a credential."""
        event = {"headers": {"X-Api-Key": credential}, "methodArn": "arn:aws:execute-api:r:1:api/v1/GET/sessions"}
        found: dict[str, Any] = invoke(self.apps["authorize"], event)
        return found


@contextmanager
def service() -> Iterator[ApiHarness]:
    """Starts the handlers in a new account. crun is not reachable, because unit tests cannot open sockets."""
    assert all(origin_of(each) == each for each in ORIGINS)
    with isolated_aws_environment(), mock_aws(), one_authority(), pytest.MonkeyPatch.context() as patch:
        for logical_id in ("Table", "IdempotencyTable"):
            make_table(logical_id, logical_id)
        boto3.client("s3").create_bucket(Bucket="uploads")
        sqs = boto3.client("sqs")
        settings = environment(
            table="Table",
            idempotency_table="IdempotencyTable",
            queue_url=sqs.create_queue(QueueName="onboarding")["QueueUrl"],
            dead_letter_url=sqs.create_queue(QueueName="dead")["QueueUrl"],
            change_dead_letter_url=sqs.create_queue(QueueName="unread")["QueueUrl"],
            webhook_queue_url=sqs.create_queue(QueueName="webhooks")["QueueUrl"],
            webhook_dead_letter_url=sqs.create_queue(QueueName="dead-webhooks")["QueueUrl"],
            event_bus="events",
            bucket="uploads",
            machine_arn="arn:aws:states:us-east-1:123456789012:stateMachine:none",
            crun="https://crun.invalid",
            secrets=boto3.client("secretsmanager"),
        )
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr(bootstrap, "_clients", {})
        yield ApiHarness({name: cold_start(name) for name in _HANDLERS}, DynamoStore(boto3.client("dynamodb"), "Table"))
