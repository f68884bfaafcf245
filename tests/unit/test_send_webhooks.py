"""Webhooks: recipients, signatures, retries, and the end of a delivery."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import boto3
import pytest
import time_machine
from moto import mock_aws
from standardwebhooks import Webhook, WebhookVerificationError

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.stream import read_change
from likeness.adapters.table.webhooks import DynamoWebhooks, webhook_item
from likeness.contracts.events import EVENT_TYPES
from likeness.contracts.webhooks import Announcement, Delivery, WebhookEvent, read_webhook_message
from likeness.domain.addresses import is_public
from likeness.domain.webhooks import (
    LONGEST_PAUSE_SECONDS,
    ROTATION_SECONDS,
    Endpoint,
    Retries,
    WebhookAnswer,
    fault_of_url,
    new_secret,
)
from likeness.errors import StorageUnavailable
from likeness.ports.notifications import Webhooks
from likeness.runtime import bootstrap
from likeness.steps.notifications.send_webhooks import Outcome, SendWebhooks
from tests.aws import inventory, isolated_aws_environment, make_table
from tests.event_schemas import SCHEMAS
from tests.functions import cold_start, invoke
from tests.template_file import ROOT, TEMPLATE
from tests.unit.fakes import FakeClock, FakeQueue, FakeWebhookPost, FakeWebhooks, NoCallbacks

NOW = 1_800_000_000.0
DEFAULT = Retries.of(
    TEMPLATE["Parameters"]["WebhookRetrySeconds"]["Default"], TEMPLATE["Parameters"]["WebhookTries"]["Default"]
)
#: Part of the URL and the secret, which must not be in any log.
MARK = "opens-something"
SECRET, OLD_SECRET = (new_secret(bytes([each]) * 32) for each in (1, 2))
EVENT = WebhookEvent(
    "likeness.asset.active",
    {"version": "1", "id": "evt_1", "time": "2027-01-15T08:00:00.000Z", "client_id": "acme", "status": "active"},
)


def endpoint(number: int = 1, **changes: Any) -> Endpoint:
    made = Endpoint("acme", f"whe_{number}", f"https://hooks.example/{MARK}/{number}", SECRET, NOW)
    return replace(made, **changes)


class Sending:
    """The step with fakes. Its clock is fixed at NOW, and it has no jitter."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.webhooks, self.queue, self.post, self.clock = (
            FakeWebhooks(),
            FakeQueue(),
            FakeWebhookPost(),
            FakeClock(NOW),
        )
        self.webhooks.add(*endpoints)
        self.step = SendWebhooks(self.webhooks, self.queue, self.post, self.clock, DEFAULT, lambda: 0.0, NoCallbacks())

    def deliver(self, tried: int = 1, to: str = "whe_1") -> Outcome:
        return self.step(Delivery(to, EVENT), tried)

    def answers(self, *answers: WebhookAnswer) -> None:
        self.post.answers = deque(answers)


# -- fan-out -----------------------------------------------------------------------------------------------------


def test_an_event_becomes_a_delivery_for_each_subscribed_endpoint() -> None:
    sending = Sending(
        endpoint(1),
        endpoint(2, event_types=("likeness.asset.active", "likeness.asset.failed")),
        endpoint(3, event_types=("likeness.asset.failed",)),
        endpoint(4, disabled_at=NOW, disabled_reason="gone"),
        endpoint(5, client_id="other"),
    )
    assert sending.step(Announcement(EVENT), 1) == Outcome("fanned_out")
    sent = [read_webhook_message(body) for body, _ in sending.queue.sent]
    assert sent == [Delivery("whe_1", EVENT), Delivery("whe_2", EVENT)]
    assert sending.post.posted == []


def test_a_message_holds_no_url_and_no_secret() -> None:
    sending = Sending(endpoint(previous_secret=OLD_SECRET, previous_until=NOW + 1))
    sending.step(Announcement(EVENT), 1)
    ((body, _),) = sending.queue.sent
    assert json.loads(body) == {
        "endpoint_id": "whe_1",
        "client_id": "acme",
        "event": {"type": EVENT.type, "timestamp": EVENT.data["time"], "data": dict(EVENT.data)},
    }


