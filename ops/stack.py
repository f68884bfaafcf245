"""Finds a stack, on AWS or on this machine, for the commands."""

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
    click.option("--state-file", type=click.Path(path_type=Path), help="The stack on this machine instead."),
]


def with_stack(command: Any) -> Any:
    """Gives a command the options ``--stack-name`` and ``--state-file``, which `reach` takes."""
    for option in reversed(_where):
        command = option(command)
    return command


@dataclass(frozen=True)
class Stack:
    """A stack that was found: how to make its clients, and its outputs."""

    name: str
    client: Callable[[str], Any]
    outputs: dict[str, str]

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource: a queue's URL, a function's name."""
        found = self.client("cloudformation").describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def parameter(self, name: str) -> str:
        """The value that the stack was deployed with."""
        (found,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return str({each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}[name])


def clients(stack_name: str, state_file: Path | None) -> tuple[str, Callable[[str], Any]]:
    """The stack's name and how to make clients where it is, whether it is there or not; ClickException."""
    if state_file:
        state = _state(state_file)
        return state.get("stack_name", stack_name), lambda service: _local_client(service, state["emulator_endpoint"])
    make: Any = boto3.client  # its stubs know one overload for each service
    return stack_name, make


def _local_client(service: str, endpoint: str) -> Any:
    """Returns a client of the emulator, which accepts any credentials; the user's own AWS configuration is not used."""
    session: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")  # noqa: S106
    return session.client(service, endpoint_url=endpoint)


def _state(state_file: Path) -> dict[str, Any]:
    if not state_file.exists():
        raise click.ClickException(f"{state_file} does not exist: is the local stack up?")
    found: dict[str, Any] = json.loads(state_file.read_text())
    return found


def reach(stack_name: str, state_file: Path | None) -> Stack:
    """The stack that the options name; ClickException when it cannot be found."""
    name, make = clients(stack_name, state_file)
    if state_file:
        return Stack(name, make, _state(state_file)["outputs"])
    try:
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        raise click.ClickException(
            f"the stack {stack_name} cannot be read on AWS ({exc}); name another one there with --stack-name, "
            "or the one of make up with --state-file .local/stack.json"
        ) from exc
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    if "TableName" not in outputs:
        raise click.ClickException(f"the stack {stack_name} has no output TableName: is it a Likeness stack?")
    return Stack(stack_name, make, outputs)
