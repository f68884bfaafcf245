"""``python -m ops webhook``: manages the endpoints of clients' webhooks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import click

from likeness.contracts.events import EVENT_TYPES
from likeness.contracts.webhooks import Delivery, Resumption, concerns
from likeness.domain.times import iso
from likeness.domain.webhooks import Endpoint
from ops.redrive import redrive_queue, redrive_some
from ops.stack import Stack, reach, with_stack
from ops.webhook_listen import Kept, Listener, Received, endpoints, forward
from ops.webhooks import MAX_COUNTED, Webhooks


@click.group()
def webhook() -> None:
    """Manage webhook endpoints, to which a client's events are sent, signed."""


_endpoint = click.option("--endpoint", required=True, help="The endpoint's id (whe_…), from `webhook list`.")


def _webhooks(stack: Stack) -> Webhooks:
    allowed = stack.parameter("WebhookPrivateAddresses") == "allowed"
    return Webhooks(stack.client("dynamodb"), stack.outputs["TableName"], private=allowed)


def _put(stack: Stack, message: Delivery | Resumption) -> None:
    stack.client("sqs").send_message(QueueUrl=stack.resource("WebhookQueue"), MessageBody=message.to_json())


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc


@webhook.command()
@click.option("--client-id", required=True, help="The client of the events.")
@click.option("--url", required=True, help="The URL (https://…) that receives them.")
@click.option("--event-type", "event_types", multiple=True, help=f"One of {', '.join(EVENT_TYPES)}. Repeatable.")
@with_stack
def add(client_id: str, url: str, event_types: tuple[str, ...], stack_name: str, state_file: Path | None) -> None:
    """Create an endpoint for all events, or for the given types. Print its id and its secret, which is shown once."""
    with _in_one_line():
        made = _webhooks(reach(stack_name, state_file)).add(client_id, url, event_types)
    click.echo(f"{made.id}\n{made.secret}")


@webhook.command("list")
@click.option("--client-id", help="List the endpoints of this client only.")
@with_stack
def list_endpoints(client_id: str | None, stack_name: str, state_file: Path | None) -> None:
    """Show every endpoint without its secret. Of the URL, which may contain a secret too, only the host is shown."""
    webhooks = _webhooks(reach(stack_name, state_file))
    for each in webhooks.known(client_id):
        state = _state(each)
        found = webhooks.waiting(each)
        if found:
            state += f", {found}{' or more' if found == MAX_COUNTED else ''} waiting"
        kinds = " ".join(each.event_types) or "all"
        click.echo(f"{each.id}  {each.client_id:<32}  {iso(each.created_at)}  {state}  {kinds}  {each.host}")


def _state(endpoint: Endpoint) -> str:
    if endpoint.disabled_at is not None:
        return f"disabled {iso(endpoint.disabled_at)} ({endpoint.disabled_reason})"
    if endpoint.failing_since is None:
        return "enabled"
    failing = f"failing since {iso(endpoint.failing_since)}"
    return failing if endpoint.paused_at is None else f"paused {iso(endpoint.paused_at)} ({failing})"


@webhook.command()
@_endpoint
@with_stack
def remove(endpoint: str, stack_name: str, state_file: Path | None) -> None:
    """Remove an endpoint. Its pending deliveries are dropped."""
    with _in_one_line():
        _webhooks(reach(stack_name, state_file)).remove(endpoint)
    click.echo(f"{endpoint} is removed")


@webhook.command()
@_endpoint
@with_stack
def enable(endpoint: str, stack_name: str, state_file: Path | None) -> None:
    """Enable a disabled or paused endpoint, and send its waiting deliveries, oldest first. Safe to run twice."""
    stack = reach(stack_name, state_file)
    with _in_one_line():
        resumption = _webhooks(stack).enable(endpoint)
    _put(stack, resumption)
    click.echo(f"{endpoint} is enabled; waiting deliveries are sent, oldest first")


