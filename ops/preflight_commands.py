"""``python -m ops preflight``: checks whether a stack can be deployed here."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import boto3
import botocore.exceptions
import click
from botocore.config import Config
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.doctor_commands import KEY_VARIABLE
from ops.preflight import Account, Finding, Verdict, check_account, crun, exit_code, principal_of
from ops.template import product_template

_STYLES = {Verdict.READY: "green", Verdict.TO_DO: "bold red", Verdict.UNKNOWN: "bold yellow"}
_WIDTH = 120
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


@click.command()
@click.option("--stack-name", default="likeness", show_default=True, help="The stack to deploy.")
@click.option("--region", help="The region. [default: that of your AWS configuration]")
@click.option("--base-url", help="crun's base URL. [default: the template's CrunBaseUrl]")
@click.option("--principal-arn", help="The user or role that deploys. [default: the current credentials']")
@click.pass_context
def preflight(
    ctx: click.Context, stack_name: str, region: str | None, base_url: str | None, principal_arn: str | None
) -> None:
    """Check whether account, region, permissions and crun's key are ready for a deployment.

    It changes nothing and spends no credits. crun's key is read from CRUN_API_KEY. The exit code is 0 when everything
    is ready, 1 when there is something to do, and 2 when something could not be checked.
    """
    template = product_template()
    findings = [*_account(stack_name, region, principal_arn)]
    key = os.environ.get(KEY_VARIABLE, "").strip()
    findings += crun(base_url or template["Parameters"]["CrunBaseUrl"]["Default"], key, KEY_VARIABLE)
    show(findings)
    ctx.exit(exit_code(findings))


def _account(stack_name: str, region: str | None, principal_arn: str | None) -> list[Finding]:
    session = boto3.Session(region_name=region)
    if session.region_name is None:
        return [Finding("account", Verdict.TO_DO, "no region is set", "use --region, or run aws configure")]

    @functools.cache
    def client(service: str) -> Any:
        return session.client(service, config=_CONFIG)  # type: ignore[call-overload]

    try:
        identity = client("sts").get_caller_identity()
    except botocore.exceptions.NoCredentialsError:
        return [Finding("account", Verdict.TO_DO, "no credentials for AWS", "run aws configure, or aws sso login")]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        return [Finding("account", Verdict.TO_DO, str(exc), "get new credentials, or use an enabled region")]
    caller = identity["Arn"]
    found = [Finding("account", Verdict.READY, f"{identity['Account']} as {caller.rpartition(':')[2]}")]
    try:
        principal = principal_arn or principal_of(caller, client("iam"))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        # The role's path is unknown here; most roles have none.
        principal = caller.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")[0]
    account = Account(
        client, session.region_name, identity["Account"], caller, principal, stack_name, product_template()
    )
    return [*found, *check_account(account)]


def show(findings: Sequence[Finding]) -> None:
    """Prints a table of the findings, and one line with their counts."""
    console = Console(width=_WIDTH if not Console().is_terminal else None, highlight=False)
    table = Table("check", "", "found", "what to do")
    last = ""
    for each in findings:
        verdict = Text(each.verdict.value, style=_STYLES.get(each.verdict, ""))
        # Text, not markup: AWS's messages may contain markup.
        table.add_row(Text("" if each.check == last else each.check), verdict, Text(each.found), Text(each.do))
        last = each.check
    console.print(table)
    counts = {verdict: sum(each.verdict is verdict for each in findings) for verdict in Verdict}
    console.print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count))
