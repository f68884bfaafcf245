"""Finds a command's stack, on AWS or on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import click

_where = [
    click.option("--stack-name", default="likeness", show_default=True, help="The stack on AWS."),
    click.option(
        "--state-file", type=click.Path(path_type=Path), help="Use the local stack with this state file instead."
    ),
]


def with_stack(command: Any) -> Any:
    """Adds the options ``--stack-name`` and ``--state-file`` to a command, for `reach`."""
    for option in reversed(_where):
        command = option(command)
    return command


@dataclass(frozen=True)
class Stack:
    """An existing stack: its name, a factory of AWS clients, and its outputs."""

    name: str
    client: Callable[[str], Any]
    outputs: dict[str, str]

    def resource(self, logical_id: str) -> str:
        """Returns the physical id of a resource, such as a queue's URL or a function's name."""
        return physical_id(self.client("cloudformation"), self.name, logical_id)

    def parameter(self, name: str) -> str:
        """Returns the value of a parameter of the stack."""
        (found,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return str({each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}[name])


def physical_id(cloudformation: Any, stack_name: str, logical_id: str) -> str:
    """Returns the physical id of a resource of a stack: a queue's URL, a function's name. Raises ClientError."""
    found = cloudformation.describe_stack_resource(StackName=stack_name, LogicalResourceId=logical_id)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def described(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    """Returns the description of a stack, or None when no stack has the name. Raises any other ClientError."""
    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except botocore.exceptions.ClientError as exc:
        if "does not exist" in str(exc):
            return None
        raise
    return dict(stack)


def clients(stack_name: str, state_file: Path | None) -> tuple[str, Callable[[str], Any]]:
    """Returns the stack's name and a factory of AWS clients; the stack need not exist. Raises ClickException."""
    if state_file:
        state = _state(state_file)
        return state.get("stack_name", stack_name), lambda service: local_client(service, state["emulator_endpoint"])
    make: Any = boto3.client  # its stubs have one overload for each service
    return stack_name, make


def local_client(service: str, endpoint: str) -> Any:
    """Returns a client of the emulator, which accepts any credentials; the user's own AWS configuration is not used."""
    session: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")  # noqa: S106
    return session.client(service, endpoint_url=endpoint)


def _state(state_file: Path) -> dict[str, Any]:
    if not state_file.exists():
        raise click.ClickException(f"{state_file} does not exist: is the local stack up?")
    found: dict[str, Any] = json.loads(state_file.read_text())
    return found


def reach(stack_name: str, state_file: Path | None) -> Stack:
    """Returns the stack of the options. Raises ClickException when it cannot be found."""
    name, make = clients(stack_name, state_file)
    if state_file:
        return Stack(name, make, _state(state_file)["outputs"])
    try:
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        raise click.ClickException(
            f"the stack {stack_name} cannot be read on AWS ({exc}); use --stack-name for another stack on AWS, "
            "or --state-file .local/stack.json for the stack of make up"
        ) from exc
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    if "TableName" not in outputs:
        raise click.ClickException(f"the stack {stack_name} has no output TableName: is it a Likeness stack?")
    return Stack(stack_name, make, outputs)


def api_url(stack_name: str, state_file: Path | None) -> str:
    """Returns the URL of the stack's API. Raises ClickException when the stack cannot be found."""
    if state_file:
        return str(_state(state_file)["api_url"])
    return reach(stack_name, None).outputs["ApiUrl"]
