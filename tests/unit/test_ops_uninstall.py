"""`python -m ops uninstall`: the responses that CloudFormation and Step Functions may give, in AWS's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from ops import uninstall
from ops.uninstall import Found, Resource, UninstallError, delete_bucket, delete_stack, delete_table
from tests.aws import isolated_aws_environment, make_table

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/likeness/1"
ROLE = "arn:aws:iam::123456789012:role/any"


@pytest.fixture
def aws() -> Iterator[None]:
    with isolated_aws_environment(), mock_aws():
        yield


def deleting(*statuses: str, failed: bool = False) -> Callable[[str], Any]:
    """Returns clients of an account with a stack that has the ``statuses`` in turn while it is deleted."""
    client = boto3.client("cloudformation")
    stub = Stubber(client)
    stub.add_response("delete_stack", {}, {"StackName": STACK})
    for status in statuses:
        stack: Any = {"StackName": "likeness", "StackStatus": status, "CreationTime": 0}
        stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": STACK})
    if failed:
        resource: Any = {
            "LogicalResourceId": "EventBus",
            "ResourceType": "AWS::Events::EventBus",
            "LastUpdatedTimestamp": 0,
            "ResourceStatus": "DELETE_FAILED",
            "ResourceStatusReason": "it has rules of others",
        }
        stub.add_response("list_stack_resources", {"StackResourceSummaries": [resource]}, {"StackName": STACK})
    stub.activate()
    return lambda service: client if service == "cloudformation" else boto3.client(service)  # type: ignore[call-overload]


def test_a_resource_that_cloudformation_could_not_delete_is_named_with_its_reason(aws: None) -> None:
    output: list[str] = []
    with pytest.raises(UninstallError, match="EventBus: it has rules of others"):
        delete_stack(
            deleting("DELETE_IN_PROGRESS", "DELETE_FAILED", failed=True),
            Found("likeness", STACK, "CREATE_COMPLETE"),
            output.append,
            sleep=lambda _: None,
        )
    assert output == ["likeness: DELETE_IN_PROGRESS", "likeness: DELETE_FAILED"]


def test_the_wait_for_a_stack_is_bounded(aws: None) -> None:
    clock = iter((0.0, 1.0, uninstall.DELETE_SECONDS + 1))
    with pytest.raises(UninstallError, match="after an hour; run this again"):
        delete_stack(
            deleting("DELETE_IN_PROGRESS"),
            Found("likeness", STACK, "CREATE_COMPLETE"),
            lambda _: None,
            sleep=lambda _: None,
            monotonic=lambda: next(clock),
        )


def test_running_executions_are_stopped_so_that_the_stack_can_be_deleted(aws: None) -> None:
    states = boto3.client("stepfunctions")
    definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
    machine = states.create_state_machine(name="onboard", definition=definition, roleArn=ROLE)["stateMachineArn"]
    arn = states.start_execution(stateMachineArn=machine)["executionArn"]
    resource = Resource("OnboardPerson", "AWS::StepFunctions::StateMachine", machine)
    found = Found("likeness", STACK, "CREATE_COMPLETE", removed=[resource])
    delete_stack(deleting("DELETE_COMPLETE"), found, lambda _: None)
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
    states.delete_state_machine(stateMachineArn=machine)
    delete_stack(deleting("DELETE_COMPLETE"), found, lambda _: None)  # the state machine may be deleted first


def test_a_deleted_resource_may_be_deleted_again(aws: None) -> None:
    delete_bucket(boto3.client("s3"), "likeness-uploadbucket-1")
    delete_table(boto3.client("dynamodb"), "likeness-Table-1")


def test_the_wait_for_the_deletion_of_a_table_is_bounded(aws: None) -> None:
    make_table("Table", "likeness-Table-1")
    clock = iter((0.0, 1000.0))
    with pytest.raises(UninstallError, match="likeness-Table-1 still exists"):
        delete_table(boto3.client("dynamodb"), "likeness-Table-1", monotonic=lambda: next(clock))
