"""An AWS account in moto that holds the template's tables."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.sqs.models import sqs_backends

from tests import quick_moto
from tests.template_file import RESOURCES

_REGION = "us-east-1"

# Whoever has an account of moto's imports this module.
quick_moto.install()


@contextmanager
def isolated_aws_environment() -> Iterator[None]:
    """Whatever AWS configuration this machine has, the block does not see it."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("AWS_DEFAULT_REGION", _REGION)
        yield


def make_table(logical_id: str, name: str, *, stream: bool = False) -> None:
    """Makes one of the template's tables under ``name``: the template is the only place of a key schema.

    With its ``stream`` only for who reads it: moto keeps every image, and copies them in each transaction.
    """
    properties = RESOURCES[logical_id]["Properties"]
    kept = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    described = {each: properties[each] for each in kept if each in properties}
    if stream:
        described["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
    boto3.client("dynamodb").create_table(TableName=name, **described)


class Tables:
    """What the tables of the account hold at this moment."""

    def __init__(self) -> None:
        self._held = {name: table.items for name, table in self._tables().items()}
        self.restore()

    def restore(self) -> None:
        """The tables hold it again, and nothing else."""
        for name, table in self._tables().items():
            table.items = copy.deepcopy(self._held[name])

    def items(self, table: str) -> Iterator[Any]:
        """moto's items of a table, as they are now."""
        for each in self._tables()[table].items.values():
            yield from each.values() if isinstance(each, dict) else (each,)

    @staticmethod
    def _tables() -> dict[str, Any]:
        return dict(dynamodb_backends[DEFAULT_ACCOUNT_ID][_REGION].tables)


def forget_messages() -> None:
    """No queue of the account holds anything any more; SQS itself takes a purge once a minute."""
    for queue in sqs_backends[DEFAULT_ACCOUNT_ID][_REGION].queues.values():
        queue._messages.clear()
        queue.pending_messages.clear()


def stream_records(table: str) -> list[dict[str, Any]]:
    """What the stream of a table holds, as Lambda delivers it."""
    streams = boto3.client("dynamodbstreams")
    (stream,) = streams.list_streams(TableName=table)["Streams"]
    (shard,) = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records: Any = streams.get_records(ShardIterator=iterator, Limit=1000)["Records"]
    for each in records:
        each["dynamodb"]["ApproximateCreationDateTime"] = each["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    return list(records)


def make_bus(name: str) -> str:
    """Makes an event bus; its name."""
    boto3.client("events").create_event_bus(Name=name)
    return name


@contextmanager
def described_stack(
    name: str, outputs: Mapping[str, str], resources: Mapping[str, str], parameters: Mapping[str, str]
) -> Iterator[None]:
    """CloudFormation knows one stack in the block; moto's own needs packages that nothing else here does.

    ``resources`` are physical ids by logical ones.
    """
    stack = {
        "StackName": name,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }

    def answer(model: Any, params: Any, **_: Any) -> Any:
        asked = params["body"]
        if asked["StackName"] != name:
            error = {"Code": "ValidationError", "Message": f"Stack with id {asked['StackName']} does not exist"}
            return AWSResponse("https://aws.test", 400, HTTPHeaders(), None), {"Error": error}
        found: dict[str, Any] = {"Stacks": [stack]}
        if model.name == "DescribeStackResource":
            found = {"StackResourceDetail": {"PhysicalResourceId": resources[asked["LogicalResourceId"]]}}
        return AWSResponse("https://aws.test", 200, HTTPHeaders(), None), found

    boto3.setup_default_session()
    session = boto3.DEFAULT_SESSION
    assert session
    session.events.register("before-call.cloudformation", answer)
    try:
        yield
    finally:
        boto3.DEFAULT_SESSION = None


@contextmanager
def inventory(name: str) -> Iterator[Any]:
    """A DynamoDB client of an account whose only table is the inventory, called ``name``."""
    with isolated_aws_environment(), mock_aws():
        make_table("Table", name)
        yield boto3.client("dynamodb")
