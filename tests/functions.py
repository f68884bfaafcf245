"""Runs the functions as Lambda does: each app.py is loaded by itself, with JSON input and output."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import ModuleType
from typing import Any

import pytest

from tests.template_file import RESOURCES, ROOT

REGION = "us-east-1"
ACCOUNT = "123456789012"
#: The functions that the state machines call, then all functions.
TASKS = ("look_up_result", "claim_assets", "submit_asset", "poll_assets")
GENERATION_TASKS = ("create_task", "poll_task", "save_media")
FUNCTIONS = (
    *TASKS,
    *GENERATION_TASKS,
    "authorize",
    "create_session",
    "open_validation",
    "get_result",
    "fetch_asset",
    "relay_task",
    "get_task",
    "erase_session",
    "get_session",
    "get_stats",
    "revoke_invite",
    "manage_integration",
    "record_consent",
    "withdraw_consent",
    "issue_receipt",
    "check_use",
    "create_generation",
    "get_generation",
    "cancel_generation",
    "register_asset",
    "request_files",
    "receive_callback",
    "receive_task",
    "check_upload",
    "start_onboarding",
    "publish_changes",
    "send_webhooks",
    "export_inventory",
    "recheck_assets",
    "check_credits",
    "reconcile",
)


class Context:
    """The part of Lambda's context that the handlers use."""

    function_name = "function"
    memory_limit_in_mb = 256
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, timeout_seconds: int) -> None:
        self._left = timeout_seconds * 1000

    def get_remaining_time_in_millis(self) -> int:
        return self._left


@contextmanager
def one_authority() -> Iterator[None]:
    """In the block, functions that start read the first certificate authority of the bundle, and no other.

    Reading all of them takes as long as everything else that a function does when it starts. Nobody speaks TLS here.
    """
    from likeness.adapters.http import https  # not above: bench imports this module, and measures what functions import

    end = "-----END CERTIFICATE-----\n"
    with pytest.MonkeyPatch.context() as patch, NamedTemporaryFile("w", suffix=".pem") as authorities:
        authorities.write(Path(https.CA_BUNDLE).read_text("utf-8").partition(end)[0] + end)
        authorities.flush()
        patch.setattr(https, "CA_BUNDLE", authorities.name)
        yield


def cold_start(function: str) -> ModuleType:
    """Executes functions/<function>/app.py again, with the current environment."""
    path = ROOT / "functions" / function / "app.py"
    spec = importlib.util.spec_from_file_location(f"function_{function}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def invoke(app: ModuleType, event: Mapping[str, Any]) -> Any:
    """Runs a handler as Lambda does."""
    name = app.__name__.removeprefix("function_")
    context = Context(RESOURCES[f"{name.title().replace('_', '')}Function"]["Properties"]["Timeout"])
    context.function_name = name
    return json.loads(json.dumps(app.handler(json.loads(json.dumps(event)), context)))


def task_of(placeholder: str) -> str:
    """Returns the function of a placeholder of the state machine: ``LookUpResultFunctionArn`` → ``look_up_result``."""
    words = placeholder.removesuffix("FunctionArn")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in words).lstrip("_")


