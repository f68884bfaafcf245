"""Webhooks of the deployed stack, sent to a local receiver that verifies them with the standardwebhooks library."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from standardwebhooks import WebhookVerificationError

from likeness.adapters.table.webhooks import DynamoWebhooks
from likeness.domain.webhooks import PAUSE_AFTER_SECONDS
from local import emulator
from local.receiver import Received, Receiver, Reply
from ops.cli import main
from ops.client_keys import ClientKeys
from tests.event_schemas import check
from tests.integration.conftest import TIMEOUT_SECONDS, WEBHOOK_TRIES, Api, Canaries

STATE_FILE = Path(f".local/test-{os.environ.get('PYTEST_XDIST_WORKER', 'master')}.json")
#: Fields of an event besides the common ones.
DETAILS = {
    "likeness.session.verified": {"status": "verified", "group_id": "group-1"},
    "likeness.session.canceled": {"status": "canceled"},
}


def event_id(name: str) -> str:
    """Returns the id of an event that a test names ``name``."""
    return f"evt_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def ops(*arguments: str) -> str:
    """Runs `python -m ops …` and returns its output."""
    result = CliRunner().invoke(main, [*arguments, "--state-file", str(STATE_FILE)])
    assert result.exit_code == 0, result.output
    return result.output


class Tenant:
    """A client with an endpoint and a receiver."""

    def __init__(self, api: Api, canaries: Canaries, client_id: str, receiver: Receiver, *event_types: str) -> None:
        self.api, self.client_id, self.receiver = api, client_id, receiver
        url = f"{receiver.url}/hooks/token-of-{client_id}-{'x' * 12}"
        options = [option for each in event_types for option in ("--event-type", each)]
        made = ops("webhook", "add", "--client-id", client_id, "--url", url, *options)
        self.endpoint, self.secret = made.split()
        canaries.secrets |= {self.secret, url.rpartition("/")[2]}

    def announce(self, event_id: str, event_type: str = "likeness.session.verified") -> None:
        """Puts an event on the bus, as `publish_changes` does."""
        detail = DETAILS[event_type] | {
            "version": "1",
            "id": event_id,
            "time": "2026-01-01T12:00:00Z",
            "session_id": "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "client_id": self.client_id,
            "previous_status": "processing",
        }
        check(event_type, detail)
        entry = {
            "EventBusName": self.api.stack.outputs["EventBusName"],
            "Source": "likeness",
            "DetailType": event_type,
            "Detail": json.dumps(detail),
        }
        events = emulator.client("events", self.api.stack.emulator_endpoint)
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    @property
    def webhooks(self) -> DynamoWebhooks:
        """The endpoints in the stack's table."""
        stack = self.api.stack
        return DynamoWebhooks(emulator.client("dynamodb", stack.emulator_endpoint), stack.outputs["TableName"])

    def wait_for_failure(self, failure: str) -> None:
        """Waits until the table says that the last failure is ``failure``. The emulator can lose lines of a log."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (found := self.webhooks.find(self.client_id, self.endpoint)) is None or found.last_failure != failure:
            assert time.monotonic() < deadline, found
            time.sleep(0.3)

    def wait(self, *event_ids: str) -> list[Received]:
        """Waits until each id was received as often as it is given; returns all requests."""
        wanted = Counter(event_ids)
        self.receiver.wait(lambda found: Counter(each.id for each in found) >= wanted, TIMEOUT_SECONDS)
        found = list(self.receiver.received)
        assert Counter(each.id for each in found) >= wanted, Counter(each.id for each in found)
        return found


@pytest.fixture
def tenant(
    api: Api, keys: ClientKeys, canaries: Canaries, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Tenant]]:
    """Creates clients, and removes their endpoints afterwards."""
    made: list[Tenant] = []
    running: list[Receiver] = []
    name = "".join(each for each in request.node.name.replace("_", "-") if each.isalnum() or each == "-")[-20:]

    def make(reply: Callable[[Received], Reply] = lambda _: Reply(), *event_types: str) -> Tenant:
        client_id = f"t{len(made)}-{name}"
        canaries.secrets.add(keys.add(client_id))
        running.append(Receiver(reply).__enter__())
        made.append(Tenant(api, canaries, client_id, running[-1], *event_types))
        return made[-1]

    yield make
    for each in made:
        ops("webhook", "remove", "--endpoint", each.endpoint)
    for receiver in running:
        receiver.__exit__()


def wait_for_list(tenant: Tenant, text: str) -> str:
    """Waits until the operator's list of a tenant's endpoints contains ``text``; returns the list.

    It is read from the table, since the emulator can lose the last lines of a log.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while text not in (shown := ops("webhook", "list", "--client-id", tenant.client_id)):
        assert time.monotonic() < deadline, shown
        time.sleep(0.3)
    return shown


