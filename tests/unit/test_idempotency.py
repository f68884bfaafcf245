"""Idempotency keys across a deployment. tests/integration/test_bad_input.py tests their behaviour."""

from __future__ import annotations

import json
import time

import boto3
import pytest

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
