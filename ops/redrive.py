"""Dead letters go back to their readers, once the cause is mended. Every reader is safe to run twice.

A message is deleted only after it has been handed on: an interruption loses nothing, and the command may be run again.
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
    """How many dead letters were given back, and how many stayed because their reader could do nothing with them."""

    given_back: int
    left: int = 0


def redrive_queue(sqs: Any, dead_letter_url: str, queue_url: str) -> Redriven:
    """Moves the dead letters of a queue back to it: SQS itself does, where it can."""
    source, target = (_attribute(sqs, url, "QueueArn") for url in (dead_letter_url, queue_url))
    waiting = _waiting(sqs, dead_letter_url)
    if not waiting:
        return Redriven(0)
    try:
        sqs.start_message_move_task(SourceArn=source, DestinationArn=target)
    except botocore.exceptions.ClientError as exc:
        # Not UnsupportedOperation: that is SQS' answer while an earlier task still moves the same messages.
        if exc.response["Error"]["Code"] != "InvalidAction":
            raise
    else:
        return Redriven(waiting)
    return redrive_some(sqs, dead_letter_url, queue_url, lambda _: True)


def redrive_some(sqs: Any, dead_letter_url: str, queue_url: str, wanted: Callable[[str], bool]) -> Redriven:
    """Sends those dead letters of a queue back to it whose bodies are ``wanted``; the others stay."""

    def send(body: str) -> bool:
        if wanted(body):
            sqs.send_message(QueueUrl=queue_url, MessageBody=body)
            return True
        return False

    return _hand_on(sqs, dead_letter_url, _waiting(sqs, dead_letter_url), send)


def redrive_uploads(sqs: Any, functions: Any, dead_letter_url: str, check_upload: str) -> Redriven:
    """Invokes ``check_upload`` again, asynchronously, with the event in each dead letter.

    By Lambda and not by EventBridge: only S3 may send events as ``aws.s3``. A run that fails again is tried twice more
    by Lambda and comes back to the same queue as a new message.
    """

    def invoke(body: str) -> bool:
        event = upload_event(body)
        if event:
            functions.invoke(FunctionName=check_upload, InvocationType="Event", Payload=json.dumps(event).encode())
        return bool(event)

    return _hand_on(sqs, dead_letter_url, _waiting(sqs, dead_letter_url), invoke)


def upload_event(body: str) -> dict[str, Any] | None:
    """The EventBridge event in a dead letter, or None when there is none.

    EventBridge leaves the event itself (it could not reach the function), Lambda a record of the failed run with the
    event as ``requestPayload``.
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


def _hand_on(sqs: Any, url: str, waiting: int, hand_on: Callable[[str], bool]) -> Redriven:
    """Hands ``waiting`` messages on, each once: what fails again and comes back is for the next time."""
    seen: set[str] = set()
    given_back = 0
    while len(seen) < waiting:
        size = min(_BATCH, waiting - len(seen))
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=size, WaitTimeSeconds=1).get("Messages", [])
        fresh = [each for each in received if each["MessageId"] not in seen]
        if not fresh:
            break
        for message in fresh:
            seen.add(message["MessageId"])
            if hand_on(message["Body"]):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                given_back += 1
    return Redriven(given_back, len(seen) - given_back)


def _waiting(sqs: Any, url: str) -> int:
    return int(_attribute(sqs, url, "ApproximateNumberOfMessages"))


def _attribute(sqs: Any, url: str, name: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