def test_an_event_of_a_client_without_endpoints_is_not_sent() -> None:
    sending = Sending()
    assert sending.step(Announcement(EVENT), 1) == Outcome("fanned_out")
    assert sending.queue.sent == []


# -- one delivery ------------------------------------------------------------------------------------------------


def test_the_receiver_gets_the_thin_payload_with_a_signature_that_the_library_verifies() -> None:
    sending = Sending(endpoint())
    assert sending.deliver() == Outcome("delivered", status=204)
    ((url, headers, body),) = sending.post.posted
    assert url == endpoint().url
    assert list(json.loads(body)) == ["type", "timestamp", "data"]
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", str(int(NOW)))
    with time_machine.travel(NOW, tick=False):
        assert Webhook(SECRET).verify(body, headers) == EVENT.payload
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body.replace("active", "failed"), headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD_SECRET).verify(body, headers)


def test_every_try_has_the_same_id_and_bytes_and_its_own_time() -> None:
    sending = Sending(endpoint())
    sending.answers(WebhookAnswer(500))
    for tried in (1, 2):
        sending.step(read_webhook_message(Delivery("whe_1", EVENT).to_json()), tried)
        sending.clock.at += 300
    (_, first, body), (_, second, again) = sending.post.posted
    assert (first["webhook-id"], body) == (second["webhook-id"], again)
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 300
    assert first["webhook-signature"] != second["webhook-signature"]


def test_both_secrets_sign_for_a_day_after_a_rotation() -> None:
    sending = Sending(endpoint(previous_secret=OLD_SECRET, previous_until=NOW + ROTATION_SECONDS))
    sending.deliver()
    sending.clock.at += ROTATION_SECONDS
    sending.deliver()
    (_, during, body), (_, after, _) = sending.post.posted
    assert len(during["webhook-signature"].split()) == 2
    assert len(after["webhook-signature"].split()) == 1
    with time_machine.travel(NOW, tick=False):
        for secret in (SECRET, OLD_SECRET):
            assert Webhook(secret).verify(body, during) == EVENT.payload


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    sending = Sending(endpoint())
    sending.answers(WebhookAnswer(status))
    assert sending.deliver() == Outcome("delivered", status=status)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        *((WebhookAnswer(each), "redirected") for each in (300, 301, 302, 303, 307, 308)),
        *((WebhookAnswer(each), "not_accepted") for each in (100, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503)),
        (WebhookAnswer(problem="timeout"), "timeout"),
        (WebhookAnswer(problem="private_address"), "private_address"),
        (WebhookAnswer(problem="tls"), "tls"),
    ],
)
def test_every_other_response_is_retried(answer: WebhookAnswer, word: str) -> None:
    sending = Sending(endpoint())
    sending.answers(answer)
    assert sending.deliver() == Outcome(word, 5, answer.status)
    assert sending.webhooks.endpoints["acme", "whe_1"].disabled_at is None


def test_410_disables_the_endpoint_and_ends_its_deliveries_without_an_error() -> None:
    sending = Sending(endpoint(1), endpoint(2))
    sending.answers(WebhookAnswer(410))
    assert sending.deliver() == Outcome("disabled", status=410)
    assert sending.deliver(2) == Outcome("disabled")
    found = sending.webhooks.endpoints["acme", "whe_1"]
    assert (found.disabled_at, found.disabled_reason) == (NOW, "gone")
    assert sending.deliver(to="whe_2") == Outcome("delivered", status=204)


def test_a_delivery_to_a_removed_endpoint_ends() -> None:
    sending = Sending()
    assert sending.deliver() == Outcome("removed")
    assert sending.post.posted == []


def test_a_delivery_never_goes_to_another_clients_endpoint() -> None:
    sending = Sending(endpoint(1, client_id="other"))
    assert sending.deliver() == Outcome("removed")
    assert sending.post.posted == []


