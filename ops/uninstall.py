"""Removes a stack: finds what is deleted with it and what it keeps, and deletes what it keeps.

It reads all facts from CloudFormation: the deployed template defines what is kept, and for 90 days a deleted stack's
events list what it has kept. So an interrupted uninstallation continues when it is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions

from ops.stack import described
from ops.template import Template, deployed_template

#: Resources of the account: other APIs rely on them, so they are never deleted.
SHARED = ("ApiGatewayAccount", "ApiGatewayLogRole")
#: A stack without these is not a Likeness stack.
_MARKS = {"Table", "IdempotencyTable", "UploadBucket"}
_KEEPS = ("Retain", "RetainExceptOnCreate")
#: CloudFormation waits until executions have ended, so they are stopped; deleting functions takes a few minutes.
DELETE_SECONDS = 3600.0
_POLL_SECONDS = 5.0
_TABLE_SECONDS, _TABLE_POLL_SECONDS = 600.0, 1.0
_BATCH = 1000


class UninstallError(RuntimeError):
    """When a stack cannot be removed now; the message says what to do."""


@dataclass(frozen=True)
class Resource:
    """A resource of a stack."""

    logical_id: str
    kind: str
    physical_id: str


@dataclass(frozen=True)
class Found:
    """The current state of a stack. ``removed`` are the resources that are deleted with it, ``kept`` the others."""

    name: str
    stack_id: str
    status: str
    removed: list[Resource] = field(default_factory=list)
    kept: list[Resource] = field(default_factory=list)
    protected: bool = False

    @property
    def deleted(self) -> bool:
        """Whether the stack itself is deleted."""
        return self.status == "DELETE_COMPLETE"

    def kept_by(self, logical_id: str) -> str | None:
        """Returns the physical id of a kept resource, or None when it no longer exists."""
        return next((each.physical_id for each in self.kept if each.logical_id == logical_id), None)

    @property
    def state_machine(self) -> str | None:
        """The ARN of the state machine; None when it does not exist."""
        kinds = {each.kind: each.physical_id for each in self.removed}
        return kinds.get("AWS::StepFunctions::StateMachine")


Client = Callable[[str], Any]


def find(client: Client, name: str) -> Found | None:
    """Returns the stack ``name``, or the last deleted one of that name; None when neither exists.

    Raises UninstallError when it is not a Likeness stack, and ClientError or BotoCoreError.
    """
    cloudformation = client("cloudformation")
    found = described(cloudformation, name) or _deleted(cloudformation, name)
    if found is None:
        return None
    template = deployed_template(cloudformation, found["StackId"])
    if not template["Resources"].keys() >= _MARKS:
        raise UninstallError(f"{name} is not a Likeness stack")
    status = found["StackStatus"]
    if status == "DELETE_COMPLETE":
        kept = [each for each in _left(cloudformation, found["StackId"]) if _is_there(client, each)]
        return Found(name, found["StackId"], status, kept=kept)
    resources = _resources(cloudformation, found["StackId"])
    stays = _stays(template)
    return Found(
        name,
        found["StackId"],
        status,
        removed=[each for each in resources if each.logical_id not in stays],
        kept=[each for each in resources if each.logical_id in stays],
        protected=bool(found.get("EnableTerminationProtection")),
    )


def _deleted(cloudformation: Any, name: str) -> dict[str, Any] | None:
    pages = cloudformation.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
    stacks = [each for page in pages for each in page["StackSummaries"] if each["StackName"] == name]
    return max(stacks, key=lambda each: each["CreationTime"], default=None)


def _stays(template: Template) -> set[str]:
    return {name for name, each in template["Resources"].items() if each.get("DeletionPolicy") in _KEEPS}


def _resources(cloudformation: Any, stack_id: str) -> list[Resource]:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return [
        Resource(each["LogicalResourceId"], each["ResourceType"], each["PhysicalResourceId"])
        for page in pages
        for each in page["StackResourceSummaries"]
        if each.get("PhysicalResourceId") and each["ResourceStatus"] not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
    ]


def _left(cloudformation: Any, stack_id: str) -> list[Resource]:
    """Returns the resources that a deleted stack has kept, from its events."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    return [
        Resource(each["LogicalResourceId"], each["ResourceType"], each["PhysicalResourceId"])
        for page in pages
        for each in page["StackEvents"]
        if each["ResourceStatus"] == "DELETE_SKIPPED"
    ]


