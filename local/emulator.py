"""MiniStack, and what it lacks: SAM's authorizer is attached after the deploy."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions

from local.processes import StackError, spawn, wait_until_listening

_SERVICES = (
    "apigateway,cloudformation,cloudwatch,dynamodb,dynamodbstreams,events,iam,lambda,logs,s3,secretsmanager,sqs,"
    "states,sts"
)
_START_SECONDS = 60
_PUBLIC = frozenset({"/invite", "/invite.js", "/style.css", "/docs", "/docs.js", "/openapi.json"})


def start(port: int, log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts MiniStack on loopback alone and waits until it answers."""
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "SERVICES": _SERVICES,
        "LOG_LEVEL": "INFO",
        "TMPDIR": str(log.parent),
    }
    inherited = {name: value for name, value in env.items() if name != "AWS_ENDPOINT_URL"}
    child = spawn([sys.executable, "-m", "ministack"], log=log, env=inherited | settings)
    wait_until_listening(child, port, "the emulator", log, _START_SECONDS)
    return child


def client(service: str, endpoint: str) -> Any:
    """A boto3 client of the emulator, whatever the user's own configuration says."""
    session: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")  # noqa: S106
    return session.client(service, endpoint_url=endpoint)


def outputs(endpoint: str, stack_name: str) -> dict[str, str]:
    """The deployed stack's outputs."""
    try:
        (stack,) = client("cloudformation", endpoint).describe_stacks(StackName=stack_name)["Stacks"]
    except (botocore.exceptions.ClientError, ValueError) as exc:
        raise StackError(f"the stack {stack_name} is not there after its deployment") from exc
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


def attach_authorizer(endpoint: str, rest_api_id: str, stack_name: str) -> None:
    """Puts the REQUEST authorizer before every method that is not public, as the template says."""
    api = client("apigateway", endpoint)
    if api.get_authorizers(restApiId=rest_api_id).get("items"):
        (authorizer,) = api.get_authorizers(restApiId=rest_api_id)["items"]
    else:
        found = client("cloudformation", endpoint).describe_stack_resource(
            StackName=stack_name, LogicalResourceId="AuthorizeFunction"
        )
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        arn = client("lambda", endpoint).get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
        authorizer = api.create_authorizer(
            restApiId=rest_api_id,
            name="Credential",
            type="REQUEST",
            authorizerUri=uri,
            identitySource="method.request.header.x-api-key",
            authorizerResultTtlInSeconds=300,
        )
    for resource in api.get_resources(restApiId=rest_api_id, limit=500, embed=["methods"])["items"]:
        if resource["path"] in _PUBLIC or resource["path"].startswith("/callback"):
            continue
        for method in resource.get("resourceMethods", {}):
            api.update_method(
                restApiId=rest_api_id,
                resourceId=resource["id"],
                httpMethod=method,
                patchOperations=[
                    {"op": "replace", "path": "/authorizationType", "value": "CUSTOM"},
                    {"op": "replace", "path": "/authorizerId", "value": authorizer["id"]},
                ],
            )


def wait_for_health(endpoint: str) -> None:
    """Returns when S3 answers: the port listens a moment before the services do."""
    for _ in range(100):
        try:
            client("s3", endpoint).list_buckets()
        except botocore.exceptions.BotoCoreError:
            time.sleep(0.1)
        else:
            return
    raise StackError("the emulator listens but does not answer")
