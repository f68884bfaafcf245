"""Idempotency keys across a deployment. tests/integration/test_bad_input.py tests their behaviour."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import BaseModel

from likeness.errors import Conflict
from likeness.runtime.idempotency import Idempotency
from tests.aws import isolated_aws_environment, make_table
from tests.functions import Context
from tests.unit.api_harness import service

#: As version 0.3.0 stored it, for client ``acme`` and the key ``order-1``.
STORED = {
    "id": {"S": "likeness-create.app.create.<locals>.once#e8fcb84370c08c12a586dc1307c9d7a1"},
    "status": {"S": "COMPLETED"},
    "validation": {"S": "4ce1c7533c873da6283bea8b0c773b4f"},
    "data": {"S": '{"id": "ses_of_before"}'},
}
BODY = {"start": "on_open", "reference": "order-1"}


def test_a_response_that_an_earlier_version_stored_is_returned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "likeness-create")
    headers = {"Idempotency-Key": "order-1"}
    with service() as api:
        item = STORED | {"expiration": {"N": str(int(time.time()) + 3600)}}
        boto3.client("dynamodb").put_item(TableName="IdempotencyTable", Item=item)
        same = api.request("create_session", "POST", "/sessions", body=json.dumps(BODY), headers=headers)
        assert (same.status, same.json) == (201, {"id": "ses_of_before"})
        other = api.request("create_session", "POST", "/sessions", body="{}", headers=headers)
        assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")


class Body(BaseModel):
    """A body without fields."""


class Repeated:
    """A client of DynamoDB that sends each new item twice, as botocore does when the first response is lost."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put_item(self, **request: Any) -> Any:
        self._client.put_item(**request)
        return self._client.put_item(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def client() -> Iterator[Any]:
    with isolated_aws_environment(), mock_aws():
        make_table("IdempotencyTable", "IdempotencyTable")
        yield boto3.client("dynamodb")


def once(client: Any, operate: Any) -> Any:
    """Runs ``operate`` under the same key as every other call."""
    app: Any = SimpleNamespace(
        headers={"idempotency-key": "order-1"},
        caller=SimpleNamespace(client_id="acme"),
        lambda_context=Context(29),
    )
    return Idempotency(client, "IdempotencyTable", "test")(app, Body(), operate)


def test_a_key_whose_first_write_lost_its_response_is_not_in_progress_for_itself(client: Any) -> None:
    assert once(Repeated(client), lambda: {"n": 1}) == {"n": 1}
    assert once(Repeated(client), lambda: {"n": 2}) == {"n": 1}


def test_a_key_is_in_progress_for_another_request_at_the_same_moment(client: Any) -> None:
    def inner() -> Any:
        with pytest.raises(Conflict) as caught:
            once(Repeated(client), lambda: {"n": 2})
        assert (caught.value.code, caught.value.retry_after) == ("request_in_progress", 1)
        return {"n": 1}

    assert once(Repeated(client), inner) == {"n": 1}
