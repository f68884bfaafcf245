"""Which of ours crun's ids are: by the index ``UpstreamIds``, where a session has its GroupId, an asset its AssetId."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.adapters.aws import translated
from likeness.adapters.items import UPSTREAM_ID, encode
from likeness.domain.ids import ASSET_ID

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_INDEX = "UpstreamIds"
_ASSET_INDEX = "ClientAssets"


class DynamoUpstreamIds:
    """The port ``UpstreamIds`` on table ``table`` by a low-level DynamoDB client."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client, self._table = client, table

    def session_of(self, group_id: str) -> str | None:
        """See the port."""
        found = self._keys(_INDEX, f"{UPSTREAM_ID} = :id", {":id": encode(group_id)})
        return next((session_id for session_id, sk in found if sk == "SESSION"), None)

    def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
        """See the port. Of assets that share an AssetId, the one that was registered first."""
        if ASSET_ID.fullmatch(asset_id):
            mine = {":client": encode(client_id), ":id": encode(asset_id)}
            found = self._keys(_ASSET_INDEX, "asset_client_id = :client AND id = :id", mine)
        else:
            found = self._keys(_INDEX, f"{UPSTREAM_ID} = :id", {":id": encode(asset_id)})
        assets = sorted((sk.removeprefix("ASSET#"), session_id) for session_id, sk in found if sk != "SESSION")
        return next(((session_id, found_id) for found_id, session_id in assets), None)

    def _keys(self, index: str, condition: str, values: dict[str, Any]) -> list[tuple[str, str]]:
        """Session id and sort key of what the index has, some moments old."""
        with translated():
            page = self._client.query(
                TableName=self._table,
                IndexName=index,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ProjectionExpression="pk, sk",
            )
        return [(item["pk"]["S"].partition("#")[2], item["sk"]["S"]) for item in page["Items"]]