def test_the_handler_in_the_documentation_works(monkeypatch: pytest.MonkeyPatch) -> None:
    snippet = (ROOT / "docs/webhooks.md").read_text().partition("```python\n")[2].partition("```")[0]
    known: set[str] = set()
    worked: list[Any] = []

    def is_new(event_id: str) -> bool:
        new = event_id not in known
        known.add(event_id)
        return new

    handler: dict[str, Any] = {"is_new": is_new, "work_later": worked.append}
    monkeypatch.setenv("LIKENESS_WEBHOOK_SECRET", SECRET)
    exec(snippet, handler)  # noqa: S102
    sending = Sending(endpoint())
    sending.deliver()
    ((_, headers, body),) = sending.post.posted
    with time_machine.travel(NOW, tick=False):
        assert [handler["receive"](headers, body.encode()) for _ in range(2)] == [204, 204]
        assert handler["receive"](headers, b"{}") == 400
    assert worked == [EVENT.payload]


# -- delays ------------------------------------------------------------------------------------------------------


def test_ten_tries_take_more_than_two_days() -> None:
    pauses = [DEFAULT.pause(tried, 0.0) for tried in range(1, 11)]
    assert pauses == [5, 300, 1800, 7200, 18000, 36000, 43000, 43000, 43000, 0]


@pytest.mark.parametrize("tried", range(1, 10))
def test_a_delay_has_jitter_and_is_within_the_limits_of_sqs(tried: int) -> None:
    longest, shortest = DEFAULT.pause(tried, 0.0), DEFAULT.pause(tried, 1.0)
    assert 0 < shortest < longest <= LONGEST_PAUSE_SECONDS < 43_200
    assert shortest >= round(longest * 0.8)


@pytest.mark.parametrize(
    ("asked", "pause"), [(0, 5), (3, 5), (60, 60), (86_400, LONGEST_PAUSE_SECONDS), (10**9, LONGEST_PAUSE_SECONDS)]
)
def test_retry_after_lengthens_a_delay_within_bounds(asked: int, pause: int) -> None:
    sending = Sending(endpoint())
    sending.answers(WebhookAnswer(503, asked))
    assert sending.deliver() == Outcome("not_accepted", pause, 503)


def test_there_is_no_delay_after_the_last_try() -> None:
    sending = Sending(endpoint())
    sending.answers(WebhookAnswer(503, 600))
    assert sending.deliver(10).pause == 0


@pytest.mark.parametrize("pauses", ["", "5,", "a", "5;6", "-1", "43001", "5,99999", "nan", "inf"])
def test_a_schedule_beyond_the_limits_of_sqs_fails_at_start(pauses: str) -> None:
    with pytest.raises(ValueError, match=r"pauses|could not convert"):
        Retries.of(pauses, 10)


# -- addresses and URLs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


PRIVATE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",  # noqa: S104
    "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001::1", "2001:db8::1", "100::1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "5f00::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/likeness?token=1",
        "https://hooks.example:8443",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/x",
        "https://xn--bcher-kva.example/",
    ],
)
def test_good_urls(url: str) -> None:
    assert fault_of_url(url, private=False) is None
    assert fault_of_url(url, private=True) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example/", "https"),
        ("ftp://hooks.example/", "https"),
        ("hooks.example", "https"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://:443/", "host"),
        ("https://user:password@hooks.example/", "user name"),
        ("https://hooks.example/#x", "fragment"),
        ("https://hooks.example/\n", "printable"),
        ("https://hooks.example/a b", "printable"),
        ("https://hooks.example\\@evil.example/", "printable"),
        ("https://bücher.example/", "printable"),
        ("https://hooks.example/" + "x" * 2048, "at most"),
        ("https://hooks.example:99999/", "valid URL"),
        ("https://[::1/", "valid URL"),
        ("https://localhost/", "private"),
        ("https://my.localhost/", "private"),
        ("https://127.0.0.1/", "private"),
        ("https://169.254.169.254/latest/meta-data/", "private"),
        ("https://[::1]/", "private"),
        ("https://[::ffff:10.0.0.1]/", "private"),
    ],
)
def test_bad_urls(url: str, why: str) -> None:
    assert why in str(fault_of_url(url, private=False))


