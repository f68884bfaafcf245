"""``python -m ops tail``: follows one session."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from likeness.adapters.table.dynamodb import DynamoStore
from ops.arguments import SESSION
from ops.stack import reach, with_stack
from ops.tail import Change, follow

#: Seconds between two reads: on AWS, each costs about a read unit for every few files.
_PAUSE_SECONDS = 2


@click.command()
@click.argument("session_id", type=SESSION)
@click.option(
    "--timeout", type=click.FloatRange(0, 86_400), default=3600, show_default=True, help="End after this many seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print each change as a line of JSON.")
@with_stack
def tail(session_id: str, timeout: float, as_json: bool, stack_name: str, state_file: Path | None) -> None:
    """Follow a session: its state now, then a line for each change, until it is settled, canceled or erased.

    The output contains no tokens, links or names. After --timeout the exit code is 1.
    """
    stack = reach(stack_name, state_file)
    store = DynamoStore(stack.client("dynamodb"), stack.outputs["TableName"])
    try:
        for change in follow(store, session_id, seconds=timeout, pause=_PAUSE_SECONDS):
            click.echo(json.dumps(asdict(change)) if as_json else _line(change))
    except TimeoutError:
        raise click.ClickException(f"the session has not settled within {timeout:g} s") from None
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


def _line(change: Change) -> str:
    name = change.id if change.what != "attempt" else f"{change.what} {change.id}"
    kind = "" if change.what in ("session", "asset", "attempt") else f"{change.what} "
    event = f"({change.event})" if change.event else ""
    return "  ".join(each for each in (change.time, f"{name:<30}", kind + change.value, change.detail, event) if each)
