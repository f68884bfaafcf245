"""``python -m ops uninstall``: removes a stack, and on request its inventory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.exceptions
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from likeness.errors import LikenessError
from ops.inventory import Folder, IncompleteExport, export_now, folder_source, parts_of
from ops.stack import clients, with_stack
from ops.uninstall import (
    SHARED,
    Client,
    Found,
    Resource,
    UninstallError,
    delete_kept,
    delete_stack,
    find,
    running_executions,
)

_WIDTH = 120

_DELETABLE = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")


@click.command()
@click.option(
    "--to", type=click.Path(path_type=Path), help="A new folder for the export. [default: named by stack and time]"
)
@click.option("--yes-delete-the-inventory", "everything", is_flag=True, help="Delete the tables and buckets too.")
@with_stack
def uninstall(to: Path | None, everything: bool, stack_name: str, state_file: Path | None) -> None:
    """Remove a stack: show what is removed and what is kept, ask, export the inventory, delete.

    The inventory (its table, the files, the exports) is kept unless you use --yes-delete-the-inventory. The command can
    be interrupted and run again.
    """
    name, client = clients(stack_name, state_file)
    try:
        found = find(client, name)
        if found is None:
            raise click.ClickException(
                f"no stack is named {name}, and none of that name was deleted in the last 90 days"
            )
        if not found.deleted or any(each.kind in _DELETABLE for each in found.kept):
            _remove(client, found, to, everything)
        else:
            click.echo(f"{name} is deleted, and its inventory too.")
    except UninstallError as exc:
        raise click.ClickException(str(exc)) from exc


def _remove(client: Client, found: Found, to: Path | None, everything: bool) -> None:
    _require_possible(found, to)
    _show(client, found, everything)
    if found.deleted and not everything:
        click.echo("The stack is already deleted. To delete its inventory too, use --yes-delete-the-inventory.")
        return
    if click.prompt(f"Type the stack's name ({found.name}) to go on") != found.name:
        raise click.ClickException("the name does not match; nothing was changed")
    folder = to or Path(f"{found.name}-inventory-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    _export(client, found, folder)
    if not found.deleted:
        delete_stack(client, found, click.echo)
        if everything:
            # For rows written between the export and the end of the last function.
            _export(client, found, folder.with_name(f"{folder.name}-last"))
    if everything:
        delete_kept(client, found, click.echo)
    click.echo(f"{found.name} is removed{'' if everything else '; its inventory is kept'}.")


def _require_possible(found: Found, to: Path | None) -> None:
    if to and to.exists():
        raise click.ClickException(f"{to} already exists; give the export a new folder")
    if found.protected:
        raise click.ClickException(
            f"{found.name} has termination protection; turn it off first: aws cloudformation "
            f"update-termination-protection --no-enable-termination-protection --stack-name {found.name}"
        )
    if found.status.endswith("_IN_PROGRESS") and found.status != "DELETE_IN_PROGRESS":
        raise click.ClickException(f"{found.name} is in {found.status}; wait until it is over")


def _export(client: Client, found: Found, folder: Path) -> None:
    table = found.kept_by("Table")
    if table is None:
        return
    try:
        done = export_now(client("dynamodb"), table, Folder(folder))
        parts_of(folder_source(folder))  # whole, as a restore would find it
    except (LikenessError, IncompleteExport, OSError) as exc:
        raise click.ClickException(f"the inventory was not exported ({exc}); nothing more was changed") from exc
    counts = ", ".join(f"{done.get(each, 0)} {each}s" for each in ("session", "asset", "consent", "client_key"))
    click.echo(f"The inventory is in {folder}: {counts}.")


# -- what is shown ------------------------------------------------------------------------------------------------


def _show(client: Client, found: Found, everything: bool) -> None:
    console = Console(width=_WIDTH if not Console().is_terminal else None, highlight=False)
    table = Table("", "what", "names", title=Text(f"Stack {found.name}, {found.status}"))
    goes = [each for each in found.kept if everything and each.kind in _DELETABLE]
    for kind, resources in _by_kind(found.removed):
        names = ", ".join(sorted(each.logical_id for each in resources))
        table.add_row("removed", f"{len(resources)} {kind}", Text(names))
    table.add_section()
    for each in goes:
        table.add_row(Text("DELETED", style="bold red"), each.kind, Text(f"{each.physical_id}{_holds(client, each)}"))
    for each in (each for each in found.kept if each not in goes):
        table.add_row("kept", each.kind, Text(f"{each.physical_id}{_holds(client, each)}{_why(each)}"))
    for line in _beside(everything):
        table.add_row("kept", *map(Text, line))
    console.print(table)
    running = len(list(running_executions(client, found.state_machine))) if found.state_machine else 0
    if running:
        click.echo(f"{running} executions are running. They will be stopped, and the people in them cannot finish.")


def _by_kind(resources: Sequence[Resource]) -> list[tuple[str, list[Resource]]]:
    kinds = sorted({each.kind for each in resources})
    return [(kind, [each for each in resources if each.kind == kind]) for kind in kinds]


def _holds(client: Client, resource: Resource) -> str:
    """Returns the number of items in a table, which DynamoDB updates every six hours."""
    if resource.kind != "AWS::DynamoDB::Table":
        return ""
    try:
        table: Any = client("dynamodb").describe_table(TableName=resource.physical_id)["Table"]
    except botocore.exceptions.ClientError:
        return ""
    count = table.get("ItemCount", 0)
    return f" (about {count:,} {'item' if count == 1 else 'items'})"


def _why(resource: Resource) -> str:
    return " (of the account and region: other APIs may rely on it)" if resource.logical_id in SHARED else ""


def _beside(everything: bool) -> list[tuple[str, str]]:
    """Returns what is outside of the stack and stays."""
    lines = [
        (
            "packages of deployments",
            "the prefix of samconfig.toml in the bucket of the stack aws-sam-cli-managed-default",
        ),
        ("assets and groups at crun", "crun has no call to delete them"),
    ]
    if everything:
        lines.append(("a backup of the table", "DynamoDB makes it by itself and keeps it for 35 days"))
    return lines
