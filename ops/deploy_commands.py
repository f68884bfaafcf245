"""``python -m ops deploy``: a few questions, samconfig.toml, `sam build` and `sam deploy`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.deploy import (
    KEY_PARAMETER,
    QUESTIONS,
    Config,
    ConfigError,
    Upgrade,
    is_gradual,
    secret_overrides,
    upgrade,
    wrong,
)
from ops.doctor_commands import KEY_VARIABLE
from ops.stack import described
from ops.template import ROOT, Template, deployed_template, product_template

_WIDTH = 120
_READY = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True)
class _Stack:
    """An existing stack: its parameters, and its template where that can be read."""

    parameters: dict[str, str]
    template: Template | None


@click.command()
@click.option("--stack-name", help="[default: a question]")
@click.option("--region", help="[default: a question]")
@click.option("--config-env", default="default", show_default=True, help="The section of samconfig.toml.")
@click.option(
    "--config-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=ROOT / "samconfig.toml",
    help="The path of samconfig.toml.",
)
def deploy(stack_name: str | None, region: str | None, config_env: str, config_file: Path) -> None:
    """Deploy or upgrade a stack: ask at most ten questions, write samconfig.toml, build and deploy.

    A new stack needs crun's key, from CRUN_API_KEY or a hidden prompt. It is stored in Secrets Manager and in no file.
    An upgrade shows which of the template's defaults differ from the stack's values.
    """
    template, config = product_template(), Config(config_file, config_env)
    try:
        written, overrides = config.settings(), config.overrides()
    except ConfigError as exc:
        raise click.ClickException(str(exc)) from exc
    region = region or _ask_region(written.get("region"))
    stack_name = stack_name or _ask(
        "The stack's name: a different one for each stage.", "Stack name", written.get("stack_name", "likeness")
    )
    stack = _existing(stack_name, region)
    if stack and stack.template and is_gradual(stack.template):
        raise click.ClickException(
            f"{stack_name} uses gradual rollouts; deploy it with make build-gradual, as described in docs/deploying.md"
        )
    key = None if stack else _ask_key()
    current = dict(stack.parameters) if stack else {}
    overrides |= _answers(template, current | overrides)
    if stack:
        overrides |= _new_defaults(upgrade(stack.parameters, stack.template, template))
    overrides = {name: value for name, value in overrides.items() if name in template["Parameters"]}
    config.write(stack_name, region, overrides)
    click.echo(f"Written: the section {config_env} of {config_file.name}.")
    _build()
    _sam_deploy(config, overrides, key)
    _show_next_steps(stack_name, region)


# -- questions ----------------------------------------------------------------------------------------------------


def _ask(text: str, name: str, default: str) -> str:
    click.echo(f"\n{text}")
    found: str = click.prompt(name, default=default, show_default=bool(default))
    return found.strip()


def _ask_region(default: str | None) -> str:
    default = default or boto3.Session().region_name or "us-east-1"
    return _ask("The region of the stack: near the people, and permitted for their data.", "Region", default)


def _ask_key() -> str:
    """Returns crun's key, from the environment or a hidden prompt."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if key:
        click.echo(f"\ncrun's key is read from {KEY_VARIABLE}.")
        return key
    click.echo("\nThe account's API key at crun. It is not shown, and is stored in Secrets Manager only.")
    key = click.prompt("crun's key", hide_input=True).strip()
    if not key or not key.isprintable() or " " in key:
        raise click.ClickException("the key must not contain spaces or control characters")
    return str(key)


def _answers(template: Template, current: dict[str, str]) -> dict[str, str]:
    """Returns the answers to the questions about parameters; Enter keeps the current value."""
    found: dict[str, str] = {}
    for each in QUESTIONS:
        if each.parameter not in template["Parameters"] or (each.needs and not found.get(each.needs)):
            continue
        default = current.get(each.parameter, str(template["Parameters"][each.parameter].get("Default", "")))
        answer = _ask(each.text, each.parameter, default)
        while problem := wrong(template, each.parameter, answer):
            click.echo(f"{problem}.", err=True)
            answer = click.prompt(each.parameter, default=default, show_default=bool(default)).strip()
        found[each.parameter] = answer
    return found


def _new_defaults(found: Upgrade) -> dict[str, str]:
    """Shows the defaults that an upgrade would not change, and asks whether to use the new ones."""
    if found.changes:
        table = Table("parameter", "your stack", "default then", "default now", title="Defaults that have changed")
        for each in found.changes:
            table.add_row(*map(Text, (each.parameter, each.current, each.before or "", each.now)))
        Console(width=_WIDTH if not Console().is_terminal else None, highlight=False).print(table)
    for name, value in found.new.items():
        click.echo(f"New: {name}. The default is {value or 'empty'}.")
    for name in found.removed:
        click.echo(f"Removed: {name}.")
    following = {each.parameter: each.now for each in found.changes if each.follows}
    if not following:
        return {}
    click.echo("\nA stack keeps its values; it gets a new default only when you accept it.")
    if click.confirm(f"Use the new defaults of {', '.join(following)}?", default=False):
        return following
    return {}


# -- AWS and SAM --------------------------------------------------------------------------------------------------


def _existing(stack_name: str, region: str) -> _Stack | None:
    cloudformation: Any = boto3.Session(region_name=region).client("cloudformation")
    found = described(cloudformation, stack_name)
    if found is None:
        return None
    if found["StackStatus"] not in _READY:
        status = found["StackStatus"]
        raise click.ClickException(
            f"{stack_name} is in {status}; python -m ops preflight --stack-name {stack_name} shows what to do"
        )
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
    parameters.pop(KEY_PARAMETER, None)  # AWS returns asterisks
    try:
        template = deployed_template(cloudformation, stack_name)
    except (ValueError, botocore.exceptions.ClientError):
        template = None
    return _Stack(parameters, template)


def _sam(*arguments: str) -> None:
    """Runs `sam` in this terminal. Raises ClickException when it fails or is not installed."""
    path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{Path(sys.executable).parent}"
    sam = shutil.which("sam", path=path)
    if sam is None:
        raise click.ClickException("sam is not installed: run make setup-deploy")
    environment = os.environ | {"PATH": path, "SAM_CLI_TELEMETRY": "0"}
    environment.pop(KEY_VARIABLE, None)
    code = subprocess.run([sam, *arguments], cwd=ROOT, env=environment, check=False).returncode  # noqa: S603
    if code:
        raise click.ClickException(f"sam {arguments[0]} failed with exit code {code}; the deployment stopped there")


def _build() -> None:
    for folder in (ROOT / "functions").rglob("__pycache__"):
        shutil.rmtree(folder)  # a function consists of its app.py alone
    _sam("build", "--template-file", str(ROOT / "template.yaml"))


def _sam_deploy(config: Config, overrides: dict[str, str], key: str | None) -> None:
    arguments = ["--config-file", str(config.file.resolve()), "--config-env", config.environment, "--confirm-changeset"]
    with secret_overrides(overrides, key) if key else nullcontext() as file:
        _sam("deploy", *arguments, *(("--parameter-overrides", file) if file else ()))


def _show_next_steps(stack_name: str, region: str) -> None:
    cloudformation: Any = boto3.Session(region_name=region).client("cloudformation")
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    click.echo(f"\nThe API's URL is {outputs.get('ApiUrl', 'the output ApiUrl')}. To create a key for a client, run:")
    click.echo(f"python -m ops client add --client-id acme --stack-name {stack_name}")
