"""`python -m ops redrive` against the deployed stack."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local import emulator
from local.media import DemoMedia
from ops.cli import main
from tests.integration.conftest import Api, registration, send_file, wait_until_read


@pytest.fixture
def redrive(api: Api, state_file: Path) -> Callable[..., Result]:
    return lambda *options: CliRunner().invoke(main, ["redrive", "--state-file", str(state_file), *options])


@pytest.fixture
def sqs(api: Api) -> Any:
    return emulator.client("sqs", api.stack.emulator_endpoint)


@pytest.fixture
def upload_dead_letters(api: Api) -> str:
    return api.stack.resource("UploadDeadLetterQueue")


def take(sqs: Any, url: str) -> list[str]:
    """Receives and deletes a queue's messages; returns their bodies."""
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for each in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            found.append(str(each["Body"]))
    return found


def s3_event(api: Api, key: str, version_id: str, size: int) -> dict[str, Any]:
    """Returns EventBridge's event about an upload."""
    bucket = api.stack.outputs["UploadBucketName"]
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": "2026-01-01T12:00:00Z",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version_id, "size": size}},
    }


def test_an_onboarding_message_is_processed_after_a_redrive(api: Api, sqs: Any, redrive: Callable[..., Result]) -> None:
    session_id = api.session(start="on_open")["id"]  # nothing else sends a message about this one
    body = json.dumps({"type": "link_check", "session_id": session_id, "attempt": 1})
    sqs.send_message(QueueUrl=api.stack.outputs["OnboardingDeadLetterQueueUrl"], MessageBody=body)

    result = redrive("--queue", "onboarding")

    assert (result.exit_code, result.output) == (0, "onboarding: 1 redriven, 0 left\n")
    wait_until_read(api, [session_id])
    assert take(sqs, api.stack.outputs["OnboardingDeadLetterQueueUrl"]) == []


@pytest.mark.parametrize("left_by", ["EventBridge", "Lambda"])
def test_an_upload_is_checked_after_a_redrive_of_its_event(
    api: Api, sqs: Any, redrive: Callable[..., Result], upload_dead_letters: str, media: DemoMedia, left_by: str
) -> None:
    image = registration(media.portrait_png, "Image", "image/png")
    session = api.session(start="on_open", assets=[image])
    content = media.portrait_png.read_bytes()
    rules, rule = stop_events(api)
    try:
        assert send_file(session["assets"][0]["upload"], content).ok
        time.sleep(1)  # the emulator sends events in the background
    finally:
        rules.enable_rule(Name=rule)
    key = session["assets"][0]["upload"]["fields"]["key"]
    version = emulator.client("s3", api.stack.emulator_endpoint).head_object(
        Bucket=api.stack.outputs["UploadBucketName"], Key=key
    )["VersionId"]
    event = s3_event(api, key, version, len(content))
    record = (
        event
        if left_by == "EventBridge"
        else {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
    )
    sqs.send_message(QueueUrl=upload_dead_letters, MessageBody=json.dumps(record))
    assert api.get(session["id"])["assets"][0]["status"] == "awaiting_upload"

    result = redrive("--queue", "upload")

    assert (result.exit_code, result.output) == (0, "upload: 1 redriven, 0 left\n")
    api.wait(session["id"], lambda found: found["assets"][0]["status"] == "uploaded")
    assert take(sqs, upload_dead_letters) == []


def stop_events(api: Api) -> tuple[Any, str]:
    """Disables the bucket's rule; returns the client and the rule's name."""
    events = emulator.client("events", api.stack.emulator_endpoint)
    (rule,) = [each["Name"] for each in events.list_rules()["Rules"] if "aws.s3" in each.get("EventPattern", "")]
    events.disable_rule(Name=rule)
    return events, rule


def test_unknown_messages_stay_and_the_others_are_redriven(
    api: Api, sqs: Any, redrive: Callable[..., Result], upload_dead_letters: str
) -> None:
    sqs.send_message(QueueUrl=upload_dead_letters, MessageBody="not an event")
    ignored = s3_event(api, "elsewhere/file", "v1", 1)
    for _ in range(12):
        sqs.send_message(QueueUrl=upload_dead_letters, MessageBody=json.dumps(ignored))

    result = redrive()

    assert result.exit_code == 1
    assert "onboarding: 0 redriven, 0 left\nupload: 12 redriven, 1 left\n" in result.output
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=upload_dead_letters, AttributeNames=counts)["Attributes"]
    assert sum(int(each) for each in found.values()) == 1
    sqs.purge_queue(QueueUrl=upload_dead_letters)
