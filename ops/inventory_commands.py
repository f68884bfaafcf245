"""``python -m ops inventory``: export and restore."""

from __future__ import annotations

from pathlib import Path

import botocore.exceptions
import click

from likeness.adapters.table.inventory import S3Exports
from likeness.errors import LikenessError
from ops.inventory import (
    Folder,
    IncompleteExport,
    Restore,
    export_now,
    folder_source,
    index_upstream_ids,
    keep_for_good,
    lines_in,
    make_due,
    parts_of,
    s3_source,
    withdraw_again,
)
from ops.stack import reach, with_stack


@click.group()
def inventory() -> None:
    """Export and restore the inventory of people, groups and assets, of which crun keeps no list."""


@inventory.command()
@click.option("--to", type=click.Path(path_type=Path), help="Export to this new local folder, not to the bucket.")
@click.option("--table", help="Export this table instead of the stack's: one that point-in-time recovery has created.")
@with_stack
def export(to: Path | None, table: str | None, stack_name: str, state_file: Path | None) -> None:
    """Export the inventory now. It is complete when the exit code is 0."""
    stack = reach(stack_name, state_file)
    if to and to.exists():
        raise click.ClickException(f"{to} already exists; give the export a new folder")
    bucket = None if to else stack.resource("InventoryBucket")
    files = Folder(to) if to else S3Exports(stack.client("s3"), str(bucket))
    try:
        done = export_now(stack.client("dynamodb"), table or stack.outputs["TableName"], files)
    except LikenessError as exc:
        raise click.ClickException(f"{exc}; the export is incomplete, run the command again") from exc
    click.echo(str(to) if to else f"s3://{bucket}/{done['export']}")
    for name in ("session", "tombstone", "asset", "consent", "client_key"):
        click.echo(f"{name}: {done.get(name, 0)}")


@inventory.command()
@click.option(
    "--from", "from_", required=True, help="The folder of an export, on this machine or as s3://bucket/folder/."
)
@click.option("--skip-bad", is_flag=True, help="Skip the lines that cannot be read.")
@with_stack
def restore(from_: str, skip_bad: bool, stack_name: str, state_file: Path | None) -> None:
    """Restore an export to the table. Nothing newer is overwritten, and the command can be repeated."""
    stack = reach(stack_name, state_file)
    source = s3_source(stack.client("s3"), from_) if from_.startswith("s3://") else folder_source(Path(from_))
    bad: list[str] = []
    try:
        parts = parts_of(source)
        for part in parts:
            for _ in lines_in(source, part, bad):
                pass
    except IncompleteExport as exc:
        raise click.ClickException(f"{exc}; nothing was restored") from exc
    for each in bad:
        click.echo(each, err=True)
    if bad and not skip_bad:
        raise click.ClickException(f"{len(bad)} lines cannot be read; nothing was restored (--skip-bad skips them)")
    run = Restore(stack.client("dynamodb"), stack.outputs["TableName"])
    try:
        for part in parts:
            run(lines_in(source, part, []))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        summary = ", ".join(f"{count} {name}" for name, count in sorted(run.counts.items())) or "nothing"
        raise click.ClickException(f"partly restored ({summary}): {exc}; run it again") from exc
    for name, count in sorted(run.counts.items()):
        click.echo(f"{name}: {count}")
    if bad:
        raise click.ClickException(f"{len(bad)} lines were skipped")


@inventory.command()
@with_stack
def keep(stack_name: str, state_file: Path | None) -> None:
    """Upgrade rows of older versions, and of a restore, to this version.

    Verified and erased sessions no longer expire; crun's ids are added to their index, withdrawals of the ledger are
    repeated on sessions that lack them, and unfinished work is added to the index for reconcile.
    """
    stack = reach(stack_name, state_file)
    where = (stack.client("dynamodb"), stack.outputs["TableName"])
    click.echo(f"{keep_for_good(*where)} sessions no longer expire")
    click.echo(f"{index_upstream_ids(*where)} groups and assets were indexed by crun's ids")
    click.echo(f"{withdraw_again(*where)} withdrawals of the ledger were repeated")
    click.echo(f"{make_due(*where)} sessions and files were scheduled for reconcile")