def test_a_stack_on_one_machine_may_send_to_itself() -> None:
    assert fault_of_url("http://127.0.0.1:8000/x", private=True) is None
    assert fault_of_url("ftp://127.0.0.1/x", private=True)


# -- messages ----------------------------------------------------------------------------------------------------


POISON = (
    "", "{", "[]", "7", "null", "{}", "[" * 100_000, '{"detail-type": 1, "detail": {}}', '{"detail-type": "x"}',
    '{"detail-type": "x", "detail": {"id": "1", "time": "2"}}', '{"endpoint_id": "whe_1"}',
    '{"endpoint_id": "whe_1", "event": {"type": "x", "data": []}}',
    '{"endpoint_id": 7, "event": {"type": "x", "data": {"id": "1", "time": "2", "client_id": "c"}}}',
)  # fmt: skip


@pytest.mark.parametrize("body", POISON, ids=lambda body: body[:30])
def test_an_invalid_message_raises_a_value_error(body: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_webhook_message(body)


def test_fields_of_a_later_version_are_ignored() -> None:
    body = json.loads(Delivery("whe_1", EVENT).to_json()) | {"later": 1}
    assert read_webhook_message(json.dumps(body)) == Delivery("whe_1", EVENT)


def test_an_event_of_a_generation_is_logged_with_its_id() -> None:
    data = {
        "id": "evt_1",
        "time": "2027-01-15T08:00:00Z",
        "client_id": "acme",
        "generation_id": "gen_1",
        "session_ids": [],
    }
    message = read_webhook_message(json.dumps({"detail-type": "likeness.generation.succeeded", "detail": data}))
    assert message.ids == {"generation_id": "gen_1", "event_id": "evt_1"}
    assert isinstance(message, Announcement)
    assert json.loads(Delivery("whe_1", message.event).to_json())["event"]["data"] == data


def test_the_selectable_event_types_are_the_documented_ones() -> None:
    assert sorted(EVENT_TYPES) == sorted(SCHEMAS)


# -- storage -----------------------------------------------------------------------------------------------------


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with inventory("Table") as client:
        yield client


def test_a_stored_endpoint_is_read_back_unchanged(dynamodb: Any) -> None:
    webhooks: Webhooks = DynamoWebhooks(dynamodb, "Table")
    full = endpoint(2, event_types=("a", "b"), previous_secret=OLD_SECRET, previous_until=NOW + 1)
    for each in (endpoint(1), full, endpoint(3, client_id="acme-2")):
        dynamodb.put_item(TableName="Table", Item=webhook_item(each))
    assert webhooks.of("acme") == [endpoint(1), full]
    assert webhooks.find("acme", "whe_2") == full
    assert webhooks.find("acme-2", "whe_2") is None


def test_a_disabled_endpoint_keeps_its_first_time(dynamodb: Any) -> None:
    webhooks = DynamoWebhooks(dynamodb, "Table")
    dynamodb.put_item(TableName="Table", Item=webhook_item(endpoint()))
    webhooks.disable("acme", "whe_1", "gone", NOW)
    webhooks.disable("acme", "whe_1", "gone", NOW + 1)
    webhooks.disable("acme", "whe_2", "gone", NOW)
    (found,) = webhooks.of("acme")
    assert found == endpoint(disabled_at=NOW, disabled_reason="gone")


def test_the_stream_reader_has_no_access_to_endpoints() -> None:
    item = webhook_item(endpoint())
    written = {"Keys": {name: item[name] for name in ("pk", "sk")}, "NewImage": item, "SequenceNumber": "1"}
    assert read_change({"dynamodb": written}) is None
    assert not item["sk"]["S"].startswith(("SESSION", "ASSET#")), "the template's filter passes only these"


def test_endpoints_are_not_in_listings_of_sessions(dynamodb: Any) -> None:
    dynamodb.put_item(TableName="Table", Item=webhook_item(endpoint()))
    store = DynamoStore(dynamodb, "Table")
    assert store.list_sessions("acme", limit=10, cursor=None).sessions == []
    assert not {"client_id", "id", "asset_client_id"} & set(webhook_item(endpoint()))


# -- the function ------------------------------------------------------------------------------------------------


class Account:
    """The function in a separate account, with a receiver that returns scripted responses."""

    def __init__(self, app: Any, dynamodb: Any, sqs: Any, queue: str, dead: str) -> None:
        self.app, self.dynamodb, self.sqs, self.queue, self.dead = app, dynamodb, sqs, queue, dead
        self.post = FakeWebhookPost()
        app.send_webhooks = replace(app.send_webhooks, post=self.post, chance=lambda: 0.0)

    def receive(self) -> list[dict[str, Any]]:
        """Returns the messages that Lambda would receive from the queue now."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, AttributeNames=["All"])
        return [
            {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "attributes": each["Attributes"],
            }
            for each in found.get("Messages", [])
        ]

    def run(self, *records: dict[str, Any]) -> list[str]:
        """Runs the function. Returns the ids of the messages that failed."""
        answer = invoke(self.app, {"Records": list(records)})
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    def dead_letters(self) -> list[str]:
        found = self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10)
        return [each["Body"] for each in found.get("Messages", [])]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with isolated_aws_environment(), mock_aws():
        make_table("Table", "Table")
        sqs = boto3.client("sqs")
        queue, dead = (sqs.create_queue(QueueName=each)["QueueUrl"] for each in ("webhooks", "dead"))
        for name, value in {
            "TABLE_NAME": "Table",
            "UPLOAD_BUCKET_NAME": "uploads",
            "WEBHOOK_QUEUE_URL": queue,
            "WEBHOOK_DEAD_LETTER_QUEUE_URL": dead,
            "WEBHOOK_PRIVATE_ADDRESSES": "refused",
            "WEBHOOK_RETRY_SECONDS": "600",
            "WEBHOOK_TRIES": "10",
            "POWERTOOLS_METRICS_NAMESPACE": "Likeness",
            "POWERTOOLS_SERVICE_NAME": "likeness",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(bootstrap, "_clients", {})
        yield Account(cold_start("send_webhooks"), boto3.client("dynamodb"), sqs, queue, dead)


def keep(account: Account, *endpoints: Endpoint) -> None:
    for each in endpoints:
        account.dynamodb.put_item(TableName="Table", Item=webhook_item(each))


def test_an_event_is_delivered_through_the_queue_to_each_endpoint_separately(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keep(account, endpoint(1), endpoint(2))
    bus = {"detail-type": EVENT.type, "source": "likeness", "detail": dict(EVENT.data)}
    account.sqs.send_message(QueueUrl=account.queue, MessageBody=json.dumps(bus))
    (announcement,) = account.receive()
    assert account.run(announcement) == []
    account.sqs.delete_message(QueueUrl=account.queue, ReceiptHandle=announcement["receiptHandle"])
    deliveries = account.receive()
    account.post.answers = deque([WebhookAnswer(500)])
    assert account.run(*deliveries) == [deliveries[0]["messageId"]]
    assert [url for url, _, _ in account.post.posted] == [endpoint(1).url, endpoint(2).url]
    logged = [vars(each) for each in caplog.records if each.message == "webhook"]
    assert [(each["outcome"], each["try"]) for each in logged] == [
        ("fanned_out", 1),
        ("not_accepted", 1),
        ("delivered", 1),
    ]
    assert [each.get("endpoint_id") for each in logged] == [None, "whe_1", "whe_2"]
    assert MARK not in str([vars(each) for each in caplog.records])
    assert "whsec_" not in str([vars(each) for each in caplog.records])


def test_a_failed_message_is_hidden_for_its_delay(account: Account) -> None:
    keep(account, endpoint())
    account.post.answers = deque([WebhookAnswer(500)])
    with time_machine.travel(NOW, tick=False) as clock:
        account.sqs.send_message(QueueUrl=account.queue, MessageBody=Delivery("whe_1", EVENT).to_json())
        (record,) = account.receive()
        assert account.run(record) == [record["messageId"]]
        clock.shift(590)
        assert account.receive() == []
        clock.shift(20)
        (again,) = account.receive()
        assert again["attributes"]["ApproximateReceiveCount"] == "2"
        assert account.run(again) == []
    (_, first, body), (_, second, bytes_again) = account.post.posted
    assert (first["webhook-id"], body) == (second["webhook-id"], bytes_again)


def test_a_message_that_cannot_be_hidden_is_redelivered(account: Account) -> None:
    keep(account, endpoint())
    account.post.answers = deque([WebhookAnswer(500)])
    stale = {
        "messageId": "1",
        "receiptHandle": "of another queue",
        "body": Delivery("whe_1", EVENT).to_json(),
        "attributes": {"ApproximateReceiveCount": "1"},
    }
    assert account.run(stale) == ["1"]


def test_only_poison_messages_go_to_the_dead_letters(account: Account) -> None:
    keep(account, endpoint())
    good = Delivery("whe_1", EVENT).to_json()
    for body in ("{", good, "{}"):
        account.sqs.send_message(QueueUrl=account.queue, MessageBody=body)
    assert account.run(*account.receive()) == []
    assert len(account.post.posted) == 1
    assert sorted(account.dead_letters()) == ["{", "{}"]


def test_a_message_waits_during_an_outage_of_aws(account: Account) -> None:
    unavailable = FakeWebhooks(away=True)
    account.app.send_webhooks = replace(account.app.send_webhooks, webhooks=unavailable)
    account.sqs.send_message(QueueUrl=account.queue, MessageBody=Delivery("whe_1", EVENT).to_json())
    (record,) = account.receive()
    record["attributes"]["ApproximateReceiveCount"] = "7"
    assert account.run(record) == [record["messageId"]]
    assert account.dead_letters() == []
    with pytest.raises(StorageUnavailable):
        account.app.send_webhooks(Delivery("whe_1", EVENT), 7)


@pytest.mark.parametrize(("tried", "given_up"), [(1, False), (2, False), (3, True)])
def test_an_internal_error_gets_three_tries(
    account: Account, caplog: pytest.LogCaptureFixture, tried: int, given_up: bool
) -> None:
    def broken(url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        raise RuntimeError(url)

    keep(account, endpoint())
    account.app.send_webhooks = replace(account.app.send_webhooks, post=broken)
    body = Delivery("whe_1", EVENT).to_json()
    account.sqs.send_message(QueueUrl=account.queue, MessageBody=body)
    (record,) = account.receive()
    record["attributes"]["ApproximateReceiveCount"] = str(tried)
    assert bool(account.run(record)) is not given_up
    assert account.dead_letters() == ([body] if given_up else [])
    assert MARK not in str([vars(each) for each in caplog.records])


def test_the_event_file_holds_an_announcement_and_a_delivery(account: Account) -> None:
    keep(account, replace(endpoint(), id="whe_01ARZ3NDEKTSV4RRFFQ69G5FAY"))
    records = json.loads((ROOT / "events/send_webhooks.json").read_text())["Records"]
    assert account.run(*records) == []
    ((_, headers, _),) = account.post.posted
    (fanned_out,) = account.receive()
    assert fanned_out["body"] == records[1]["body"]
    assert headers["webhook-id"] == json.loads(records[0]["body"])["detail"]["id"]


def test_a_redelivered_message_is_sent_again_with_the_same_id(account: Account) -> None:
    keep(account, endpoint())
    account.sqs.send_message(QueueUrl=account.queue, MessageBody=Delivery("whe_1", EVENT).to_json())
    (record,) = account.receive()
    assert [account.run(record) for _ in range(2)] == [[], []]
    assert [headers["webhook-id"] for _, headers, _ in account.post.posted] == ["evt_1", "evt_1"]
