"""What a client sees of its keys and webhook endpoints, and the test and the replay of an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from likeness.adapters.table.webhooks import DynamoWebhooks
from likeness.contracts.integration import make_test_delivery
from likeness.contracts.webhooks import Delivery, read_webhook_message
from likeness.domain.webhooks import Endpoint
from ops.client_keys import ClientKeys
from ops.webhooks import Webhooks
from tests.functions import cold_start
from tests.unit.api_harness import Answer, ApiHarness, service

NOW = 1_800_000_000.0


@dataclass
class Client:
    """A client's requests to the function, and the queues behind it."""

    api: ApiHarness
    client_id: str

    def __call__(self, method: str, path: str, webhook_id: str = "", **authorizer: str) -> Answer:
        context = {"client_id": self.client_id, "session_id": ""} | authorizer
        api = ApiHarness(self.api.apps, self.api.store, context)
        parameters = {"webhook_id": webhook_id} if webhook_id else None
        return api.request(
            "manage_integration", method, path, path.format(webhook_id=webhook_id), parameters=parameters
        )


@pytest.fixture
def account() -> Iterator[ApiHarness]:
    with service() as running:
        running.apps["manage_integration"] = cold_start("manage_integration")
        yield running


@pytest.fixture
def acme(account: ApiHarness) -> Client:
    return Client(account, "acme")


@pytest.fixture
def keys(account: ApiHarness) -> ClientKeys:
    made = ClientKeys(boto3.client("dynamodb"), "Table")
    made.add("acme", ["https://app.example.com"])
    made.add("other")
    return made


@pytest.fixture
def endpoint(keys: ClientKeys) -> Endpoint:
    webhooks = Webhooks(boto3.client("dynamodb"), "Table", private=False)
    webhooks.add("other", "https://other.example.com/?token=of-the-other")
    return webhooks.add("acme", "https://app.example.com:8443/hooks/likeness/XbpWqRtYuIoPaSdF?token=a-secret")


def queue(name: str) -> Any:
    return boto3.resource("sqs").get_queue_by_name(QueueName=name)


def bodies(name: str) -> list[str]:
    return [each.body for each in queue(name).receive_messages(MaxNumberOfMessages=10, VisibilityTimeout=0)]


def test_a_client_lists_its_own_keys_without_the_keys(acme: Client, keys: ClientKeys) -> None:
    key = keys.add("acme")
    # Both were created within a second, so their order is open.
    old, new = sorted(keys_of(acme), key=lambda each: each["return_origins"], reverse=True)
    assert [each["return_origins"] for each in (old, new)] == [["https://app.example.com"], []]
    keys.revoke(old["id"])
    assert {each["id"]: bool(each["revoked_at"]) for each in keys_of(acme)} == {old["id"]: True, new["id"]: False}
    assert key not in acme("GET", "/client-keys").body
    assert set(new) == {"id", "created_at", "revoked_at", "return_origins"}


def keys_of(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client("GET", "/client-keys").json["keys"]
    return found


def test_an_endpoint_is_shown_without_its_secret_and_its_query(acme: Client, endpoint: Endpoint) -> None:
    answer = acme("GET", "/webhooks")
    (shown,) = answer.json["webhooks"]
    assert (shown["id"], shown["url"], shown["state"]) == (
        endpoint.id, "https://app.example.com:8443/hooks/likeness/XbpW…", "enabled",
    )  # fmt: skip
    assert (shown["since"], shown["last_failure"], shown["event_types"]) == (None, None, [])
    assert not [
        each for each in (endpoint.secret, "a-secret", "token", "whsec_", "qRtYuIoPaSdF") if each in answer.body
    ]


def test_the_state_of_an_endpoint_is_shown_with_its_start_and_the_last_failure(
    acme: Client, endpoint: Endpoint
) -> None:
    stored = DynamoWebhooks(boto3.client("dynamodb"), "Table")
    found = []
    stored.failed(endpoint, NOW, "503")
    found += acme("GET", "/webhooks").json["webhooks"]
    stored.pause(endpoint, NOW, "evt_1", NOW + 7200, "timeout")
    found += acme("GET", "/webhooks").json["webhooks"]
    stored.disable("acme", endpoint.id, "gone", NOW + 9000)
    found += acme("GET", "/webhooks").json["webhooks"]
    assert [(each["state"], each["since"][11:16], each["last_failure"]) for each in found] == [
        ("failing", "08:00", "503"), ("paused", "10:00", "timeout"), ("disabled", "10:30", "410"),
    ]  # fmt: skip
    for what in ("test", "replay"):
        refused = acme("POST", f"/webhooks/{{webhook_id}}/{what}", endpoint.id)
        assert (refused.status, refused.json["code"]) == (409, "webhook_disabled")
    assert bodies("webhooks") == []


def test_a_test_event_is_queued(acme: Client, endpoint: Endpoint) -> None:
    answer = acme("POST", "/webhooks/{webhook_id}/test", endpoint.id)
    assert answer.status == 202
    (message,) = map(read_webhook_message, bodies("webhooks"))
    assert isinstance(message, Delivery)
    assert (message.endpoint_id, message.type) == (endpoint.id, "likeness.webhook.test")
    assert message.event.id == answer.json["event_id"]


def test_only_the_endpoints_own_dead_letters_are_replayed(acme: Client, endpoint: Endpoint) -> None:
    own = [make_test_delivery(endpoint, NOW + each, bytes(10)).to_json() for each in range(12)]
    others = ["not a message", make_test_delivery(Endpoint("other", "whe_2", "", "", NOW), NOW, bytes(10)).to_json()]
    for body in [others[0], *own, others[1]]:
        queue("dead-webhooks").send_message(MessageBody=body)
    answer = acme("POST", "/webhooks/{webhook_id}/replay", endpoint.id)
    assert answer.json == {"replayed": 12, "complete": True}
    assert sorted(bodies("dead-webhooks")) == sorted(others), "the others are visible again"
    assert set(bodies("webhooks")) <= set(own)
    assert queue("webhooks").attributes["ApproximateNumberOfMessages"] == "12"
    assert acme("POST", "/webhooks/{webhook_id}/replay", endpoint.id).json == {"replayed": 0, "complete": True}


@pytest.mark.parametrize("what", ["test", "replay"])
def test_endpoints_of_others_do_not_exist_and_a_person_may_do_nothing(
    account: ApiHarness, acme: Client, endpoint: Endpoint, what: str
) -> None:
    route = f"/webhooks/{{webhook_id}}/{what}"
    foreign, missing = Client(account, "other")("POST", route, endpoint.id), acme("POST", route, "whe_1")
    assert (foreign.status, foreign.body) == (missing.status, missing.body)
    assert missing.status == 404
    person = {"session_id": "ses_1"}
    assert acme("POST", route, endpoint.id, **person).status == 403
    assert [acme("GET", each, **person).status for each in ("/client-keys", "/webhooks")] == [403, 403]
    assert bodies("webhooks") == []