@webhook.command()
@_endpoint
@with_stack
def rotate(endpoint: str, stack_name: str, state_file: Path | None) -> None:
    """Create a new secret and print it once. For a day, the current secret signs too."""
    with _in_one_line():
        click.echo(_webhooks(reach(stack_name, state_file)).rotate(endpoint).secret)


@webhook.command()
@_endpoint
@with_stack
def test(endpoint: str, stack_name: str, state_file: Path | None) -> None:
    """Send a `likeness.webhook.test` event, like any other event."""
    stack = reach(stack_name, state_file)
    with _in_one_line():
        delivery = _webhooks(stack).test_delivery(endpoint)
    _put(stack, delivery)
    click.echo(f"{delivery.event.id} is queued")


@webhook.command()
@click.option("--endpoint", help="Only deliveries to this endpoint.")
@with_stack
def replay(endpoint: str | None, stack_name: str, state_file: Path | None) -> None:
    """Redrive dead letters to their queue, after the receiver has been fixed."""
    stack = reach(stack_name, state_file)
    sqs, dead, queue = stack.client("sqs"), stack.resource("WebhookDeadLetterQueue"), stack.resource("WebhookQueue")
    if endpoint is None:
        click.echo(f"webhook: {redrive_queue(sqs, dead, queue).redriven} redriven")
        return
    found = redrive_some(sqs, dead, queue, lambda body: concerns(body, endpoint))
    click.echo(f"webhook: {found.redriven} redriven, {found.left} for other endpoints left")


def _url(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise click.BadParameter("must be a URL such as http://127.0.0.1:3000/hooks")
    return value


@webhook.command()
@click.option("--forward", "url", callback=_url, help="Post each event to this URL, with its body and signature.")
@click.option("--replay", help="Send a kept event again and end: evt_…, last, or 'last N'. Needs --forward.")
@click.option("--secret", is_flag=True, help="Print the secret with which your server verifies the events, and end.")
@click.option("--client-id", help="Only the events of this client. By default those of every client that has a key.")
@click.option("--event-type", "event_types", multiple=True, help="Only events of this type. Repeatable.")
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    default=Path(".local/stack.json"),
    show_default=True,
    help="The local stack with this state file.",
)
def listen(
    url: str | None,
    replay: str | None,
    secret: bool,
    client_id: str | None,
    event_types: tuple[str, ...],
    state_file: Path,
) -> None:
    """Show and forward the webhooks of a local stack, until Ctrl-C.

    Registers an endpoint on this machine, and removes it at the end. Prints the time, type and id of each event, and
    the status of the forward. Every event counts as delivered: if your server has refused one, send it with --replay.
    """
    kept = Kept(state_file.with_name(f"{state_file.stem}-webhooks.json"))
    if secret:
        kept.save()
        click.echo(kept.secret)
        return
    if replay is not None:
        if url is None:
            raise click.UsageError("--replay needs --forward")
        with _in_one_line():
            chosen = kept.chosen(replay)
        for each in chosen:
            _show(each, forward(each.signed_again(kept.secret), url))
        return
    webhooks = _webhooks(reach("", state_file))
    clients = [client_id] if client_id else webhooks.clients()
    if not clients:
        raise click.ClickException("the stack has no client: `client add` creates its first key")
    # The terminal was closed, or the process was asked to end: the endpoint is removed then, too. A process that a
    # script has started in the background ignores SIGINT unless it has a handler.
    before = [(each, signal.signal(each, _interrupt)) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    try:
        with (
            _in_one_line(),
            Listener(kept.secret) as listener,
            endpoints(webhooks, kept, clients, listener.url, event_types),
        ):
            click.echo(f"listening to the events of {', '.join(clients)}; Ctrl-C ends", err=True)
            for event in listener.events():
                kept.add(event)
                _show(event, forward(event, url) if url else None)
    except KeyboardInterrupt:
        click.echo("the endpoint is removed", err=True)
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(event: Received, status: str | None) -> None:
    now = datetime.now(UTC).strftime("%H:%M:%SZ")
    click.echo(f"{now}  {event.type:<32}  {event.id}" + (f"  {status}" if status else ""))
