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
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from tests import quick_moto
from tests.template_file import RESOURCES

_REGION = "us-east-1"

# Every test that uses moto imports this module.
quick_moto.install()


@contextmanager
def isolated_aws_environment() -> Iterator[None]:
    """Hides this machine's AWS configuration from the block."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("AWS_DEFAULT_REGION", _REGION)
        yield


def make_table(logical_id: str, name: str, *, stream: bool = False) -> None:
    """Creates one of the template's tables as ``name``. Key schemas are defined in the template only.

    Pass ``stream`` only in tests that read the stream: moto keeps every image, and copies them in each transaction.
    """
    properties = RESOURCES[logical_id]["Properties"]
    kept = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    described = {each: properties[each] for each in kept if each in properties}
    if stream:
        described["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
    boto3.client("dynamodb").create_table(TableName=name, **described)


class Tables:
    """A snapshot of the account's tables, taken when it is created."""

    def __init__(self) -> None:
        self._held = {name: table.items for name, table in self._tables().items()}
        self.restore()

    def restore(self) -> None:
        """Replaces the tables' items with those of the snapshot."""
        for name, table in self._tables().items():
            table.items = copy.deepcopy(self._held[name])

    def items(self, table: str) -> Iterator[Any]:
        """Yields moto's current items of a table."""
        for each in self._tables()[table].items.values():
            yield from each.values() if isinstance(each, dict) else (each,)

    @staticmethod
    def _tables() -> dict[str, Any]:
        return dict(dynamodb_backends[DEFAULT_ACCOUNT_ID][_REGION].tables)


def forget_messages() -> None:
    """Empties the account's queues directly, because SQS accepts only one purge per minute."""
    for queue in sqs_backends[DEFAULT_ACCOUNT_ID][_REGION].queues.values():
        queue._messages.clear()
        queue.pending_messages.clear()


def forget_objects() -> None:
    """No bucket of the account holds anything any more; moto copies all objects whenever it lists versions."""
    for bucket in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.values():
        bucket.keys.clear()


def stream_records(table: str) -> list[dict[str, Any]]:
    """Returns the records of a table's stream, as Lambda delivers them."""
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
    """Creates an event bus. Returns its name."""
    boto3.client("events").create_event_bus(Name=name)
    return name


@contextmanager
def described_stack(
    name: str, outputs: Mapping[str, str], resources: Mapping[str, str], parameters: Mapping[str, str]
) -> Iterator[None]:
    """Simulates CloudFormation with one stack, because moto's needs packages that nothing else here uses.

    ``resources`` maps logical ids to physical ids.
    """
    stack = {
        "StackName": name,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }

    def answer(model: Any, params: Any, **_: Any) -> Any:
        request = params["body"]
        if request["StackName"] != name:
            error = {"Code": "ValidationError", "Message": f"Stack with id {request['StackName']} does not exist"}
            return AWSResponse("https://aws.test", 400, HTTPHeaders(), None), {"Error": error}
        found: dict[str, Any] = {"Stacks": [stack]}
        if model.name == "DescribeStackResource":
            found = {"StackResourceDetail": {"PhysicalResourceId": resources[request["LogicalResourceId"]]}}
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
    """Yields a DynamoDB client of an account that has only the inventory table, as ``name``."""
    with isolated_aws_environment(), mock_aws():
        make_table("Table", name)
        yield boto3.client("dynamodb")