def test_a_session_is_published_to_its_client_only(api: Api, tenant: Callable[..., Tenant], keys: ClientKeys) -> None:
    mine, others = tenant(), tenant()
    key = keys.add(mine.client_id)
    api.canaries.secrets.add(key)
    session_id = api.with_credential(key).session(start="on_open")["id"]
    assert mine.receiver.wait(bool, TIMEOUT_SECONDS)
    (request,) = mine.receiver.received
    payload = request.verified(mine.secret)
    assert payload["type"] == "likeness.session.created"
    assert payload["data"]["session_id"] == session_id
    assert (request.id, payload["timestamp"]) == (payload["data"]["id"], payload["data"]["time"])
    check(payload["type"], payload["data"])
    with pytest.raises(WebhookVerificationError):
        request.verified(others.secret)
    assert others.receiver.received == []


def test_a_failed_delivery_is_repeated_unchanged(tenant: Callable[..., Tenant]) -> None:
    answers = iter([Reply(500), Reply(503, {"Retry-After": "1"})])
    good = tenant(lambda _: next(answers, Reply()))
    good.announce(event_id("again"))
    first, second, third = good.wait(*[event_id("again")] * 3)
    assert first.body == second.body == third.body
    assert [each.verified(good.secret)["data"]["id"] for each in (first, second, third)] == [event_id("again")] * 3
    wait_for_list(good, "  enabled  all  ")


def test_a_duplicate_event_has_the_same_id(tenant: Callable[..., Tenant]) -> None:
    good = tenant()
    for _ in range(2):
        good.announce(event_id("twice"))
    first, second = good.wait(event_id("twice"), event_id("twice"))
    assert first.body == second.body


def test_only_the_requested_event_types_are_delivered(tenant: Callable[..., Tenant]) -> None:
    good = tenant(lambda _: Reply(), "likeness.session.canceled")
    good.announce(event_id("other"))
    good.announce(event_id("wanted"), "likeness.session.canceled")
    assert [each.id for each in good.wait(event_id("wanted"))] == [event_id("wanted")]


def test_an_endpoint_that_is_gone_receives_nothing_until_it_is_enabled(tenant: Callable[..., Tenant]) -> None:
    answers = iter([Reply(410)])
    gone = tenant(lambda _: next(answers, Reply()))
    gone.announce(event_id("first"))
    gone.wait(event_id("first"))
    (line,) = wait_for_list(gone, "(gone)").splitlines()
    assert "disabled 2" in line
    assert gone.secret not in line
    gone.announce(event_id("dropped"))
    ops("webhook", "enable", "--endpoint", gone.endpoint)
    # The previous event may be processed after the endpoint is enabled, so only the next one is asserted.
    gone.announce(event_id("delivered"))
    gone.wait(event_id("delivered"))


def test_waiting_deliveries_are_sent_when_a_paused_endpoint_is_enabled(tenant: Callable[..., Tenant]) -> None:
    paused = tenant()
    webhooks = paused.webhooks
    endpoint = webhooks.find(paused.client_id, paused.endpoint)
    assert endpoint is not None
    now = time.time()
    assert webhooks.pause(endpoint, now - PAUSE_AFTER_SECONDS, event_id("probe"), now, "503")
    for name in ("one", "two"):
        paused.announce(event_id(name))
    wait_for_list(paused, ", 2 waiting  ")
    assert paused.receiver.received == []
    ops("webhook", "enable", "--endpoint", paused.endpoint)
    for each in paused.wait(event_id("one"), event_id("two")):
        assert each.verified(paused.secret)["data"]["id"] == each.id
    wait_for_list(paused, "  enabled  all  ")


def test_a_slow_endpoint_fails_and_delays_no_other(tenant: Callable[..., Tenant]) -> None:
    slow, good = tenant(lambda _: Reply(seconds=12)), tenant()
    slow.announce(event_id("slow"))
    assert slow.receiver.wait(bool, TIMEOUT_SECONDS)
    good.announce(event_id("quick"))
    good.wait(event_id("quick"))
    slow.wait(event_id("slow"), event_id("slow"))
    slow.wait_for_failure("timeout")


def test_a_redirect_is_not_followed(tenant: Callable[..., Tenant]) -> None:
    with Receiver() as elsewhere:
        moved = tenant(lambda _: Reply(307, {"Location": elsewhere.url}))
        moved.announce(event_id("moved"))
        moved.wait(event_id("moved"), event_id("moved"))
        assert elsewhere.received == []
        moved.wait_for_failure("307")


def test_both_secrets_verify_during_a_rotation(tenant: Callable[..., Tenant], canaries: Canaries) -> None:
    good = tenant()
    fresh = ops("webhook", "rotate", "--endpoint", good.endpoint).strip()
    canaries.secrets.add(fresh)
    output = ops("webhook", "test", "--endpoint", good.endpoint)
    assert good.receiver.wait(bool, TIMEOUT_SECONDS)
    (request,) = good.receiver.received
    assert output == f"{request.id} is queued\n"
    assert request.verified(fresh) == request.verified(good.secret)
    assert request.verified(fresh)["type"] == "likeness.webhook.test"


def refused(*arguments: str) -> str:
    """Runs `python -m ops webhook …`, which fails, and returns its output."""
    result = CliRunner().invoke(main, ["webhook", *arguments, "--state-file", str(STATE_FILE)])
    assert result.exit_code == 1
    return result.output


