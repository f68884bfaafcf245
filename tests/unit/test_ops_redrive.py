"""Dead letters: SQS moves them where it can. Others are deleted only after they were sent to their target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from ops.redrive import Redriven, redrive_queue, redrive_uploads, upload_event
from tests.aws import isolated_aws_environment

EVENT = {"source": "aws.s3", "detail-type": "Object Created", "time": "2026-01-01T12:00:00Z", "detail": {"object": {}}}
FAILED_RUN = {"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": EVENT}


DEAD, QUEUE = "http://queue/dead", "http://queue/onboarding"
MOVE = {"SourceArn": "arn:aws:sqs:us-east-1:1:dead", "DestinationArn": "arn:aws:sqs:us-east-1:1:onboarding"}


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    """A stubbed SQS client, because neither moto nor the emulator supports StartMessageMoveTask."""
    with isolated_aws_environment():
        client = boto3.client("sqs")
        with Stubber(client) as stubber:
            yield client, stubber
            stubber.assert_no_pending_responses()


def expect_attributes(stubber: Stubber, waiting: int) -> None:
    for url, name, value in (
        (DEAD, "QueueArn", MOVE["SourceArn"]),
        (QUEUE, "QueueArn", MOVE["DestinationArn"]),
        (DEAD, "ApproximateNumberOfMessages", str(waiting)),
    ):
        wanted = {"QueueUrl": url, "AttributeNames": [name]}
        stubber.add_response("get_queue_attributes", {"Attributes": {name: value}}, wanted)


def test_sqs_moves_the_messages_where_it_can(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    expect_attributes(stubber, 3)
    stubber.add_response("start_message_move_task", {"TaskHandle": "handle"}, MOVE)
    assert redrive_queue(client, DEAD, QUEUE) == Redriven(3)


def test_without_dead_letters_no_task_is_started(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    expect_attributes(stubber, 0)
    assert redrive_queue(client, DEAD, QUEUE) == Redriven(0)


def test_a_running_task_is_reported_and_not_replaced(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    expect_attributes(stubber, 3)
    stubber.add_client_error("start_message_move_task", "AWS.SimpleQueueService.UnsupportedOperation", "There is one")
    with pytest.raises(botocore.exceptions.ClientError, match="There is one"):
        redrive_queue(client, DEAD, QUEUE)


@pytest.fixture
def dead_letters() -> Iterator[tuple[Any, str]]:
    """A client of moto's SQS, and a queue."""
    with isolated_aws_environment(), mock_aws():
        sqs = boto3.client("sqs")
        yield sqs, sqs.create_queue(QueueName="dead", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]


def test_a_message_that_could_not_be_sent_to_its_target_is_kept(dead_letters: tuple[Any, str]) -> None:
    sqs, url = dead_letters
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(FAILED_RUN))
    with pytest.raises(botocore.exceptions.ClientError, match="ResourceNotFound"):
        redrive_uploads(sqs, boto3.client("lambda"), url, "no-such-function")
    (kept,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(kept["Body"]) == FAILED_RUN


def test_a_message_that_is_kept_is_handled_once(dead_letters: tuple[Any, str]) -> None:
    sqs, url = dead_letters  # messages are visible again immediately
    for body in ("not an event", "nor this"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    assert redrive_uploads(sqs, boto3.client("lambda"), url, "any") == Redriven(0, 2)
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 2


@pytest.mark.parametrize("body", [EVENT, FAILED_RUN], ids=["left by EventBridge", "left by Lambda"])
def test_the_event_is_found_in_either_kind_of_dead_letter(body: dict[str, Any]) -> None:
    assert upload_event(json.dumps(body)) == EVENT


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "7", "[" * 100_000, "{}", '{"requestPayload": 7}', '{"source": "aws.s3"}', '{"detail": {}}'],
    ids=lambda body: body[:20],
)
def test_a_body_without_an_event_of_s3_is_ignored(body: str) -> None:
    assert upload_event(body) is None
