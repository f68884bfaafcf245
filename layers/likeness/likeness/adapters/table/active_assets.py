"""Active assets by client, from the index ClientAssets, and the progress of the sweep over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from likeness.adapters.aws import get_items, translated
from likeness.adapters.table.items import CLIENT_KEYS, asset_from, asset_key, decode_item, encode, encode_item
from likeness.domain.asset import Asset
from likeness.domain.recheck import Recheck, Suspect
from likeness.errors import ConditionFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_PROGRESS = encode_item({"pk": "RECHECK", "sk": "ROUND"})
#: Index items that one query examines. Most assets are active, so few queries return nothing.
_EXAMINED = 200


class DynamoActiveAssets:
    """The port ``ActiveAssets`` on table ``table``."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client, self._table = client, table

    def progress(self) -> Recheck | None:
        """See the port."""
        with translated():
            item = self._client.get_item(TableName=self._table, Key=_PROGRESS, ConsistentRead=True).get("Item")
        if not item:
            return None
        values = decode_item(item)
        suspects = tuple(Suspect(**each) for each in values.pop("suspects"))
        return Recheck(**{name: each for name, each in values.items() if name not in ("pk", "sk")}, suspects=suspects)

    def save(self, recheck: Recheck) -> bool:
        """See the port."""
        following = replace(recheck, version=recheck.version + 1)
        item = encode_item(asdict(following) | {"suspects": [asdict(each) for each in recheck.suspects]}) | _PROGRESS
        condition = "attribute_not_exists(pk) OR #version = :read"
        try:
            with translated():
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression=condition,
                    ExpressionAttributeNames={"#version": "version"},
                    ExpressionAttributeValues={":read": encode(recheck.version)},
                )
        except ConditionFailed:
            return False
        return True

    def clients(self) -> list[str]:
        """See the port. Includes clients with revoked keys only, because their assets still exist."""
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": encode(CLIENT_KEYS)},
            "ProjectionExpression": "client_id",
        }
        found: set[str] = set()
        while True:
            with translated():
                page = self._client.query(**query)
            found |= {each["client_id"]["S"] for each in page["Items"]}
            if not page.get("LastEvaluatedKey"):
                return sorted(found)
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def ids(self, client_id: str, after: str, limit: int) -> tuple[list[tuple[str, str]], str | None]:
        """See the port. One Query, which may return fewer than ``limit`` although more follow."""
        with translated():
            page = self._client.query(
                TableName=self._table,
                IndexName="ClientAssets",
                KeyConditionExpression="asset_client_id = :client AND id > :after",
                FilterExpression="#status = :active",
                ProjectionExpression="pk, id",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":client": encode(client_id),
                    ":after": encode(after or "ast_"),
                    ":active": encode("active"),
                },
                Limit=_EXAMINED,
            )
        found = [(each["pk"]["S"].partition("#")[2], each["id"]["S"]) for each in page["Items"]]
        if len(found) > limit:
            return found[:limit], found[limit - 1][1]
        last = page.get("LastEvaluatedKey")
        return found, last["id"]["S"] if last else None

    def load(self, ids: Sequence[tuple[str, str]]) -> list[Asset]:
        """See the port. One BatchGetItem. Raises StorageUnavailable if it leaves items unprocessed."""
        if not ids:
            return []
        items = get_items(self._client, self._table, [asset_key(*each) for each in ids])
        return sorted((asset_from(each) for each in items), key=lambda each: each.id)
