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
from ops.erasure_commands import erasure
from ops.generation_commands import generation
from ops.inventory_commands import inventory
from ops.invite_commands import invite_people
from ops.preflight_commands import preflight
from ops.redrive import Redriven, redrive_queue, redrive_uploads
from ops.session_commands import session
from ops.stack import reach, with_stack
from ops.tail_commands import tail
from ops.uninstall_commands import uninstall
from ops.webhook_commands import webhook


class _Commands(click.Group):
    """Prints an error of AWS or of the stack in one line."""

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
main.add_command(erasure)
main.add_command(generation)
main.add_command(inventory)
main.add_command(invite_people)
main.add_command(preflight)
main.add_command(session)
main.add_command(tail)
main.add_command(uninstall)
main.add_command(webhook)


@main.command()
@click.option(
    "--queue", type=click.Choice(["onboarding", "upload", "webhook", "all"]), default="all", show_default=True
)
@with_stack
def redrive(queue: str, stack_name: str, state_file: Path | None) -> None:
    """Redrive dead letters, after you have fixed the cause: send them to their consumers again."""
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
        click.echo(f"{name}: {found.redriven} redriven, {found.left} left")
    if any(found.left for found in redriven.values()):
        raise click.ClickException(
            "the messages that are left contain no event that their consumer can read; examine them by hand"
        )
