"""Fixtures of the unit tests, which use moto in this process and cannot open sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_socket import disable_socket

from likeness.adapters.table.dynamodb import DynamoStore
from tests.aws import inventory
from tests.unit.step_harness import TABLE, StepHarness


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> None:
    disable_socket(allow_unix_socket=True)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of an account with the template's table. A module shares one, so its tests use different ids."""
    with inventory(TABLE) as client:
        yield client


@pytest.fixture(scope="module")
def store(dynamodb: Any) -> DynamoStore:
    """The inventory on that table."""
    return DynamoStore(dynamodb, TABLE)


@pytest.fixture
def harness(store: DynamoStore, dynamodb: Any) -> StepHarness:
    """The steps on that table."""
    return StepHarness(store, dynamodb)
