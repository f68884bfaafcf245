"""Unit tests are pure, or talk to moto inside this process: none may open a socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pytest_socket import disable_socket

from likeness.adapters.dynamodb import DynamoStore
from tests.template.test_template import RESOURCES

TABLE = "inventory"


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> None:
    disable_socket(allow_unix_socket=True)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of an account that holds the template's table. One for a module: its tests use ids of their own."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        with mock_aws():
            client = boto3.client("dynamodb", region_name="us-east-1")
            properties = RESOURCES["Table"]["Properties"]
            kept = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
            client.create_table(TableName=TABLE, **{name: properties[name] for name in kept})
            yield client


@pytest.fixture(scope="module")
def store(dynamodb: Any) -> DynamoStore:
    """The inventory on that table."""
    return DynamoStore(dynamodb, TABLE)
