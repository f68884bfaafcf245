"""Messages that cannot be read: each goes to the dead-letter queue by itself, and holds up nobody."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from local import emulator
from tests.integration.conftest import TIMEOUT_SECONDS, Api, lines_about, wait_until_read

NOBODYS = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
POISON = {
    "not JSON": "{",
    "no object": "[1, 2]",
    "nothing in it": "{}",
    "unknown type": json.dumps({"type": "erase_everything", "session_id": NOBODYS}),
    "no type": json.dumps({"session_id": NOBODYS, "attempt": 1}),
    "wrong session id": json.dumps({"type": "pass_reported", "session_id": "ses_1", "attempt": 1}),
    "line break after the id": json.dumps({"type": "assets_ready", "session_id": NOBODYS + "\n"}),
    "wrong attempt": json.dumps({"type": "pass_reported", "session_id": NOBODYS, "attempt": 0}),
    "huge": json.dumps({"type": "assets_ready", "session_id": "x" * 200_000}),
    "deep": "[" * 50_000,
}


@pytest.fixture
def sqs(api: Api) -> Any:
    return emulator.client("sqs", api.stack.emulator_endpoint)


def dead_letters(api: Api, sqs: Any, expected: int) -> list[str]:
    """Takes ``expected`` messages out of the dead-letter queue; their bodies, sorted."""
    url = api.stack.outputs["OnboardingDeadLetterQueueUrl"]
    found: dict[str, str] = {}
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while len(found) < expected and time.monotonic() < deadline:
        for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            found[each["MessageId"]] = each["Body"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return sorted(found.values())


def test_one_poison_message_among_nine_good_ones_stops_none_of_them(api: Api, sqs: Any) -> None:
    sessions = [api.session(start="on_open")["id"] for _ in range(9)]  # nothing else sends a message about these
    bodies = [json.dumps({"type": "link_check", "session_id": each, "attempt": 1}) for each in sessions]
    bodies.insert(4, "poison among good ones")
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    sqs.send_message_batch(QueueUrl=api.stack.outputs["OnboardingQueueUrl"], Entries=entries)
    wait_until_read(api, sessions)
    assert dead_letters(api, sqs, 1) == ["poison among good ones"]


def test_poison_is_given_up_and_kept_as_it_was(api: Api, sqs: Any) -> None:
    url = api.stack.outputs["OnboardingQueueUrl"]
    before = len(lines_about(api, "message given up"))
    for body in POISON.values():
        sqs.send_message(QueueUrl=url, MessageBody=body)
    assert dead_letters(api, sqs, len(POISON)) == sorted(POISON.values())
    assert len(lines_about(api, "message given up")) >= before + len(POISON)


def test_a_message_about_nothing_is_no_poison(api: Api, sqs: Any) -> None:
    url = api.stack.outputs["OnboardingQueueUrl"]
    known, nobodys = api.session(start="on_open")["id"], NOBODYS
    for body in (
        {"type": "pass_reported", "session_id": nobodys, "attempt": 1},
        {"type": "pass_reported", "session_id": known, "attempt": 10**30},
        {"type": "assets_ready", "session_id": known, "of_a_newer_version": True},
    ):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    wait_until_read(api, [nobodys, known, known])
    assert api.get(known)["status"] == "requires_input"
