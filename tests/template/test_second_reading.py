"""The transformed template in moto's CloudFormation: a second implementation resolves each reference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import boto3
import pytest

from tests.moto_stack import MotoStack, moto_stack
from tests.template_file import RESOURCES, TEMPLATE


@pytest.fixture(scope="module")
def stack() -> Iterator[MotoStack]:
    with moto_stack() as made:
        yield made


def _functions() -> list[str]:
    return [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::Function"]


def test_every_resource_that_moto_supports_is_created(stack: MotoStack) -> None:
    wanted = stack.expected()
    assert set(wanted) <= set(stack.ids)
    assert len(wanted) > 0.7 * len(stack.template["Resources"])  # the unsupported part stays small


def test_every_output_has_a_value(stack: MotoStack) -> None:
    assert set(stack.outputs) == {name for name, each in TEMPLATE["Outputs"].items() if "Condition" not in each}
    assert all(re.fullmatch(r"[\w:/.-]+", each) for each in stack.outputs.values()), stack.outputs


@pytest.mark.parametrize("function", _functions())
def test_the_resources_in_a_functions_environment_exist(stack: MotoStack, function: str) -> None:
    for name, value in stack.settings(function).items():
        assert "${" not in str(value), name
        if name.endswith("TABLE_NAME"):
            boto3.client("dynamodb").describe_table(TableName=value)
        elif name.endswith("QUEUE_URL"):
            boto3.client("sqs").get_queue_attributes(QueueUrl=value)
        elif name.endswith("BUCKET_NAME"):
            boto3.client("s3").head_bucket(Bucket=value)
        elif name.endswith("STATE_MACHINE_ARN"):
            boto3.client("stepfunctions").describe_state_machine(stateMachineArn=value)
        elif name.endswith("BUS_NAME"):
            boto3.client("events").describe_event_bus(Name=value)


def test_the_state_machine_calls_functions_that_exist(stack: MotoStack) -> None:
    found = boto3.client("stepfunctions").describe_state_machine(stateMachineArn=stack.ids["OnboardPerson"])
    assert json.loads(found["definition"])["StartAt"]
    assert "${" not in found["definition"]
    called = set(re.findall(r"arn:[\w-]+:lambda:[\w:-]+", found["definition"]))
    assert len(called) == 4
    for arn in called:
        boto3.client("lambda").get_function(FunctionName=arn)


def test_every_event_source_mapping_has_a_source_and_a_function(stack: MotoStack) -> None:
    functions, sqs = boto3.client("lambda"), boto3.client("sqs")
    readers = functions.list_event_source_mappings()["EventSourceMappings"]
    assert len(readers) == len(
        [each for each in stack.expected().values() if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    )
    for each in readers:
        functions.get_function(FunctionName=each["FunctionArn"])
        service, name = each["EventSourceArn"].split(":")[2], each["EventSourceArn"].split(":")[-1]
        if service == "sqs":
            sqs.get_queue_url(QueueName=name)
        else:
            assert f"table/{stack.outputs['TableName']}/stream/" in each["EventSourceArn"]
