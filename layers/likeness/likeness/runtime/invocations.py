"""Types of the functions' events and responses, for the type checker only: no function loads this module.

They have only the fields that a function reads. ``NotRequired`` marks fields that an event of another version may lack.
The state machine, API Gateway and AWS validate the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

# -- the state machine's tasks ------------------------------------------------------------------------------------


class TaskEvent(TypedDict):
    """The event of every task."""

    session_id: str
    execution: str
    input: NotRequired[Mapping[str, object]]


class LookUpResultEvent(TaskEvent):
    """State LookUpResult."""

    attempt: int
    last_chance: bool


class LookUpBefore(TypedDict, total=False):
    """The part of the look-up's result that ClaimAssets reads."""

    group_id: str


class ClaimAssetsEvent(TaskEvent):
    """States ClaimAssets (with ``lookup``) and TakeOverAssets (with ``takes_over``)."""

    takes_over: NotRequired[str]
    lookup: NotRequired[LookUpBefore]


class SubmitAssetEvent(TaskEvent):
    """State SubmitAsset."""

    asset_id: str


class PlanBefore(TypedDict, total=False):
    """The part of the previous plan that PollAssets reads."""

    asked_at: float | None


class PollAssetsEvent(TaskEvent):
    """State PollAssets. ``started_at`` in ISO 8601."""

    round: int
    plan: NotRequired[PlanBefore]
    started_at: NotRequired[str]


class GenerationTaskEvent(TypedDict):
    """The event of every task of ``make_generation``."""

    generation_id: str
    execution: str
    input: NotRequired[Mapping[str, object]]


class ActionBefore(TypedDict, total=False):
    """The part of the previous action that PollTask and SaveMedia read."""

    round: int
    task_id: str | None
    asked_at: float | None


class PollTaskEvent(GenerationTaskEvent):
    """State PollTask. ``started_at`` in ISO 8601."""

    task: ActionBefore
    started_at: NotRequired[str]


class SaveMediaEvent(GenerationTaskEvent):
    """State SaveMedia."""

    task: ActionBefore


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
    """The authorizer's event."""

    methodArn: str
    headers: dict[str, str] | None


# -- EventBridge, SQS, DynamoDB -----------------------------------------------------------------------------------


class ScheduleEvent(TypedDict):
    """The event of a schedule."""

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
    """One write to the table, with items in DynamoDB's format."""

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


# -- responses ----------------------------------------------------------------------------------------------------


class Policy(TypedDict):
    """An IAM policy."""

    Version: str
    Statement: list[dict[str, str]]


class AuthorizerAnswer(TypedDict):
    """The authorizer's response. API Gateway passes ``context`` to the functions with the request."""

    principalId: str
    policyDocument: Policy
    context: dict[str, str]


class FailedItem(TypedDict):
    """An item of a batch that is delivered again."""

    itemIdentifier: str


class BatchAnswer(TypedDict):
    """The failed items of a batch."""

    batchItemFailures: list[FailedItem]