def test_the_commands_show_a_secret_once_and_only_the_host_of_a_url(tenant: Callable[..., Tenant]) -> None:
    made = tenant(lambda _: Reply(), "likeness.session.canceled")
    fresh = ops("webhook", "rotate", "--endpoint", made.endpoint).strip()
    made.api.canaries.secrets.add(fresh)
    listed = ops("webhook", "list", "--client-id", made.client_id)
    host = made.receiver.url.removeprefix("http://")
    shown = rf"{made.endpoint}  {made.client_id} +\S+Z  enabled  likeness\.session\.canceled  {re.escape(host)}\n"
    assert re.fullmatch(shown, listed)
    assert listed in ops("webhook", "list")
    for url, why in (("ftp://127.0.0.1/", "must begin with https://"), ("https://a@b/", "user name")):
        assert why in refused("add", "--client-id", made.client_id, "--url", url)
    assert refused("add", "--client-id", "nobody", "--url", "https://a/") == (
        "Error: no client has the id 'nobody': `client add` creates its first key\n"
    )
    assert refused("remove", "--endpoint", "whe_1") == "Error: no endpoint has the id whe_1\n"


def waiting(sqs: Any, url: str) -> int:
    """Returns how many messages a queue holds, including hidden ones."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(each) for each in found.values())


@pytest.fixture
def dead_letters(api: Api) -> tuple[Any, str]:
    """Returns an SQS client and the URL of the webhooks' dead-letter queue."""
    return emulator.client("sqs", api.stack.emulator_endpoint), api.stack.resource("WebhookDeadLetterQueue")


def wait_for_dead_letters(sqs: Any, url: str, expected: int) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and waiting(sqs, url) != expected:
        time.sleep(0.3)
    assert waiting(sqs, url) == expected


@pytest.mark.parametrize("by_endpoint", [False, True], ids=["all", "one endpoint's"])
def test_a_dead_letter_is_replayed_unchanged(
    tenant: Callable[..., Tenant], dead_letters: tuple[Any, str], by_endpoint: bool
) -> None:
    answers = iter([Reply(500)] * WEBHOOK_TRIES)
    repaired = tenant(lambda _: next(answers, Reply()))
    repaired.announce(event_id("dead"))
    wait_for_dead_letters(*dead_letters, 1)
    assert [each.id for each in repaired.receiver.received] == [event_id("dead")] * WEBHOOK_TRIES

    output = ops("webhook", "replay", *(["--endpoint", repaired.endpoint] if by_endpoint else []))

    assert output.startswith("webhook: 1 redriven")
    last = repaired.wait(*[event_id("dead")] * (WEBHOOK_TRIES + 1))[-1]
    assert last.body == repaired.receiver.received[0].body
    assert last.verified(repaired.secret)["data"]["id"] == event_id("dead")
    wait_for_dead_letters(*dead_letters, 0)


def test_an_unreadable_message_is_a_dead_letter_and_delays_no_other(
    tenant: Callable[..., Tenant], dead_letters: tuple[Any, str]
) -> None:
    good = tenant()
    sqs, url = dead_letters
    queue = good.api.stack.resource("WebhookQueue")
    poison = ["{", "[1]", "{}", '{"detail-type": "x", "detail": {}}', '{"endpoint_id": 1, "event": {}}', "[" * 50_000]
    for body in poison:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    good.announce(event_id("after"))
    good.wait(event_id("after"))
    wait_for_dead_letters(sqs, url, len(poison))
    sqs.purge_queue(QueueUrl=url)


def test_listen_forwards_signed_events_and_removes_its_endpoint_at_ctrl_c(
    api: Api, keys: ClientKeys, canaries: Canaries, tmp_path: Path
) -> None:
    client_id = "listening"
    key = keys.add(client_id)
    secret = ops("webhook", "listen", "--secret").strip()
    canaries.secrets |= {key, secret}
    command = [sys.executable, "-m", "ops", "webhook", "listen", "--state-file", str(STATE_FILE)]
    output = tmp_path / "output"
    with Receiver() as server:
        with output.open("w") as out:
            options = ["--client-id", client_id, "--forward", f"{server.url}/hooks"]
            running = subprocess.Popen([*command, *options], stdout=out, stderr=subprocess.PIPE, text=True)
        try:
            assert running.stderr
            assert "listening" in running.stderr.readline()
            made = api.with_credential(key).session(start="on_open")["id"]
            assert server.wait(lambda _: output.read_text().count("\n") > 0, TIMEOUT_SECONDS)
        finally:
            running.send_signal(signal.SIGINT)
            _, messages = running.communicate(timeout=TIMEOUT_SECONDS)
        assert (running.returncode, messages) == (0, "the endpoint is removed\n")
        assert ops("webhook", "list", "--client-id", client_id) == ""
        first = server.received[0]
        assert first.verified(secret)["data"]["session_id"] == made
        assert f"  likeness.session.created          {first.id}  204\n" in output.read_text()
        assert secret not in output.read_text()
        ops("webhook", "listen", "--replay", first.id, "--forward", server.url)
        again = server.received[-1]
        assert (again.id, again.body, again.verified(secret)["type"]) == (
            first.id,
            first.body,
            "likeness.session.created",
        )