def event_of_request(
    method: str,
    resource: str,
    path: str,
    *,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    authorizer: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    query: Mapping[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Returns the event that API Gateway's proxy integration builds from a request.

    Without ``parameters``, the path's parameters are read from ``path``.
    """
    if parameters is None:
        pattern = re.sub(r"\\{(\w+)\+?\\}", r"(?P<\1>.+)", re.escape(resource))
        found = re.fullmatch(pattern, path, re.DOTALL)
        parameters = found.groupdict() if found else {}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json", **(headers or {})},
        "multiValueHeaders": {},
        "queryStringParameters": {name: values[-1] for name, values in (query or {}).items()} or None,
        "multiValueQueryStringParameters": dict(query or {}) or None,
        "pathParameters": dict(parameters) or None,
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {
            "authorizer": dict(authorizer or {}),
            "stage": "v1",
            "requestId": "r",
            "path": f"/v1{path}",
            "domainName": "likeness.example",
        },
    }


#: The environment of serve_pages.
PAGES = {
    "UPLOAD_ADDRESSES": "https://s3.test/uploads",
    "VIDEO_MAX_PIXELS": "2086876",
    "OPERATOR_NAME": "",
    "OPERATOR_CONTACT": "",
    "FACE_CHECK_SIGN_IN": "off",
}


def environment(
    *,
    table: str,
    idempotency_table: str,
    queue_url: str,
    dead_letter_url: str,
    change_dead_letter_url: str,
    webhook_queue_url: str,
    webhook_dead_letter_url: str,
    event_bus: str,
    bucket: str,
    machine_arn: str,
    crun: str,
    secrets: Any,
    generation_machine_arn: str | None = None,
) -> dict[str, str]:
    """Returns the functions' environment as in the template, with delays of a few seconds.

    ``secrets`` is a Secrets Manager client.
    """
    return {
        "TABLE_NAME": table,
        "IDEMPOTENCY_TABLE_NAME": idempotency_table,
        "ONBOARDING_QUEUE_URL": queue_url,
        "DEAD_LETTER_QUEUE_URL": dead_letter_url,
        "CHANGE_DEAD_LETTER_QUEUE_URL": change_dead_letter_url,
        "WEBHOOK_QUEUE_URL": webhook_queue_url,
        "WEBHOOK_DEAD_LETTER_QUEUE_URL": webhook_dead_letter_url,
        "ASSET_URL_LOOPBACK": "allowed",
        "VIDEO_MAX_PIXELS": PAGES["VIDEO_MAX_PIXELS"],
        "FACE_CHECK_SIGN_IN": PAGES["FACE_CHECK_SIGN_IN"],
        "WEBHOOK_PRIVATE_ADDRESSES": "allowed",
        "WEBHOOK_RETRY_SECONDS": "1,2",
        "WEBHOOK_TRIES": "4",
        "EVENT_BUS_NAME": event_bus,
        "UPLOAD_BUCKET_NAME": bucket,
        "INVENTORY_BUCKET_NAME": "inventory",
        "INVENTORY_HOURS": "24",
        "RECHECK_DAYS": "7",
        "STATE_MACHINE_ARN": machine_arn,
        "GENERATION": "on",
        "GENERATION_MODELS": "bytedance/seedance2-0-r2v,bytedance/seedance2-0-i2v",
        "GENERATION_DAILY_CREDITS": "0",
        "GENERATION_DEADLINE_SECONDS": "86400",
        "GENERATION_STATE_MACHINE_ARN": generation_machine_arn or f"{machine_arn}-generation",
        "CRUN_BASE_URL": crun,
        "CRUN_API_KEY_SECRET_ARN": secrets.create_secret(Name="crun", SecretString=CRUN_KEY)["ARN"],
        "SIGNING_KEY_SECRET_ARN": secrets.create_secret(Name="signing", SecretString="k" * 64)["ARN"],
        "PUBLIC_BASE_URL": "https://likeness.example/v1",
        "LINK_CHECK_DELAY_SECONDS": "0",
        "MAX_ATTEMPTS_PER_SESSION": "10",
        "CRUN_REQUESTS_PER_10S": "1000",
        "CONSENT_VERSION": "2026-11",
        "CONSENT_PURPOSES": "",
        "CONSENT_VALID_DAYS": "0",
        "CONSENT_LONGEST_DAYS": "3650",
        "ON_WITHDRAWAL": "keep",
        "WITHDRAWAL_GRACE_DAYS": "30",
        "OPERATOR_NAME": PAGES["OPERATOR_NAME"],
        "OPERATOR_CONTACT": PAGES["OPERATOR_CONTACT"],
        "UPLOAD_RETENTION_DAYS": "30",
        "POLL_FIRST_DELAY_SECONDS": "1",
        "POLL_BACKOFF_RATE": "1",
        "POLL_MAX_DELAY_SECONDS": "1",
        "POLL_DEADLINE_SECONDS": "15",
        "POLL_DELAY_WEIGHT": "0.2",
        "POWERTOOLS_SERVICE_NAME": "likeness",
        "POWERTOOLS_METRICS_NAMESPACE": "Likeness",
    }


CRUN_KEY = "key-of-the-simulator"
