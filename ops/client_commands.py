"""``python -m ops client``: the keys that developers call with."""

from __future__ import annotations

from pathlib import Path

import click

from ops.client_keys import ClientKeys
from ops.stack import reach, with_stack


def _keys(stack_name: str, state_file: Path | None) -> ClientKeys:
    stack = reach(stack_name, state_file)
    return ClientKeys(stack.client("dynamodb"), stack.outputs["TableName"])


@click.group()
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
@click.option("--key-id", required=True, help="The key to take the place of, as `client list` shows it.")
@with_stack
def rotate(key_id: str, stack_name: str, state_file: Path | None) -> None:
    """Make a new key for the same client and origins and show it, this once. The old one works until it is revoked."""
    try:
        key = _keys(stack_name, state_file).rotate(key_id)
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(key)
    where = f"--state-file {state_file}" if state_file else f"--stack-name {stack_name}"
    # Beside the key, not after it: KEY=$(python -m ops client rotate …) takes the key alone.
    click.echo(
        f"{key_id} still works; once nobody uses it: python -m ops client revoke --key-id {key_id} {where}", err=True
    )


@client.command()
@click.option("--key-id", required=True, help="As `client list` shows it.")
@with_stack
def revoke(key_id: str, stack_name: str, state_file: Path | None) -> None:
    """End a key."""
    if not _keys(stack_name, state_file).revoke(key_id):
        raise click.ClickException(f"there is no key {key_id}")
    click.echo(f"{key_id} is revoked; cached answers may honour it for five more minutes")
