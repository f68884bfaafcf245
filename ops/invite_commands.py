"""``python -m ops invite``: invites people from a CSV file, and renews or revokes one invite link.

These commands call the API with a client key, like any other program of that client.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import requests

from likeness_client import Client
from likeness_client.errors import CredentialError, LikenessError
from likeness_client.transport import Retry, Transport
from ops.arguments import SESSION
from ops.invites import Invited, UnfitFile, invite, read_people, write_links
from ops.stack import api_url, with_stack

URL_VARIABLE = "LIKENESS_API_URL"
KEY_VARIABLE = "LIKENESS_API_KEY"
_TIMEOUT = (5.0, 35.0)
#: For each line: the API may be busy, or away, for five minutes.
_RETRY = Retry(attempts=40, longest_seconds=20.0, budget_seconds=300.0)

_where = [
    click.option(
        "--key-file", type=click.Path(path_type=Path), help=f"A file with the client key, not {KEY_VARIABLE}."
    ),
    click.option("--api-url", envvar=URL_VARIABLE, help=f"The API's URL, or {URL_VARIABLE}. By default, the stack's."),
]


def _with_api(command: Any) -> Any:
    """Adds the options that find the API and the key. The key is never an argument, which other users could read."""
    for option in reversed(_where):
        command = option(command)
    return with_stack(command)


@click.group(name="invite", invoke_without_command=True)
@click.option("--csv", "people", type=click.Path(path_type=Path), help="Invite the people in this file.")
@click.option("--result", type=click.Path(path_type=Path), help="The file for the links.  [default: NAME.links.csv]")
@click.option("--overwrite", is_flag=True, help="Replace the result file if it exists.")
@_with_api
@click.pass_context
def invite_people(
    context: click.Context,
    people: Path | None,
    result: Path | None,
    overwrite: bool,
    key_file: Path | None,
    api_url: str | None,
    stack_name: str,
    state_file: Path | None,
) -> None:
    """Invite people: a batch from a CSV file, or a new link for one session.

    The first line of the file names its columns: reference (required), language (zh, en or zh-Hant), return_url, and
    requests, the files to ask for: "front:Image; voice:Audio?:Say your name" (with ? a file is optional; a hint may
    follow). At most 200 people; UTF-8. The links are written to the result file only.

    Nothing is created unless every line can be used. Run the same command again, within a day, after an interruption:
    a line that has a session already gets the same link.
    """
    if context.invoked_subcommand is not None:
        if people or result or overwrite:
            raise click.UsageError(f"--csv, --result and --overwrite are not options of {context.invoked_subcommand}")
        return
    if people is None:
        click.echo(context.get_help())
        return
    _invite_all(
        people, result or people.with_suffix(".links.csv"), overwrite, (api_url, key_file, stack_name, state_file)
    )


def _invite_all(people: Path, result: Path, overwrite: bool, where: tuple[Any, ...]) -> None:
    if result.exists() and not overwrite:
        raise click.ClickException(f"{result} exists already; use another --result, or --overwrite")
    if not os.access(result.parent, os.W_OK):
        raise click.ClickException(f"{result.parent} is not a folder that can be written to")
    try:
        found = read_people(people.read_bytes())
    except OSError as exc:
        raise click.ClickException(f"{people} cannot be read: {exc.strerror}") from exc
    except UnfitFile as exc:
        for fault in exc.faults:
            click.echo(f"{people}: {fault}", err=True)
        raise click.ClickException("nothing was created") from exc
    url, key = _api(*where)
    done: list[Invited] = []
    with requests.Session() as http:
        transport = Transport(url, key, http, _TIMEOUT, _RETRY, "likeness-ops")
        try:
            with click.progressbar(
                invite(transport, found), length=len(found), file=click.get_text_stream("stderr")
            ) as bar:
                done.extend(bar)
        except LikenessError as exc:
            again = "" if isinstance(exc, CredentialError) else "; run the same command again within a day to continue"
            raise click.ClickException(f"{len(done)} of {len(found)} people were invited: {exc}{again}") from exc
    write_links(result, done, overwrite=overwrite)
    refused = [each for each in done if each.session is None]
    for each in refused:
        click.echo(f"{people}: line {each.person.line}: {each.problem}", err=True)
    click.echo(f"{len(done) - len(refused)} of {len(done)} people were invited; the links are in {result}")
    if refused:
        raise click.ClickException("correct these lines and run the command again with --overwrite")


@invite_people.command()
@click.argument("session_id", type=SESSION)
@_with_api
def renew(session_id: str, **where: Any) -> None:
    """Create a new invite link and print it once. Earlier links stop working."""
    click.echo(_with_client(lambda client: client.renew_invite(session_id).invite_url, **where))


@invite_people.command()
@click.argument("session_id", type=SESSION)
@_with_api
def revoke(session_id: str, **where: Any) -> None:
    """Revoke the invite link without a new one. Can be repeated."""
    _with_client(lambda client: client.revoke_invite(session_id), **where)
    click.echo(f"the invite links of {session_id} are revoked")


def _with_client(
    call: Callable[[Client], Any],
    *,
    api_url: str | None,
    key_file: Path | None,
    stack_name: str,
    state_file: Path | None,
) -> Any:
    url, key = _api(api_url, key_file, stack_name, state_file)
    try:
        with Client(url, key) as client:
            return call(client)
    except LikenessError as exc:
        raise click.ClickException(str(exc)) from exc


def _api(url: str | None, key_file: Path | None, stack_name: str, state_file: Path | None) -> tuple[str, str]:
    """Returns the API's URL and the client key: from a file, the environment, or a hidden prompt."""
    if key_file:
        try:
            key = key_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise click.ClickException(f"{key_file} cannot be read") from exc
    else:
        key = os.environ.get(KEY_VARIABLE, "").strip() or click.prompt("client key", hide_input=True, err=True).strip()
    if not key.startswith("lk_") or not key.isascii() or not key.isprintable() or " " in key:
        raise click.ClickException("this is not a client key: one begins with lk_ (see `client add`)")
    return url or api_url(stack_name, state_file), key
