"""Powertools' store of responses, for which a write that is repeated is still one write."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemAlreadyExistsError
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
    from mypy_boto3_dynamodb.client import DynamoDBClient

_OWNER = "owner"


class StoredAnswers(DynamoDBPersistenceLayer):
    """Stores responses in a table. Each invocation that begins writes a random ``owner`` with its key.

    When the response to that write is lost, botocore sends it again, and its condition fails on the item that the first
    one wrote: without an owner, a request would be in progress for itself until the function's timeout is over.
    """

    def __init__(self, table_name: str, client: DynamoDBClient) -> None:
        self._owned = _Owned(client)
        super().__init__(table_name, boto3_client=cast("DynamoDBClient", self._owned))

    def _put_record(self, data_record: DataRecord) -> None:
        self._owned.owner = secrets.token_hex(16)
        try:
            super()._put_record(data_record)
        except IdempotencyItemAlreadyExistsError as exc:
            refused = exc.__cause__
            response: Any = refused.response if isinstance(refused, ClientError) else {}
            if response.get("Item", {}).get(_OWNER) != {"S": self._owned.owner}:
                raise


class _Owned:
    """A client of DynamoDB that adds the owner to what it puts."""

    owner = ""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client

    def put_item(self, *, Item: dict[str, Any], **request: Any) -> Any:  # noqa: N803 - DynamoDB's name
        return self._client.put_item(Item=Item | {_OWNER: {"S": self.owner}}, **request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)
