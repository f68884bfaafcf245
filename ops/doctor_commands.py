"""``python -m ops doctor``: whether the real crun is what Likeness takes it for."""

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
from ops.doctor.visit import FREE_SECONDS, SPENDING_SECONDS, Upload, Visit
from ops.stack import reach

KEY_VARIABLE = "CRUN_API_KEY"
_BASE_URL = "https://api.crun.ai"
#: Nobody is sent there: it is only to come back as it was.
_CALLBACK_URL = "https://example.com/v1/callback/likeness-doctor/1/signature"
_STYLES = {Verdict.AGREES: "green", Verdict.DIFFERS: "bold red", Verdict.UNANSWERED: "bold red"}
_WIDTH = 120


class _NothingAsked(click.ClickException):
    """When the visit could not begin: the same exit code as when crun cannot be reached."""

    exit_code = 2


@click.command()
@click.option("--base-url", help=f"Where crun is. [default: the stack's, or {_BASE_URL}]")
@click.option("--api-key", help=f"Better: --stack-name, or ${KEY_VARIABLE}; neither need stand in a shell's history.")
@click.option("--stack-name", help="Take the key, and where crun is, from this stack on AWS.")
@click.option("--state-file", type=click.Path(path_type=Path), help="The same from the stack on this machine.")
@click.option("--callback-url", default=_CALLBACK_URL, show_default=True, help="What the session is made with.")
@click.option("--spend", is_flag=True, help="Also ask what may cost: look-ups of a token, an empty upload.")
@click.option("--group-id", help="With --spend and --asset-url: upload a file into this group.")
@click.option("--asset-url", help="A public URL of that file.")
@click.option("--asset-type", type=click.Choice(["Image", "Video", "Audio"]), default="Image", show_default=True)
@click.option("--record", "folder", type=click.Path(file_okay=False, path_type=Path), help="Keep the calls there.")
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
    """Ask crun a few careful questions and compare the answers with its contract.

    Ends with 0 when all agrees, with 1 when something differs, with 2 when crun could not be reached or an answer is
    missing. Without --spend it asks nothing that is known to cost.
    """
    if (group_id is None) != (asset_url is None) or (group_id and not spend):
        raise click.UsageError("--group-id, --asset-url and --spend go together")
    upload = Upload(group_id, asset_url, asset_type) if group_id and asset_url else None
    found_url, key = _crun(base_url, api_key, stack_name, state_file)
    redactor = Redactor()
    for secret in (key, group_id or ""):
        redactor.secret(secret)
    for url in (callback_url, asset_url or ""):
        redactor.hide_url(url)
    try:
        transport = Transport(found_url, key, Budget(FREE_SECONDS + (SPENDING_SECONDS if spend else 0)))
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as exc:
        raise _NothingAsked(str(exc)) from exc
    visit = Visit(transport, redactor, callback_url)
    try:
        visit.pay(spend, upload)
    finally:  # what was asked until an interruption is worth showing, too
        _show(visit.findings, found_url)
        if folder:
            click.echo(f"{len(record(folder, visit.exchanges, redactor, key))} calls are kept in {folder}", err=True)
    ctx.exit(visit.exit_code)


def _crun(
    base_url: str | None, api_key: str | None, stack_name: str | None, state_file: Path | None
) -> tuple[str, str]:
    """Where crun is, and the key. What is given goes before the stack's, and that before the environment's."""
    if stack_name or state_file:
        try:
            stack = reach(stack_name or "likeness", state_file)
            secret = Secret(stack.client("secretsmanager"), stack.outputs["CrunApiKeySecretArn"])
            return base_url or stack.parameter("CrunBaseUrl"), api_key or secret.value()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, LikenessError) as exc:
            raise _NothingAsked(f"the stack does not give the key: {exc}") from exc
        except click.ClickException as exc:
            raise _NothingAsked(exc.message) from exc
    key = api_key or os.environ.get(KEY_VARIABLE)
    if not key:
        raise _NothingAsked(f"no key: give --stack-name, or set {KEY_VARIABLE}")
    return base_url or _BASE_URL, key.strip()


def _show(findings: list[Finding], base_url: str) -> None:
    """A table of what was found, and one line that sums it up."""
    console = Console(width=_WIDTH if not Console().is_terminal else None, highlight=False)
    table = Table("call", "point", "", "found", title=Text(f"crun at {base_url}"))
    last = ""
    for each in findings:
        if each.call != last and last:
            table.add_section()
        verdict = Text(each.verdict.value, style=_STYLES.get(each.verdict, ""))
        # Text, not markup: crun's words are not ours.
        table.add_row(Text(each.call if each.call != last else ""), Text(each.point), verdict, Text(each.text))
        last = each.call
    console.print(table)
    counts = {verdict: sum(each.verdict is verdict for each in findings) for verdict in Verdict}
    console.print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count))
