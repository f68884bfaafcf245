"""``python -m ops doctor``: compares the real crun with the contract that Likeness relies on."""

from __future__ import annotations

import os
from pathlib import Path

import botocore.exceptions
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from likeness.adapters.secrets import Secret
from likeness.errors import LikenessError
from ops.doctor.judge import Finding, Verdict
from ops.doctor.record import record
from ops.doctor.redaction import Redactor
from ops.doctor.transport import Budget, Transport
from ops.doctor.visit import ASSET_SECONDS, FREE_SECONDS, VIDEO_SECONDS, Upload, Visit
from ops.stack import reach

KEY_VARIABLE = "CRUN_API_KEY"
_BASE_URL = "https://api.crun.ai"
#: Nobody opens it: it only shows whether crun returns it unchanged.
_CALLBACK_URL = "https://example.com/v1/callback/likeness-doctor/1/signature"
_STYLES = {Verdict.AGREES: "green", Verdict.DIFFERS: "bold red", Verdict.UNANSWERED: "bold red"}
_WIDTH = 120


class _NothingAsked(click.ClickException):
    """When no call could be made. The exit code is that of an unreachable crun."""

    exit_code = 2


@click.command()
@click.option("--base-url", help=f"crun's base URL. [default: the stack's, or {_BASE_URL}]")
@click.option(
    "--api-key", help=f"crun's key. Prefer --stack-name or ${KEY_VARIABLE}, which keep it out of the shell's history."
)
@click.option("--stack-name", help="Use the key and the base URL of this stack on AWS.")
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Use the key and the base URL of the local stack with this state file.",
)
@click.option(
    "--callback-url", default=_CALLBACK_URL, show_default=True, help="The callback URL of the session and of the video."
)
@click.option(
    "--spend", is_flag=True, help="Also make calls that cost: lookups of a token, an empty upload, a video of 4 s."
)
@click.option("--group-id", help="With --spend and --asset-url: upload a file into this group.")
@click.option("--asset-url", help="A public URL of that file.")
@click.option("--asset-type", type=click.Choice(["Image", "Video", "Audio"]), default="Image", show_default=True)
@click.option(
    "--record", "folder", type=click.Path(file_okay=False, path_type=Path), help="Record the calls in this folder."
)
@click.pass_context
def doctor(
    ctx: click.Context,
    base_url: str | None,
    api_key: str | None,
    stack_name: str | None,
    state_file: Path | None,
    callback_url: str,
    spend: bool,
    group_id: str | None,
    asset_url: str | None,
    asset_type: str,
    folder: Path | None,
) -> None:
    """Make a few calls to crun and compare the responses with its contract.

    The exit code is 0 when everything agrees, 1 when something differs, and 2 when crun could not be reached or a
    response is missing. Without --spend, no call is known to cost anything.
    """
    if (group_id is None) != (asset_url is None) or (group_id and not spend):
        raise click.UsageError("use --group-id, --asset-url and --spend together")
    upload = Upload(group_id, asset_url, asset_type) if group_id and asset_url else None
    found_url, key = _crun(base_url, api_key, stack_name, state_file)
    redactor = Redactor()
    for secret in (key, group_id or ""):
        redactor.secret(secret)
    for url in (callback_url, asset_url or ""):
        redactor.hide_url(url)
    seconds = FREE_SECONDS + (VIDEO_SECONDS if spend else 0) + (ASSET_SECONDS if upload else 0)
    try:
        transport = Transport(found_url, key, Budget(seconds))
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as exc:
        raise _NothingAsked(str(exc)) from exc
    visit = Visit(transport, redactor, callback_url)
    try:
        visit.pay(spend, upload)
    finally:  # also shows the findings before an interruption
        _show(visit.findings, found_url)
        if folder:
            click.echo(
                f"{len(record(folder, visit.exchanges, redactor, key))} calls are recorded in {folder}", err=True
            )
    ctx.exit(visit.exit_code)


def _crun(
    base_url: str | None, api_key: str | None, stack_name: str | None, state_file: Path | None
) -> tuple[str, str]:
    """Returns crun's base URL and the key: from the options, else from the stack, else from the environment."""
    if stack_name or state_file:
        try:
            stack = reach(stack_name or "likeness", state_file)
            secret = Secret(stack.client("secretsmanager"), stack.outputs["CrunApiKeySecretArn"])
            return base_url or stack.parameter("CrunBaseUrl"), api_key or secret.value()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, LikenessError) as exc:
            raise _NothingAsked(f"the key cannot be read from the stack: {exc}") from exc
        except click.ClickException as exc:
            raise _NothingAsked(exc.message) from exc
    key = api_key or os.environ.get(KEY_VARIABLE)
    if not key:
        raise _NothingAsked(f"no key: use --stack-name, or set {KEY_VARIABLE}")
    return base_url or _BASE_URL, key.strip()


def _show(findings: list[Finding], base_url: str) -> None:
    """Prints a table of the findings, and one line with their counts."""
    console = Console(width=_WIDTH if not Console().is_terminal else None, highlight=False)
    table = Table("call", "point", "", "found", title=Text(f"crun at {base_url}"))
    last = ""
    for each in findings:
        if each.call != last and last:
            table.add_section()
        verdict = Text(each.verdict.value, style=_STYLES.get(each.verdict, ""))
        # Text, not markup: crun's responses may contain markup.
        table.add_row(Text(each.call if each.call != last else ""), Text(each.point), verdict, Text(each.text))
        last = each.call
    console.print(table)
    counts = {verdict: sum(each.verdict is verdict for each in findings) for verdict in Verdict}
    console.print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count))
