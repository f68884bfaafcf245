"""Client keys in the table: one partition, one item for each key's SHA-256."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.adapters.aws import translated
from likeness.adapters.items import client_key_key, decode_item
from likeness.domain.caller import Caller

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoClientKeys:
    """The port ``ClientKeys``."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client, self._table = client, table

    def find(self, key_hash: str) -> Caller | None:
        """See the port."""
        with translated():
            item = self._client.get_item(TableName=self._table, Key=client_key_key(key_hash)).get("Item")
        values = decode_item(item) if item else {}
        if not values or values.get("revoked_at"):
            return None
        return Caller(values["client_id"], tuple(values.get("return_origins", ())))
