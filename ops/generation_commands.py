"""``python -m ops generation``: lists and shows generations."""

from __future__ import annotations

import json
from pathlib import Path

import click

from likeness.domain.generation import GenerationFilter, GenerationStatus
from ops.arguments import GENERATION, SESSION, as_json
from ops.facts import lines
from ops.generations import Generations
from ops.stack import reach, with_stack


def _generations(stack_name: str, state_file: Path | None) -> Generations:
    return Generations(reach(stack_name, state_file), on_aws=state_file is None)


@click.group()
def generation() -> None:
    """List and show generations. The output contains no prompts, links or references."""


@generation.command("list")
@click.option("--client-id", help="The client of the generations. [default: every client, or that of --session]")
@click.option("--status", type=click.Choice([each.value for each in GenerationStatus]), help="Filter by this status.")
@click.option("--session", "session_id", type=SESSION, help="Only generations that show the person of this session.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--cursor", help="The cursor of an earlier listing of a client, which this one continues.")
@as_json
@with_stack
def list_generations(
    client_id: str | None,
    status: str | None,
    session_id: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
    stack_name: str,
    state_file: Path | None,
) -> None:
    """Show generations, newest first."""
    if cursor and not (client_id or session_id):
        raise click.UsageError("use --cursor with --client-id or --session")
    wanted = GenerationFilter(status=status, session_id=session_id)
    found = _generations(stack_name, state_file).newest(client_id, wanted, limit, cursor)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in found["generations"]:
        why = (each["error"] or each["media_problem"] or {}).get("code", "")
        cost = "-" if each["credits"] is None else f"{each['credits']:g}"
        click.echo(
            f"{each['id']}  {each['status']:<9}  {each['created_at']}  {each['client_id']}  {each['model']}"
            f"  {cost}  {why}".rstrip()
        )
    if found["cursor"]:
        click.echo(f"more generations may follow: --cursor {found['cursor']}", err=True)
    elif not found["complete"]:
        click.echo("more generations may follow: --client-id reads those of one client", err=True)


@generation.command()
@click.argument("generation_id", type=GENERATION)
@as_json
@with_stack
def show(generation_id: str, as_json: bool, stack_name: str, state_file: Path | None) -> None:
    """Show the state of a generation: its task at crun, people, files, executions, error."""
    found = _generations(stack_name, state_file).show(generation_id)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))
