"""Every event file has the shape that its function accepts: each handler is invoked with its file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from likeness.errors import WorkInProgress
from tests.aws import Tables, forget_messages
from tests.functions import FUNCTIONS
from tests.workflow.conftest import WorkflowHarness, deployed, events, simulated

#: The response to each event in an empty account, or its relevant part.
ANSWERS: dict[str, dict[str, Any] | None] = {
    "authorize": {"principalId": "unknown"},
    "create_session": {"statusCode": 201},
    "get_session": {"statusCode": 404},
    "get_stats": {"statusCode": 200, "body": '{"days": [], "next_cursor": null}'},
    "revoke_invite": {"statusCode": 404},
    "manage_integration": {"statusCode": 200, "body": '{"webhooks": []}'},
    "erase_session": {"statusCode": 404},
    "record_consent": {"statusCode": 404},
    "withdraw_consent": {"statusCode": 404},
    "check_use": {"statusCode": 404},
    "create_generation": {"statusCode": 404},
    "get_generation": {"statusCode": 404},
    "cancel_generation": {"statusCode": 404},
    "issue_receipt": {"statusCode": 404},
    "register_asset": {"statusCode": 404},
    "request_files": {"statusCode": 404},
    "receive_callback": {"statusCode": 404},
    "create_task": {"next": "done"},
    "poll_task": {"next": "done"},
    "save_media": {"next": "done"},
    "receive_task": {"statusCode": 404},
    "open_validation": {"statusCode": 401},
    "get_result": {"statusCode": 401},
    "fetch_asset": {"statusCode": 401},
    "relay_task": {"statusCode": 401},
    "get_task": {"statusCode": 401},
    "check_upload": None,
    "start_onboarding": {"batchItemFailures": []},
    "publish_changes": {"batchItemFailures": []},
    "send_webhooks": {"batchItemFailures": []},
    "export_inventory": {"outcome": "exported"},
    "recheck_assets": {"outcome": "rechecked"},
    "check_credits": {"outcome": "checked"},
    "reconcile": {"sessions": 0, "reconciled": 0, "failed": 0},
    "submit_asset": {"outcome": "nothing"},
    "poll_assets": {"next": "done"},
    "claim_assets": {"next": "done"},
}


@pytest.fixture(scope="module")
def account() -> Iterator[tuple[WorkflowHarness, Tables]]:
    with simulated() as simulator, deployed(simulator) as made:
        yield made, Tables()


@pytest.fixture
def harness(account: tuple[WorkflowHarness, Tables]) -> WorkflowHarness:
    """One account for all of them, empty again for each; every function starts cold."""
    made, tables = account
    tables.restore()
    forget_messages()
    made.warm.clear()
    return made


@pytest.mark.parametrize("name", [each for each in FUNCTIONS if each != "look_up_result"])
def test_a_handler_accepts_its_event(harness: WorkflowHarness, name: str) -> None:
    answer = harness.call(name, events(name))
    expected = ANSWERS[name]
    assert answer == expected if expected is None else expected.items() <= answer.items()


def test_a_lookup_of_a_missing_attempt_fails_and_is_retried(harness: WorkflowHarness) -> None:
    with pytest.raises(WorkInProgress):
        harness.call("look_up_result", events("look_up_result"))


def test_only_an_unreadable_message_goes_to_the_dead_letters(harness: WorkflowHarness) -> None:
    event = events("start_onboarding")
    event["Records"][1]["body"] = "{not json"
    assert harness.call("start_onboarding", event) == {"batchItemFailures": []}
    sqs = boto3.client("sqs")
    dead = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName="dead-letters")["QueueUrl"])["Messages"]
    assert [each["Body"] for each in dead] == ["{not json"]
