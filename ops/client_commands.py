"""``python -m ops client``: the keys of developers."""

from __future__ import annotations

from pathlib import Path

import click

from likeness.adapters.consent_texts import purposes_of_all_versions
from ops.client_keys import ClientKeys
from ops.stack import reach, with_stack


def _keys(stack_name: str, state_file: Path | None) -> ClientKeys:
    stack = reach(stack_name, state_file)
    return ClientKeys(stack.client("dynamodb"), stack.outputs["TableName"])


@click.group()
def client() -> None:
    """Manage client keys, which developers send in x-api-key."""


@client.command()
@click.option("--client-id", required=True, help="The client's id: 1 to 32 of a-z, 0-9 and -.")
@click.option(
    "--return-origin",
    "origins",
    multiple=True,
    help="An origin to which browsers may return. Can be given several times.",
)
@click.option("--purpose", default="", help="The purpose of use checks and videos that name none, from purposes.json.")
@click.option("--daily-credits", type=float, help="The client's budget for videos of a UTC day, in crun's credits.")
@click.option("--sees-balance", is_flag=True, help="Let crun's own route show the account's balance to this client.")
@with_stack
def add(
    client_id: str,
    origins: tuple[str, ...],
    purpose: str,
    daily_credits: float | None,
    sees_balance: bool,
    stack_name: str,
    state_file: Path | None,
) -> None:
    """Create a key and print it. It cannot be shown again."""
    try:
        keys = _keys(stack_name, state_file)
        click.echo(keys.add(client_id, origins, purpose, daily_credits, sees_balance=sees_balance))
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    if purpose and purpose not in purposes_of_all_versions():
        # On stderr, so that KEY=$(python -m ops client add …) contains the key alone. The stack's list may be another.
        click.echo(
            f"{purpose} is in no purposes.json here; a stack that does not have it either refuses each use check and "
            "each video of this key that names no purpose",
            err=True,
        )


@client.command("list")
@with_stack
def list_keys(stack_name: str, state_file: Path | None) -> None:
    """Show every key's id, client and state."""
    for key in _keys(stack_name, state_file).known():
        state = f"revoked {key.revoked_at}" if key.revoked_at else "active"
        more = [*key.return_origins, *([f"purpose={key.purpose}"] if key.purpose else [])]
        if key.daily_credits is not None:
            more.append(f"daily_credits={key.daily_credits:.12g}")
        if key.sees_balance:
            more.append("sees_balance")
        click.echo(f"{key.key_id}  {key.client_id:<32}  {key.created_at}  {state}  {' '.join(more)}")


@client.command()
@click.option("--key-id", required=True, help="The id of the key to replace, from `client list`.")
@with_stack
def rotate(key_id: str, stack_name: str, state_file: Path | None) -> None:
    """Create a new key for the same client and origins, and print it once. The old key works until it is revoked."""
    try:
        key = _keys(stack_name, state_file).rotate(key_id)
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(key)
    where = f"--state-file {state_file}" if state_file else f"--stack-name {stack_name}"
    # On stderr, so that KEY=$(python -m ops client rotate …) contains the key alone.
    click.echo(
        f"{key_id} still works; when it is no longer used, run: python -m ops client revoke --key-id {key_id} {where}",
        err=True,
    )


@client.command()
@click.option("--key-id", required=True, help="The key's id, from `client list`.")
@with_stack
def revoke(key_id: str, stack_name: str, state_file: Path | None) -> None:
    """Revoke a key."""
    if not _keys(stack_name, state_file).revoke(key_id):
        raise click.ClickException(f"no key has the id {key_id}")
    click.echo(f"{key_id} is revoked; cached responses may accept it for up to five more minutes")
