"""What Lambda invokes the functions with, for the type checker alone: nothing loads this while a function runs.

Only the fields that a function reads. ``NotRequired`` is what an event of another version, or of another service's
version, may lack. What the values are is checked where they come from: by the state machine, by API Gateway, by AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

# -- the state machine's tasks ------------------------------------------------------------------------------------


class TaskEvent(TypedDict):
    """What each task is given."""

    session_id: str
    execution: str
    input: NotRequired[Mapping[str, object]]


class LookUpResultEvent(TaskEvent):
    """State LookUpResult."""

    attempt: int
    last_chance: bool


class LookUpBefore(TypedDict, total=False):
    """What ClaimAssets reads of the look-up before it."""

    group_id: str


class ClaimAssetsEvent(TaskEvent):
    """States ClaimAssets and TakeOverAssets, the one with ``lookup``, the other with ``takes_over``."""

    takes_over: NotRequired[str]
    lookup: NotRequired[LookUpBefore]


class SubmitAssetEvent(TaskEvent):
    """State SubmitAsset."""

    asset_id: str


class PlanBefore(TypedDict, total=False):
    """What PollAssets reads of the plan before this poll."""

    asked_at: float | None


class PollAssetsEvent(TaskEvent):
    """State PollAssets. ``started_at`` in ISO 8601."""

    round: int
    plan: NotRequired[PlanBefore]
    started_at: NotRequired[str]


# -- API Gateway --------------------------------------------------------------------------------------------------


class ApiEvent(TypedDict):
    """A proxy request of the REST API."""

    resource: str
    path: str
    headers: dict[str, str] | None
    pathParameters: dict[str, str] | None
    queryStringParameters: dict[str, str] | None
    multiValueQueryStringParameters: dict[str, list[str]] | None
    requestContext: Mapping[str, object]
    body: str | None
    isBase64Encoded: bool


class AuthorizerEvent(TypedDict):
    """What the authorizer is asked."""

    methodArn: str
    headers: dict[str, str] | None


# -- EventBridge, SQS, DynamoDB -----------------------------------------------------------------------------------


class ScheduleEvent(TypedDict):
    """A tick of a schedule."""

    id: NotRequired[str]


class UploadEvent(TypedDict):
    """EventBridge's ``Object Created`` of S3. ``time`` in ISO 8601."""

    id: NotRequired[str]
    time: str
    detail: dict[str, object]


class QueueMessage(TypedDict):
    """A message of SQS."""

    messageId: str
    receiptHandle: str
    body: str
    attributes: dict[str, str]


class QueueEvent(TypedDict):
    """A batch of messages."""

    Records: list[QueueMessage]


class Write(TypedDict):
    """One write to the table, its items as DynamoDB has them."""

    Keys: dict[str, dict[str, str]]
    SequenceNumber: str
    OldImage: NotRequired[dict[str, Any]]
    NewImage: NotRequired[dict[str, Any]]


class WriteRecord(TypedDict):
    """A record of the table's stream."""

    dynamodb: Write


class StreamEvent(TypedDict):
    """A batch of records."""

    Records: list[WriteRecord]


# -- what functions answer ----------------------------------------------------------------------------------------


class Policy(TypedDict):
    """An IAM policy."""

    Version: str
    Statement: list[dict[str, str]]


class AuthorizerAnswer(TypedDict):
    """What API Gateway learns of a caller. ``context`` reaches the functions with the request."""

    principalId: str
    policyDocument: Policy
    context: dict[str, str]


class FailedItem(TypedDict):
    """What of a batch comes again."""

    itemIdentifier: str


class BatchAnswer(TypedDict):
    """Which parts of a batch failed."""

    batchItemFailures: list[FailedItem]
