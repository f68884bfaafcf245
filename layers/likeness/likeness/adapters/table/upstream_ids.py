"""Finds sessions by GroupId and assets by AssetId, in the index ``UpstreamIds``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from likeness.adapters.aws import translated
from likeness.adapters.table.items import UPSTREAM_ID, Item, asset_key, decode_item, encode, session_key
from likeness.domain.asset import AssetStatus
from likeness.domain.ids import ASSET_ID
from likeness.domain.session import SessionStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_INDEX = "UpstreamIds"
_ASSET_INDEX = "ClientAssets"
#: The longest index key that DynamoDB accepts, in bytes. A longer id belongs to no item.
_LONGEST_KEY = 1024


def is_asset(sort_key: str) -> bool:
    """Returns whether an item of the index is an asset, or an earlier id of one: sessions and tasks are in it too."""
    return sort_key.startswith(("ASSET#", "ast_"))


class DynamoUpstreamIds:
    """The port ``UpstreamIds`` on table ``table`` by a low-level DynamoDB client."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client, self._table = client, table

    def session_of(self, group_id: str, client_id: str | None = None) -> str | None:
        """See the port."""
        found = self._keys(_INDEX, f"{UPSTREAM_ID} = :id", {":id": encode(group_id)})
        keys = [session_key(session_id) for session_id, sk in sorted(found) if sk == "SESSION"]
        one = self._preferred(keys, "client_id", client_id, (SessionStatus.CANCELED, SessionStatus.REDACTED))
        return one["pk"]["S"].partition("#")[2] if one else None

    def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
        """See the port."""
        if ASSET_ID.fullmatch(asset_id):
            mine = {":client": encode(client_id), ":id": encode(asset_id)}
            found = self._keys(_ASSET_INDEX, "asset_client_id = :client AND id = :id", mine)
        else:
            found = self._keys(_INDEX, f"{UPSTREAM_ID} = :id", {":id": encode(asset_id)})
        # Earlier ids of one asset, from the second on, have a number after the asset's id.
        assets = sorted(
            (sk.removeprefix("ASSET#").partition("#")[0], session_id) for session_id, sk in found if is_asset(sk)
        )
        keys = [asset_key(session_id, found_id) for found_id, session_id in assets]
        one = self._preferred(keys, "asset_client_id", client_id, (AssetStatus.REDACTED,))
        return (one["pk"]["S"].partition("#")[2], one["sk"]["S"].removeprefix("ASSET#")) if one else None

    def _preferred(
        self, keys: list[Item], client_attribute: str, client_id: str | None, over: Sequence[str]
    ) -> Item | None:
        """Returns the first key whose row is the client's and not in a status of ``over``, else the first key."""
        for key in keys if len(keys) > 1 else ():
            with translated():
                answer = self._client.get_item(
                    TableName=self._table,
                    Key=key,
                    ConsistentRead=True,
                    ProjectionExpression="#client, #status",
                    ExpressionAttributeNames={"#client": client_attribute, "#status": "status"},
                )
            row = decode_item(answer.get("Item", {}))
            if row.get(client_attribute) == client_id and row.get("status") not in over:
                return key
        return next(iter(keys), None)

    def _keys(self, index: str, condition: str, values: dict[str, Any]) -> list[tuple[str, str]]:
        """Returns session ids and sort keys from an index. Eventually consistent."""
        if len(values[":id"]["S"].encode()) > _LONGEST_KEY:
            return []
        with translated():
            page = self._client.query(
                TableName=self._table,
                IndexName=index,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ProjectionExpression="pk, sk",
            )
        return [(item["pk"]["S"].partition("#")[2], item["sk"]["S"]) for item in page["Items"]]
