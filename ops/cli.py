"""The commands of ``python -m ops``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.exceptions
import click

from likeness.errors import LikenessError
from ops.client_commands import client
from ops.cost_commands import cost
from ops.deploy_commands import deploy
from ops.doctor_commands import doctor
from ops.inventory_commands import inventory
from ops.preflight_commands import preflight
from ops.redrive import Redriven, redrive_queue, redrive_uploads
from ops.session_commands import session
from ops.stack import reach, with_stack
from ops.uninstall_commands import uninstall
from ops.webhook_commands import webhook


class _Commands(click.Group):
    """Says in one line what AWS or the stack refused, or that it did not answer."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, LikenessError) as exc:
            raise click.ClickException(str(exc)) from exc


@click.group(cls=_Commands)
def main() -> None:
    """Operate a Likeness stack."""


main.add_command(client)
main.add_command(cost)
main.add_command(deploy)
main.add_command(doctor)
main.add_command(inventory)
main.add_command(preflight)
main.add_command(session)
main.add_command(uninstall)
main.add_command(webhook)


@main.command()
@click.option(
    "--queue", type=click.Choice(["onboarding", "upload", "webhook", "all"]), default="all", show_default=True
)
@with_stack
def redrive(queue: str, stack_name: str, state_file: Path | None) -> None:
    """Give dead letters back to their readers, after the cause is mended."""
    stack = reach(stack_name, state_file)
    sqs = stack.client("sqs")
    redriven: dict[str, Redriven] = {}
    if queue in ("onboarding", "all"):
        redriven["onboarding"] = redrive_queue(
            sqs, stack.outputs["OnboardingDeadLetterQueueUrl"], stack.outputs["OnboardingQueueUrl"]
        )
    if queue in ("upload", "all"):
        redriven["upload"] = redrive_uploads(
            sqs, stack.client("lambda"), stack.resource("UploadDeadLetterQueue"), stack.resource("CheckUploadFunction")
        )
    if queue in ("webhook", "all"):
        redriven["webhook"] = redrive_queue(
            sqs, stack.resource("WebhookDeadLetterQueue"), stack.resource("WebhookQueue")
        )
    for name, found in redriven.items():
        click.echo(f"{name}: {found.given_back} given back, {found.left} left")
    if any(found.left for found in redriven.values()):
        raise click.ClickException("what is left holds no event that its reader knows; look at it by hand")