def _is_there(client: Client, resource: Resource) -> bool:
    """Returns whether a kept resource still exists; True for kinds that this module does not delete."""
    try:
        if resource.kind == "AWS::DynamoDB::Table":
            client("dynamodb").describe_table(TableName=resource.physical_id)
        elif resource.kind == "AWS::S3::Bucket":
            client("s3").head_bucket(Bucket=resource.physical_id)
    except botocore.exceptions.ClientError as exc:
        if exc.response["Error"]["Code"] in ("ResourceNotFoundException", "NoSuchBucket", "404"):
            return False
        raise
    return True


def running_executions(client: Client, state_machine: str) -> Iterator[str]:
    """Yields the ARNs of running executions; none when the state machine does not exist."""
    states = client("stepfunctions")
    with suppress(states.exceptions.StateMachineDoesNotExist):
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=state_machine, statusFilter="RUNNING")
        for page in pages:
            for each in page["executions"]:
                yield each["executionArn"]


def _stop_executions(client: Client, found: Found) -> None:
    if found.state_machine is None:
        return
    states = client("stepfunctions")
    for arn in list(running_executions(client, found.state_machine)):
        with suppress(states.exceptions.ExecutionDoesNotExist):
            states.stop_execution(executionArn=arn, cause="The stack is being removed.")


def delete_stack(
    client: Client,
    found: Found,
    report: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Deletes the stack and waits until it is deleted; it also waits for a deletion that has already started.

    Raises UninstallError when CloudFormation fails or needs more than an hour, and ClientError or BotoCoreError.
    """
    cloudformation = client("cloudformation")
    end = monotonic() + DELETE_SECONDS
    cloudformation.delete_stack(StackName=found.stack_id)
    last = ""
    while monotonic() < end:
        # New executions can start until the queue's consumer is deleted.
        _stop_executions(client, found)
        (stack,) = cloudformation.describe_stacks(StackName=found.stack_id)["Stacks"]
        if stack["StackStatus"] != last:
            last = stack["StackStatus"]
            report(f"{found.name}: {last}")
        if last == "DELETE_COMPLETE":
            return
        if last == "DELETE_FAILED":
            reasons = "; ".join(_failures(cloudformation, found.stack_id))
            raise UninstallError(
                f"CloudFormation could not delete everything ({reasons}); fix that, and run this again"
            )
        sleep(_POLL_SECONDS)
    raise UninstallError("the stack is still being deleted after an hour; run this again to keep waiting")


def _failures(cloudformation: Any, stack_id: str) -> Iterator[str]:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    for each in (each for page in pages for each in page["StackResourceSummaries"]):
        if each["ResourceStatus"] == "DELETE_FAILED":
            yield f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason', 'no reason given')}"


def delete_kept(client: Client, found: Found, report: Callable[[str], None]) -> None:
    """Deletes the buckets with all versions, and then the tables, that a deleted stack has kept.

    The tables are last, so that the next run can export them again. Raises UninstallError when a table is not deleted
    in time, and ClientError or BotoCoreError.
    """
    for each in found.kept:
        if each.kind == "AWS::S3::Bucket":
            delete_bucket(client("s3"), each.physical_id)
            report(f"{each.physical_id}: deleted")
    for each in found.kept:
        if each.kind == "AWS::DynamoDB::Table":
            delete_table(client("dynamodb"), each.physical_id)
            report(f"{each.physical_id}: deleted")


def delete_bucket(s3: Any, bucket: str) -> None:
    """Deletes a bucket with every version of every object, and its unfinished uploads."""
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            objects = [
                {"Key": each["Key"], "VersionId": each["VersionId"]}
                for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            ]
            for start in range(0, len(objects), _BATCH):
                answer = s3.delete_objects(
                    Bucket=bucket, Delete={"Objects": objects[start : start + _BATCH], "Quiet": True}
                )
                if answer.get("Errors"):
                    code = answer["Errors"][0].get("Code")
                    raise UninstallError(f"{len(answer['Errors'])} objects of {bucket} were not deleted ({code})")
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for each in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"])
        s3.delete_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError as exc:
        if exc.response["Error"]["Code"] != "NoSuchBucket":
            raise


def delete_table(
    dynamodb: Any,
    table: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Removes a table's deletion protection and deletes the table, if it exists.

    Raises UninstallError when it still exists after ten minutes.
    """
    end = monotonic() + _TABLE_SECONDS
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        while monotonic() < end:
            described = dynamodb.describe_table(TableName=table)["Table"]
            if described["TableStatus"] == "ACTIVE":
                if described.get("DeletionProtectionEnabled"):
                    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
                else:
                    dynamodb.delete_table(TableName=table)
            sleep(_TABLE_POLL_SECONDS)
        raise UninstallError(f"{table} still exists after ten minutes; run this again")
