"""The events of whole onboardings: every write in the table's stream, delivered twice."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from likeness.runtime import bootstrap
from tests.aws import stream_records
from tests.event_schemas import check
from tests.functions import event_of_request
from tests.workflow.conftest import WorkflowHarness
from tests.workflow.test_onboard_person import come_back, create, run, upload

#: Small, so that batches end between related writes.
BATCH = 7


@pytest.fixture
def event_queue(harness: WorkflowHarness) -> str:
    """The URL of a queue that a customer's rule fills."""
    events, sqs = boto3.client("events"), boto3.client("sqs")
    url = sqs.create_queue(QueueName="customer")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventBusName="likeness-events", EventPattern=json.dumps({"source": ["likeness"]}))
    events.put_targets(Rule="all", EventBusName="likeness-events", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def deliver(harness: WorkflowHarness) -> None:
    """Delivers the stream from its beginning, as Lambda does."""
    records = stream_records(harness.table)
    for start in range(0, len(records), BATCH):
        answer = harness.call("publish_changes", {"Records": records[start : start + BATCH]})
        assert answer == {"batchItemFailures": []}


def receive(url: str) -> list[dict[str, Any]]:
    """Returns the events received, in order, each checked against its schema."""
    found: list[dict[str, Any]] = []
    while messages := boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for each in messages:
            boto3.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            event = json.loads(each["Body"])
            check(event["detail-type"], event["detail"])
            found.append(event)
    return found


def steps_of(events: list[dict[str, Any]], item: str) -> list[str]:
    """Returns the types of the events about a session or an asset, in order."""
    about = [each for each in events if item == each["detail"].get("asset_id", each["detail"]["session_id"])]
    return [each["detail-type"].removeprefix("likeness.") for each in about]


def erase(harness: WorkflowHarness, session_id: str) -> None:
    path = f"/sessions/{session_id}"
    event = event_of_request(
        "DELETE",
        "/sessions/{session_id}",
        path,
        parameters={"session_id": session_id},
        authorizer={"client_id": "acme"},
    )
    assert harness.call("erase_session", event)["statusCode"] == 200


def test_each_step_is_published_and_redelivered_with_the_same_ids(harness: WorkflowHarness, event_queue: str) -> None:
    session = create(harness, "good of alice", "other_person of alice")
    upload(harness, session)
    row = run(harness, session)
    good, other_person = bootstrap.store().list_assets(session["id"])
    deliver(harness)
    events = receive(event_queue)
    assert steps_of(events, session["id"]) == ["session.created", "session.processing", "session.verified"]
    assert steps_of(events, good.id) == ["asset.uploaded", "asset.processing", "asset.active"]
    assert steps_of(events, other_person.id) == ["asset.uploaded", "asset.processing", "asset.failed"]
    assert len(events) == 9, "other writes are not published"
    by_type = {each["detail-type"]: each["detail"] for each in events}
    assert by_type["likeness.session.verified"]["group_id"] == row.group_id
    assert by_type["likeness.asset.active"]["uri"] == good.uri
    assert by_type["likeness.asset.failed"]["error_code"] == "face_mismatch"
    assert {each["detail"]["client_id"] for each in events} == {"acme"}

    ids = [each["detail"]["id"] for each in events]
    assert len(set(ids)) == len(ids)
    deliver(harness)
    assert [each["detail"]["id"] for each in receive(event_queue)] == ids


def test_a_failed_attempt_and_an_erasure_are_published_and_nothing_personal_is(
    harness: WorkflowHarness, event_queue: str
) -> None:
    session = create(harness, "good of alice")
    upload(harness, session)
    come_back(harness, session, "fail")
    erase(harness, session["id"])
    deliver(harness)
    events = receive(event_queue)
    kinds = ["session.created", "session.requires_input", "session.redacted"]
    assert steps_of(events, session["id"]) == kinds
    assert steps_of(events, session["assets"][0]["id"]) == ["asset.uploaded", "asset.redacted"]
    failed = next(each["detail"] for each in events if "error_code" in each["detail"])
    assert (failed["status"], failed["error_code"]) == ("requires_input", "attempt_failed")
    token = session["attempt"]["h5_link"].partition("bytedToken=")[2].partition("&")[0]
    assert token
    text = json.dumps(events)
    assert not [each for each in ("alice", token, "https://", "uploads/") if each in text]


def test_the_stream_contains_what_the_events_must_not(harness: WorkflowHarness) -> None:
    """Without personal data in the stream, the test above could not fail."""
    session = create(harness, "good of alice")
    token = session["attempt"]["h5_link"].partition("bytedToken=")[2].partition("&")[0]
    text = json.dumps(stream_records(harness.table))
    assert "good of alice" in text
    assert token in text
