"""``python -m ops erasure``: what crun was asked to delete, and what it has answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError

from likeness.domain.deletions import DeletionRequest, DeletionStatus
from likeness.domain.times import iso
from likeness.runtime.system import SystemClock
from ops.arguments import Matching, as_json
from ops.erasures import Entry, Erasures, OvertakenRecord, RefusedRecord, ids_in, letter
from ops.stack import Stack, reach, with_stack

_DAY_SECONDS = 86_400
#: The GDPR gives a month to answer a person (article 12(3)).
_DAYS_TO_DELETE = 30
#: A later day is probably a typing error.
_LONGEST_DAYS = 10 * 366
_TICKET = Matching(
    "number",
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._#/-]{0,63}"),
    "a ticket is 1 to 64 letters, digits and . _ # / - (no names, no addresses)",
)


class _Day(click.ParamType):
    """A UTC day as the epoch seconds of its start: in the ``past`` (today included), or after today."""

    name = "yyyy-mm-dd"

    def __init__(self, *, past: bool) -> None:
        self._past = past

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(value)):
                raise ValueError
            start = datetime.fromisoformat(str(value)).replace(tzinfo=UTC).timestamp()
        except ValueError:
            self.fail(f"{value} is not a day such as 2027-01-31", param, ctx)
        now = SystemClock().now()
        if self._past and start > now:
            self.fail(f"{value} is in the future", param, ctx)
        if not self._past and start <= now:
            self.fail(f"{value} is not after today ({str(iso(now))[:10]}, UTC)", param, ctx)
        if not self._past and start > now + _LONGEST_DAYS * _DAY_SECONDS:
            self.fail(f"{value} is more than ten years away", param, ctx)
        return start


_ids = click.argument("ids", nargs=-1)
_at = click.option("--at", type=_Day(past=True), help="The day on which it happened, in UTC.  [default: now]")
_ticket = click.option("--ticket", type=_TICKET, help="The number of crun's message. Clients see it in the tombstone.")


@click.group()
def erasure() -> None:
    """Record what crun was asked to delete after an erasure, and what it has answered.

    crun's API cannot delete groups and assets. Its support can. IDS are crun's ids, or our ids of an erased session or
    file, which stand for all ids that crun has of it.
    """


@erasure.command("list")
@click.option("--client-id", help="Only those of this client.")
@click.option("--status", type=click.Choice([each.value for each in DeletionStatus]), help="Filter by this status.")
@as_json
@with_stack
def list_requests(
    client_id: str | None, status: str | None, as_json: bool, stack_name: str, state_file: Path | None
) -> None:
    """Show every id that crun has of an erased session or file, and the state of its deletion there."""
    found = [
        each
        for each in Erasures(reach(stack_name, state_file)).entries()
        if client_id in (None, each.row.client_id) and status in (None, each.request.status)
    ]
    if as_json:
        click.echo(json.dumps({"deletion_requests": [each.view() for each in found]}, indent=2))
        return
    for each in found:
        row, request = each.row, each.request
        click.echo(
            f"{row.session_id}  {row.asset_id or '-':<30}  {request.kind}  {request.id}  {state_text(request)}"
            + ("" if row.erased_at else "  (the erasure is not complete: erase it again)")
        )


@erasure.command()
@_ids
@click.option("--letter", "letter_file", type=click.Path(path_type=Path), help="The ids in this letter of `report`.")
@_at
@click.option("--correct", is_flag=True, help="Take back a wrong record that crun has confirmed the deletion.")
@with_stack
def asked(
    ids: tuple[str, ...],
    letter_file: Path | None,
    at: float | None,
    correct: bool,
    stack_name: str,
    state_file: Path | None,
) -> None:
    """Record that crun was asked to delete IDS. A repetition keeps the first day."""
    names = [*ids, *(_from_letter(letter_file) if letter_file else ())]
    if not names:
        raise click.UsageError("give the IDS that crun was asked to delete, or the letter with --letter")
    erasures = Erasures(reach(stack_name, state_file))
    entries = _named(erasures, names)
    over = (DeletionStatus.ASKED, DeletionStatus.DONE)
    used = erasures.users(each.request.id for each in entries if each.request.status not in over)
    if used:
        raise click.ClickException("nothing was recorded\n" + "\n".join(_used_texts(used)))
    _record(erasures, entries, _change(DeletionRequest.asked, at, correct=correct))


@erasure.command()
@_ids
@click.option("--until", type=_Day(past=False), required=True, help="The first day on which crun can delete them.")
@_at
@_ticket
@with_stack
def refused(
    ids: tuple[str, ...],
    until: float,
    at: float | None,
    ticket: str | None,
    stack_name: str,
    state_file: Path | None,
) -> None:
    """Record that crun cannot delete IDS before a day. From then on, `report` asks again."""
    erasures = Erasures(reach(stack_name, state_file))
    entries = _named(erasures, ids)
    _record(erasures, entries, _change(DeletionRequest.refused, at, until=until, ticket=ticket))


@erasure.command()
@_ids
@_at
@_ticket
@click.option("--yes", is_flag=True, help="crun has confirmed it: do not ask.")
@with_stack
def done(
    ids: tuple[str, ...], at: float | None, ticket: str | None, yes: bool, stack_name: str, state_file: Path | None
) -> None:
    """Record that crun has confirmed the deletion of IDS."""
    erasures = Erasures(reach(stack_name, state_file))
    entries = _named(erasures, ids)
    if not yes:
        names = " ".join(dict.fromkeys(each.request.id for each in entries))
        click.confirm(f"Has crun confirmed that it has deleted {names}?", abort=True, err=True)
    _record(erasures, entries, _change(DeletionRequest.done, at, ticket=ticket))


@erasure.command()
@click.option("--client-id", help="Only those of this client.")
@click.option("--by", type=_Day(past=False), help="The last day for the deletion.  [default: in 30 days]")
@with_stack
def report(client_id: str | None, by: float | None, stack_name: str, state_file: Path | None) -> None:
    """Print the letter to crun's support: what to delete, why, and by when.

    It has the ids that crun was not asked to delete yet, and those whose refusal has ended. Nothing is recorded: send
    it, then run `asked --letter`.
    """
    stack = reach(stack_name, state_file)
    erasures, now = Erasures(stack), SystemClock().now()
    known = [each for each in erasures.entries() if client_id in (None, each.row.client_id)]
    wanted = [each for each in known if each.request.is_to_ask(now)]
    used = erasures.users(each.request.id for each in wanted if each.row.erased_at)
    for text in _used_texts(used):
        click.echo(text, err=True)
    for session_id in dict.fromkeys(each.row.session_id for each in wanted if each.row.erased_at is None):
        click.echo(f"left out: {session_id}: its erasure is not complete; run: session erase {session_id}", err=True)
    found = [each for each in wanted if each.row.erased_at and each.request.id not in used]
    if not found:
        click.echo("there is nothing to ask crun to delete", err=True)
        return
    click.echo(letter(found, by or now + _DAYS_TO_DELETE * _DAY_SECONDS, _sender(stack)), nl=False)


def state_text(request: DeletionRequest) -> str:
    """Returns the status of a request with its days."""
    until = f"refused until {_day(request.refused_until)}"
    text = {
        DeletionStatus.NOT_ASKED: "not asked",
        DeletionStatus.ASKED: f"asked on {_day(request.asked_at)}",
        DeletionStatus.REFUSED_UNTIL: f"{until} (asked on {_day(request.asked_at)})",
        DeletionStatus.DONE: f"done: crun confirmed it on {_day(request.done_at)}",
    }[request.status]
    return text + (f", ticket {request.ticket}" if request.ticket else "")


def _day(at: float | None) -> str:
    return (iso(at) or "")[:10]


def _change(
    transition: Callable[..., DeletionRequest], at: float | None, **options: str | float | bool | None
) -> Callable[[DeletionRequest], DeletionRequest]:
    now = SystemClock().now()
    return partial(transition, at=now if at is None else at, now=now, **options)


def _from_letter(file: Path) -> Sequence[str]:
    try:
        found = ids_in(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise click.BadParameter(f"{file} cannot be read", param_hint="--letter") from exc
    if not found:
        raise click.BadParameter(f"{file} contains no line such as '- group <id>'", param_hint="--letter")
    return found


def _named(erasures: Erasures, ids: Sequence[str]) -> list[Entry]:
    if not ids:
        raise click.UsageError("Missing argument 'IDS...'.")
    try:
        return erasures.named(ids, erasures.entries())
    except RefusedRecord as exc:
        raise click.ClickException(f"nothing was recorded\n{exc}") from exc


def _record(erasures: Erasures, entries: Sequence[Entry], change: Callable[[DeletionRequest], DeletionRequest]) -> None:
    try:
        after = erasures.record(entries, change)
    except RefusedRecord as exc:
        raise click.ClickException(f"nothing was recorded\n{exc}") from exc
    except (ClientError, OvertakenRecord) as exc:
        raise click.ClickException(f"perhaps only a part was recorded ({exc}); run the command again") from exc
    for name, before in {each.request.id: each.request for each in entries}.items():
        unchanged = "; unchanged" if after[name] == before else ""
        click.echo(f"{name}: {state_text(after[name])}{unchanged}")


def _used_texts(used: dict[str, str]) -> list[str]:
    return [
        f"left out: {name}: {user} uses it too, and is not erased; crun's deletion would end that use"
        for name, user in used.items()
    ]


def _sender(stack: Stack) -> str:
    """Returns the operator's name and contact from the stack's parameters, on two lines."""
    found = []
    for name in ("OperatorName", "OperatorContact"):
        try:
            found.append(stack.parameter(name))
        except (KeyError, ClientError):  # a local stack, or one that an earlier version has deployed
            continue
    return "\n".join(" ".join(each.split()) for each in found if each.strip())
