"""The commands of ``python -m ops``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.exceptions
import click

from ops.client_keys import ClientKeys
from ops.inventory_commands import inventory
from ops.redrive import Redriven, redrive_onboarding, redrive_uploads
from ops.stack import reach, with_stack


def _keys(stack_name: str, state_file: Path | None) -> ClientKeys:
    stack = reach(stack_name, state_file)
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


main.add_command(inventory)


@main.group()
def client() -> None:
    """Client keys: what a developer sends in x-api-key."""


@client.command()
@click.option("--client-id", required=True, help="Whose key: 1 to 32 of a-z, 0-9 and -.")
@click.option("--return-origin", "origins", multiple=True, help="Where browsers may return to; may be repeated.")
@with_stack
def add(client_id: str, origins: tuple[str, ...], stack_name: str, state_file: Path | None) -> None:
    """Make a key and show it, this once."""
    try:
        click.echo(_keys(stack_name, state_file).add(client_id, origins))
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc


@client.command("list")
@with_stack
def list_keys(stack_name: str, state_file: Path | None) -> None:
    """Show every key's id, client and state."""
    for key in _keys(stack_name, state_file).known():
        state = f"revoked {key.revoked_at}" if key.revoked_at else "active"
        click.echo(f"{key.key_id}  {key.client_id:<32}  {key.created_at}  {state}  {' '.join(key.return_origins)}")


@client.command()
@click.option("--key-id", required=True, help="As `client list` shows it.")
@with_stack
def revoke(key_id: str, stack_name: str, state_file: Path | None) -> None:
    """End a key."""
    if not _keys(stack_name, state_file).revoke(key_id):
        raise click.ClickException(f"there is no key {key_id}")
    click.echo(f"{key_id} is revoked; cached answers may honour it for five more minutes")


@main.command()
@click.option("--queue", type=click.Choice(["onboarding", "upload", "all"]), default="all", show_default=True)
@with_stack
def redrive(queue: str, stack_name: str, state_file: Path | None) -> None:
    """Give dead letters back to their readers, after the cause is mended."""
    stack = reach(stack_name, state_file)
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
