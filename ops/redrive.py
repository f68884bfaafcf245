"""Redrives dead letters after their cause is fixed. Every consumer is safe to run twice.

A message is deleted only after it has been passed on: an interruption loses nothing, and the command can be run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

_BATCH = 10


@dataclass(frozen=True, slots=True)
class Redriven:
    """The number of redriven dead letters, and of those that stay because their consumer cannot read them."""

    redriven: int
    left: int = 0


def redrive_queue(sqs: Any, dead_letter_url: str, queue_url: str) -> Redriven:
    """Moves the dead letters of a queue back to it, by a task of SQS where that is available."""
    source, target = (_attribute(sqs, url, "QueueArn") for url in (dead_letter_url, queue_url))
    waiting = _waiting(sqs, dead_letter_url)
    if not waiting:
        return Redriven(0)
    try:
        sqs.start_message_move_task(SourceArn=source, DestinationArn=target)
    except botocore.exceptions.ClientError as exc:
        # UnsupportedOperation is raised: SQS returns it while an earlier task still moves the same messages.
        if exc.response["Error"]["Code"] != "InvalidAction":
            raise
    else:
        return Redriven(waiting)
    return redrive_some(sqs, dead_letter_url, queue_url, lambda _: True)


def redrive_some(sqs: Any, dead_letter_url: str, queue_url: str, wanted: Callable[[str], bool]) -> Redriven:
    """Sends the dead letters with ``wanted`` bodies back to their queue; the others stay."""

    def send(body: str) -> bool:
        if wanted(body):
            sqs.send_message(QueueUrl=queue_url, MessageBody=body)
            return True
        return False

    return _pass_on(sqs, dead_letter_url, _waiting(sqs, dead_letter_url), send)


def redrive_uploads(sqs: Any, functions: Any, dead_letter_url: str, check_upload: str) -> Redriven:
    """Invokes ``check_upload`` again, asynchronously, with the event in each dead letter.

    It does not send the event to EventBridge, because only S3 may send events as ``aws.s3``. Lambda retries a run that
    fails again twice, and then sends a new message to the same queue.
    """

    def invoke(body: str) -> bool:
        event = upload_event(body)
        if event:
            functions.invoke(FunctionName=check_upload, InvocationType="Event", Payload=json.dumps(event).encode())
        return bool(event)

    return _pass_on(sqs, dead_letter_url, _waiting(sqs, dead_letter_url), invoke)


def upload_event(body: str) -> dict[str, Any] | None:
    """Returns the EventBridge event in a dead letter, or None when there is none.

    EventBridge sends the event itself when it cannot reach the function; Lambda sends a record of the failed run, with
    the event as ``requestPayload``.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict) and "requestPayload" in found:
        found = found["requestPayload"]
    if not isinstance(found, dict) or found.get("source") != "aws.s3" or not isinstance(found.get("detail"), dict):
        return None
    return found


def _pass_on(sqs: Any, url: str, waiting: int, pass_on: Callable[[str], bool]) -> Redriven:
    """Passes ``waiting`` messages on, each once; a message that fails again is left for the next command."""
    seen: set[str] = set()
    redriven = 0
    while len(seen) < waiting:
        size = min(_BATCH, waiting - len(seen))
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=size, WaitTimeSeconds=1).get("Messages", [])
        fresh = [each for each in received if each["MessageId"] not in seen]
        if not fresh:
            break
        for message in fresh:
            seen.add(message["MessageId"])
            if pass_on(message["Body"]):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                redriven += 1
    return Redriven(redriven, len(seen) - redriven)


def _waiting(sqs: Any, url: str) -> int:
    return int(_attribute(sqs, url, "ApproximateNumberOfMessages"))


def _attribute(sqs: Any, url: str, name: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
