"""Unreadable messages: each goes to the dead-letter queue alone, and delays no other."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from local import emulator
from tests.integration.conftest import TIMEOUT_SECONDS, Api, facts_of_consumer, wait_until_read

MISSING_ID = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
POISON = {
    "not JSON": "{",
    "not an object": "[1, 2]",
    "empty object": "{}",
    "unknown type": json.dumps({"type": "erase_everything", "session_id": MISSING_ID}),
    "no type": json.dumps({"session_id": MISSING_ID, "attempt": 1}),
    "wrong session id": json.dumps({"type": "pass_reported", "session_id": "ses_1", "attempt": 1}),
    "line break after the id": json.dumps({"type": "assets_ready", "session_id": MISSING_ID + "\n"}),
    "wrong attempt": json.dumps({"type": "pass_reported", "session_id": MISSING_ID, "attempt": 0}),
    "huge": json.dumps({"type": "assets_ready", "session_id": "x" * 200_000}),
    "deep": "[" * 50_000,
}


@pytest.fixture
def sqs(api: Api) -> Any:
    return emulator.client("sqs", api.stack.emulator_endpoint)


def dead_letters(api: Api, sqs: Any, expected: int) -> list[str]:
    """Removes ``expected`` messages from the dead-letter queue; returns their bodies, sorted."""
    url = api.stack.outputs["OnboardingDeadLetterQueueUrl"]
    found: dict[str, str] = {}
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while len(found) < expected and time.monotonic() < deadline:
        for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            found[each["MessageId"]] = each["Body"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return sorted(found.values())


def test_one_poison_message_does_not_stop_nine_good_ones(api: Api, sqs: Any) -> None:
    sessions = [api.session(start="on_open")["id"] for _ in range(9)]  # nothing else sends a message about these
    bodies = [json.dumps({"type": "link_check", "session_id": each, "attempt": 1}) for each in sessions]
    bodies.insert(4, "poison among good ones")
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    sqs.send_message_batch(QueueUrl=api.stack.outputs["OnboardingQueueUrl"], Entries=entries)
    wait_until_read(api, sessions)
    assert dead_letters(api, sqs, 1) == ["poison among good ones"]


def test_poison_messages_become_unchanged_dead_letters(api: Api, sqs: Any) -> None:
    url = api.stack.outputs["OnboardingQueueUrl"]

    def given_up(found: list[dict[str, Any]]) -> int:
        return sum(each.get("message") == "message given up" for each in found)

    before = given_up(facts_of_consumer(api, lambda _: True))
    for body in POISON.values():
        sqs.send_message(QueueUrl=url, MessageBody=body)
    assert dead_letters(api, sqs, len(POISON)) == sorted(POISON.values())
    facts_of_consumer(api, lambda found: given_up(found) >= before + len(POISON))


def test_a_message_about_a_missing_session_is_not_poison(api: Api, sqs: Any) -> None:
    url = api.stack.outputs["OnboardingQueueUrl"]
    known, missing = api.session(start="on_open")["id"], MISSING_ID
    for body in (
        {"type": "pass_reported", "session_id": missing, "attempt": 1},
        {"type": "pass_reported", "session_id": known, "attempt": 10**30},
        {"type": "assets_ready", "session_id": known, "of_a_newer_version": True},
    ):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    wait_until_read(api, [missing, known, known])
    assert api.get(known)["status"] == "requires_input"
