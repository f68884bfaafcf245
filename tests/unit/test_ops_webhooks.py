"""Webhook endpoints: what the operator's commands store, show, refuse and send to the queue."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from click.testing import CliRunner

from likeness.contracts.webhooks import Delivery, Resumption, WebhookEvent, concerns, read_webhook_message
from likeness.domain.webhooks import MAX_ENDPOINTS
from ops.cli import main
from ops.client_keys import ClientKeys
from ops.redrive import Redriven, redrive_some
from ops.webhooks import Webhooks
from tests.aws import inventory

TABLE = "inventory"
URL = "https://hooks.acme.example/likeness/opens-something?token=1"


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with inventory(TABLE) as client:
        ClientKeys(client, TABLE).add("acme")
        yield client


@pytest.fixture
def webhooks(dynamodb: Any) -> Webhooks:
    return Webhooks(dynamodb, TABLE, private=False)


def test_an_endpoint_has_a_secret_of_32_random_bytes_and_an_id(webhooks: Webhooks) -> None:
    first, second = (webhooks.add("acme", URL) for _ in range(2))
    assert re.fullmatch(r"whe_[0-9A-HJKMNP-TV-Z]{26}", first.id)
    assert first.secret.startswith("whsec_")
    assert len(base64.b64decode(first.secret.removeprefix("whsec_"))) == 32
    assert first.secret != second.secret
    assert list(webhooks.known()) == [first, second]


@pytest.mark.parametrize(
    ("client_id", "url", "kinds", "why"),
    [
        ("acme", "http://hooks.acme.example/", (), "https://"),
        ("acme", "https://10.0.0.1/", (), "private"),
        ("acme", "hooks", (), "https://"),
        ("nobody", URL, (), "no client has the id 'nobody'"),
        ("acme", URL, ("likeness.asset.actve",), "unknown event type 'likeness.asset.actve'"),
    ],
)
def test_an_invalid_endpoint_is_refused_with_the_reason(
    webhooks: Webhooks, client_id: str, url: str, kinds: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        webhooks.add(client_id, url, kinds)
    assert list(webhooks.known("acme")) == []


def test_a_client_has_a_maximum_number_of_endpoints(webhooks: Webhooks) -> None:
    for _ in range(MAX_ENDPOINTS):
        webhooks.add("acme", URL)
    with pytest.raises(ValueError, match="remove one first"):
        webhooks.add("acme", URL)


def test_a_rotation_keeps_the_current_secret_for_a_day(webhooks: Webhooks) -> None:
    made = webhooks.add("acme", URL, ["likeness.asset.active"])
    rotated = webhooks.rotate(made.id)
    (found,) = webhooks.known("acme")
    assert found == rotated
    assert (found.url, found.event_types) == (made.url, made.event_types)
    assert found.secret != made.secret == found.previous_secret
    assert found.previous_until is not None
    assert found.secrets(found.previous_until - 1) == (found.secret, made.secret)
    assert found.secrets(found.previous_until) == (found.secret,)


def test_a_disabled_endpoint_is_enabled_again(webhooks: Webhooks) -> None:
    made = webhooks.add("acme", URL)
    webhooks._read.disable("acme", made.id, "gone", 1_800_000_000.0)
    with pytest.raises(ValueError, match="is disabled"):
        webhooks.test_delivery(made.id)
    resumption = webhooks.enable(made.id)
    assert resumption == Resumption(made.id, "acme", resumption.id)
    assert webhooks.find(made.id) == replace(made, resumption=resumption.id)


def test_a_paused_endpoint_is_enabled_again_and_only_the_last_message_sends_what_waits(
    webhooks: Webhooks,
) -> None:
    made, stored = webhooks.add("acme", URL), webhooks._read
    stored.failed(made, 1_800_000_000.0, "503")
    assert stored.try_alone(made, 1_800_000_000.0)
    assert stored.pause(made, 1_800_000_000.0, "evt_1", 1_800_007_200.0, "503")
    waits = WebhookEvent("likeness.asset.active", {"id": "evt_1", "time": "now", "client_id": "acme"}).waiting
    stored.keep(made, waits, 1_800_007_200.0)
    assert webhooks.waiting(made) == 1
    first, second = (webhooks.enable(made.id) for _ in range(2))
    assert webhooks.find(made.id) == replace(made, resumption=second.id)
    assert first.id != second.id
    assert stored.waiting(made, 9) == [waits], "until the queue's consumer has sent it"


def test_a_removed_endpoint_is_not_found(webhooks: Webhooks) -> None:
    made, kept = webhooks.add("acme", URL), webhooks.add("acme", URL)
    webhooks.remove(made.id)
    assert list(webhooks.known()) == [kept]
    for act in (webhooks.remove, webhooks.enable, webhooks.rotate, webhooks.test_delivery):
        with pytest.raises(ValueError, match="no endpoint has the id"):
            act(made.id)


def test_a_test_delivery_is_a_message_of_the_queue(webhooks: Webhooks) -> None:
    made = webhooks.add("acme", URL, ["likeness.asset.active"])
    first, second = (webhooks.test_delivery(made.id) for _ in range(2))
    assert read_webhook_message(first.to_json()) == first
    assert (first.endpoint_id, first.event.type) == (made.id, "likeness.webhook.test")
    assert first.event.id != second.event.id
    assert "." not in first.event.id, "dots are the separators of the signed text"


def test_only_the_dead_letters_of_one_endpoint_are_replayed(dynamodb: Any) -> None:
    sqs = boto3.client("sqs")
    dead, queue = (sqs.create_queue(QueueName=each)["QueueUrl"] for each in ("dead", "webhooks"))
    event = WebhookEvent("likeness.asset.active", {"id": "evt_1", "time": "now", "client_id": "acme"})
    mine, other = (Delivery(each, event).to_json() for each in ("whe_1", "whe_2"))
    resumption = Resumption("whe_1", "acme", "evt_1").to_json()
    for body in (mine, other, "{", mine, resumption):
        sqs.send_message(QueueUrl=dead, MessageBody=body)
    assert redrive_some(sqs, dead, queue, lambda body: concerns(body, "whe_1")) == Redriven(3, 2)
    back = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert [each["Body"] for each in back] == [mine, mine, resumption]


@pytest.fixture
def ops(dynamodb: Any) -> Callable[..., str]:
    """Runs a command against a stack that has only the table and the webhook queue."""
    template = {
        "Parameters": {"WebhookPrivateAddresses": {"Type": "String", "Default": "refused"}},
        "Resources": {"WebhookQueue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"TableName": {"Value": TABLE}},
    }
    boto3.client("cloudformation").create_stack(StackName="likeness", TemplateBody=json.dumps(template))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(main, ["webhook", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_the_list_shows_pauses_and_waiting_deliveries_and_enable_sends_them(
    ops: Callable[..., str], webhooks: Webhooks
) -> None:
    made, stored = webhooks.add("acme", URL), webhooks._read
    assert "  enabled  all  " in ops("list")
    stored.failed(made, 1_800_000_000.0, "503")
    assert "  failing since 2027-01-15T08:00:00Z  all  " in ops("list")
    stored.pause(made, 1_800_000_000.0, "evt_1", 1_800_007_200.0, "503")
    for number in range(2):
        event = WebhookEvent("likeness.asset.active", {"id": f"evt_{number}", "time": "now", "client_id": "acme"})
        stored.keep(made, event.waiting, 1_800_007_200.0)
    state = "paused 2027-01-15T10:00:00Z (failing since 2027-01-15T08:00:00Z), 2 waiting"
    assert f"  {state}  all  " in ops("list")
    assert ops("enable", "--endpoint", made.id) == f"{made.id} is enabled; waiting deliveries are sent, oldest first\n"
    assert "  enabled, 2 waiting  all  " in ops("list")
    sqs = boto3.client("sqs")
    (queue,) = sqs.list_queues()["QueueUrls"]
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert read_webhook_message(message["Body"]) == Resumption(made.id, "acme", webhooks.find(made.id).resumption or "")
