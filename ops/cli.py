"""The commands of ``python -m ops``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import click

from ops.client_keys import ClientKeys

_where = [
    click.option("--stack-name", default="likeness", show_default=True, help="The stack on AWS."),
    click.option("--state-file", type=click.Path(path_type=Path), help="The stack on this machine instead."),
]


def _with_stack(command: Any) -> Any:
    for option in reversed(_where):
        command = option(command)
    return command


def _keys(stack_name: str, state_file: Path | None) -> ClientKeys:
    if state_file:
        if not state_file.exists():
            raise click.ClickException(f"{state_file} does not exist: is the local stack up?")
        from local import emulator  # only where there is a local stack

        state = json.loads(state_file.read_text())
        return ClientKeys(emulator.client("dynamodb", state["emulator_endpoint"]), state["outputs"]["TableName"])
    try:
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        raise click.ClickException(f"the stack {stack_name} cannot be read: {exc}") from exc
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    if "TableName" not in outputs:
        raise click.ClickException(f"the stack {stack_name} has no output TableName: is it a Likeness stack?")
    return ClientKeys(boto3.client("dynamodb"), outputs["TableName"])


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
