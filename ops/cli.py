"""The commands of ``python -m ops``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import click

from ops.client_keys import ClientKeys
from ops.redrive import Redriven, redrive_onboarding, redrive_uploads

_where = [
    click.option("--stack-name", default="likeness", show_default=True, help="The stack on AWS."),
    click.option("--state-file", type=click.Path(path_type=Path), help="The stack on this machine instead."),
]


def _with_stack(command: Any) -> Any:
    for option in reversed(_where):
        command = option(command)
    return command


@dataclass(frozen=True)
class _Stack:
    """A stack that was found: how to make its clients, and its outputs."""

    name: str
    client: Callable[[str], Any]
    outputs: dict[str, str]

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource: a queue's URL, a function's name."""
        found = self.client("cloudformation").describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])


def _reach(stack_name: str, state_file: Path | None) -> _Stack:
    if state_file:
        if not state_file.exists():
            raise click.ClickException(f"{state_file} does not exist: is the local stack up?")
        from local import emulator  # only where there is a local stack

        state = json.loads(state_file.read_text())
        return _Stack(
            state.get("stack_name", stack_name),
            lambda service: emulator.client(service, state["emulator_endpoint"]),
            state["outputs"],
        )
    try:
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        raise click.ClickException(f"the stack {stack_name} cannot be read: {exc}") from exc
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    if "TableName" not in outputs:
        raise click.ClickException(f"the stack {stack_name} has no output TableName: is it a Likeness stack?")
    make: Any = boto3.client  # its stubs know one overload for each service
    return _Stack(stack_name, make, outputs)


def _keys(stack_name: str, state_file: Path | None) -> ClientKeys:
    stack = _reach(stack_name, state_file)
    return ClientKeys(stack.client("dynamodb"), stack.outputs["TableName"])


class _Commands(click.Group):
    """Says in one line what AWS refused, or that it did not answer."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
            raise click.ClickException(str(exc)) from exc


@click.group(cls=_Commands)
def main() -> None:
    """Operate a Likeness stack."""


@main.group()
def client() -> None:
    """Client keys: what a developer sends in x-api-key."""


@client.command()
@click.option("--client-id", required=True, help="Whose key: 1 to 32 of a-z, 0-9 and -.")
@click.option("--return-origin", "origins", multiple=True, help="Where browsers may return to; may be repeated.")
@_with_stack
def add(client_id: str, origins: tuple[str, ...], stack_name: str, state_file: Path | None) -> None:
    """Make a key and show it, this once."""
    try:
        click.echo(_keys(stack_name, state_file).add(client_id, origins))
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc


@client.command("list")
@_with_stack
def list_keys(stack_name: str, state_file: Path | None) -> None:
    """Show every key's id, client and state."""
    for key in _keys(stack_name, state_file).known():
        state = f"revoked {key.revoked_at}" if key.revoked_at else "active"
        click.echo(f"{key.key_id}  {key.client_id:<32}  {key.created_at}  {state}  {' '.join(key.return_origins)}")


@client.command()
@click.option("--key-id", required=True, help="As `client list` shows it.")
@_with_stack
def revoke(key_id: str, stack_name: str, state_file: Path | None) -> None:
    """End a key."""
    if not _keys(stack_name, state_file).revoke(key_id):
        raise click.ClickException(f"there is no key {key_id}")
    click.echo(f"{key_id} is revoked; cached answers may honour it for five more minutes")


@main.command()
@click.option("--queue", type=click.Choice(["onboarding", "upload", "all"]), default="all", show_default=True)
@_with_stack
def redrive(queue: str, stack_name: str, state_file: Path | None) -> None:
    """Give dead letters back to their readers, after the cause is mended."""
    stack = _reach(stack_name, state_file)
    sqs = stack.client("sqs")
    redriven: dict[str, Redriven] = {}
    if queue != "upload":
        redriven["onboarding"] = redrive_onboarding(
            sqs, stack.outputs["OnboardingDeadLetterQueueUrl"], stack.outputs["OnboardingQueueUrl"]
        )
    if queue != "onboarding":
        redriven["upload"] = redrive_uploads(
            sqs, stack.client("lambda"), stack.resource("UploadDeadLetterQueue"), stack.resource("CheckUploadFunction")
        )
    for name, found in redriven.items():
        click.echo(f"{name}: {found.given_back} given back, {found.left} left")
    if any(found.left for found in redriven.values()):
        raise click.ClickException("what is left holds no event that its reader knows; look at it by hand")
