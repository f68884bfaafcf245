"""``python -m ops session``: lists, shows and erases sessions."""

from __future__ import annotations

import json
from pathlib import Path

import click

from likeness.domain.receipt import Holder
from likeness.domain.session import SessionStatus
from ops.arguments import ASSET, SESSION, as_json
from ops.facts import lines
from ops.sessions import Sessions
from ops.stack import reach, with_stack


def _sessions(stack_name: str, state_file: Path | None) -> Sessions:
    return Sessions(reach(stack_name, state_file), on_aws=state_file is None)


@click.group()
def session() -> None:
    """List, show and erase sessions. The output contains no tokens, links or names."""


@session.command("list")
@click.option("--client-id", required=True, help="The client of the sessions.")
@click.option("--status", type=click.Choice([each.value for each in SessionStatus]), help="Filter by this status.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--cursor", help="The cursor of an earlier listing, which this one continues.")
@as_json
@with_stack
def list_sessions(
    client_id: str,
    status: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
    stack_name: str,
    state_file: Path | None,
) -> None:
    """Show a client's sessions, newest first."""
    found = _sessions(stack_name, state_file).newest(client_id, status, limit, cursor)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in found["sessions"]:
        error = (each["last_error"] or {}).get("code", "")
        click.echo(
            f"{each['id']}  {each['status']:<14}  {each['created_at']}  {each['group_id'] or '-'}  {error}".rstrip()
        )
    if found["cursor"]:
        click.echo(f"more sessions may follow: --cursor {found['cursor']}", err=True)


@session.command()
@click.argument("session_id", type=SESSION)
@click.option("--dead-letters", is_flag=True, help="Also search the dead-letter queues for it.")
@as_json
@with_stack
def show(session_id: str, dead_letters: bool, as_json: bool, stack_name: str, state_file: Path | None) -> None:
    """Show the state of a session: attempts, executions, assets, errors."""
    found = _sessions(stack_name, state_file).show(session_id, dead_letters=dead_letters)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))


@session.command()
@click.argument("session_id", type=SESSION)
@click.option("--asset", "asset_id", type=ASSET, help="Erase only this file.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
@with_stack
def erase(
    session_id: str, asset_id: str | None, yes: bool, as_json: bool, stack_name: str, state_file: Path | None
) -> None:
    """Erase a session like DELETE /sessions/{id}: stop executions, delete files and personal fields for good."""
    sessions = _sessions(stack_name, state_file)
    client_id = sessions.client_of(session_id)
    if asset_id:
        if not yes:
            click.confirm(f"Erase {asset_id} of {session_id}? This cannot be undone", abort=True, err=True)
        asset = sessions.erase_asset(session_id, asset_id)
        click.echo(json.dumps(asset, indent=2) if as_json else f"{asset_id} was erased")
        return
    if not yes:
        click.confirm(f"Erase {session_id} of client {client_id}? This cannot be undone", abort=True, err=True)
    tombstone = sessions.erase(session_id)
    if as_json:
        click.echo(json.dumps(tombstone, indent=2))
        return
    click.echo(f"{session_id} was erased at {tombstone['erasure']['erased_at']}")
    left = [*tombstone["erasure"]["group_ids"], *tombstone["erasure"]["asset_ids"]]
    if left:
        click.echo(f"still at crun, which has no call to delete them: {' '.join(left)}")
        click.echo("to ask its support, use: python -m ops erasure report")


@session.command("revoke-receipt")
@click.argument("session_id", type=SESSION)
@click.option("--holder", type=click.Choice([each.value for each in Holder]), default="person", show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_stack
def revoke_receipt(session_id: str, holder: str, yes: bool, stack_name: str, state_file: Path | None) -> None:
    """End a personal link, for example one that somebody else has. A new one can be created afterwards."""
    sessions = _sessions(stack_name, state_file)
    client_id = sessions.client_of(session_id)
    if not yes:
        click.confirm(f"End the {holder}'s link of {session_id} (client {client_id})?", abort=True, err=True)
    ended = sessions.revoke_receipt(session_id, Holder(holder))
    click.echo(f"the {holder}'s link of {session_id} " + ("has ended" if ended else "does not exist"))


@session.command()
@click.argument("session_id", type=SESSION)
@click.option("--withdraw", is_flag=True, help="Withdraw the consent.")
@click.option(
    "--by",
    type=click.Choice(["person", "client"]),
    default="person",
    show_default=True,
    help="Who withdraws it. After the person, only the person can give another consent.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
@with_stack
def consent(
    session_id: str, withdraw: bool, by: str, yes: bool, as_json: bool, stack_name: str, state_file: Path | None
) -> None:
    """Show a session's consent: its status, its terms and each entry of the ledger; or withdraw it."""
    sessions = _sessions(stack_name, state_file)
    if withdraw:
        client_id = sessions.client_of(session_id)
        if not yes:
            click.confirm(f"Withdraw the consent of {session_id} of client {client_id}?", abort=True, err=True)
        found = sessions.withdraw(session_id, by_person=by == "person")
    else:
        found = sessions.consent(session_id)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))
