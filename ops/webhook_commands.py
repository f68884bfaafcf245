"""``python -m ops webhook``: manages the endpoints of clients' webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from likeness.contracts.events import EVENT_TYPES
from likeness.contracts.views import iso
from likeness.contracts.webhooks import Delivery, Resumption, concerns
from likeness.domain.webhooks import Endpoint
from ops.redrive import redrive_queue, redrive_some
from ops.stack import Stack, reach, with_stack
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
