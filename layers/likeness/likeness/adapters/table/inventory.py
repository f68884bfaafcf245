"""The parts of an inventory export: pages of the table, the bucket, and the stored progress."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from likeness.adapters.aws import translated, update_item
from likeness.adapters.table.items import Item, decode, decode_item, encode, encode_item
from likeness.domain.inventory import Export, HeldExport, InventoryCursor, InventoryPage, Part
from likeness.errors import ConditionFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ScanInputTypeDef
    from mypy_boto3_s3.client import S3Client

_PROGRESS = encode_item({"pk": "INVENTORY", "sk": "EXPORT"})


class DynamoPages:
    """The port ``InventoryPages``, by an eventually consistent Scan, because some items are in no index.

    ``limit`` is how many items a page examines at most, None for as many as fit into 1 MB.
    """

    def __init__(self, client: DynamoDBClient, table: str, limit: int | None = None) -> None:
        self._client, self._table = client, table
        self._limit = limit

    def page(self, cursor: InventoryCursor | None) -> InventoryPage:
        """See the port. A Scan returns a partition's items together. The last, partial one of a page is read again."""
        asked: ScanInputTypeDef = {"TableName": self._table}
        if self._limit:
            asked["Limit"] = self._limit
        if cursor:
            asked["ExclusiveStartKey"] = encode_item(dict(cursor))
        with translated():
            answer = self._client.scan(**asked)
        items = [decode_item(each) for each in answer["Items"]]
        found = [list(each) for _, each in itertools.groupby(items, lambda item: item["pk"])]
        last = answer.get("LastEvaluatedKey")
        if not last:
            return InventoryPage(found, None)
        if len(found) > 1 and found[-1][0]["pk"] == last["pk"]["S"]:
            found.pop()
            return InventoryPage(found, {name: found[-1][-1][name] for name in ("pk", "sk")})
        return InventoryPage(found, decode_item(last))


class S3Exports:
    """The port ``ExportFiles`` on bucket ``bucket``."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, key: str, body: bytes) -> None:
        """See the port."""
        with translated():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)


class DynamoProgress:
    """The port ``ExportProgress`` in one item of table ``table``."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client, self._table = client, table

    def take(self, run: str, now: float, until: float) -> HeldExport | None:
        """See the port. A repeated call of the same run succeeds."""
        try:
            item = self._update(
                "SET held_by = :run, held_until = :until",
                "attribute_not_exists(held_by) OR held_by = :run OR held_until < :now",
                {":run": encode(run), ":until": encode(until), ":now": encode(now)},
            )
        except ConditionFailed:
            return None
        return HeldExport(_export(decode(item["last_export"])) if "last_export" in item else None)

    def save(self, run: str, export: Export, until: float) -> None:
        """See the port."""
        self._update(
            "SET last_export = :export, held_until = :until",
            "held_by = :run",
            {":run": encode(run), ":export": encode(_values(export)), ":until": encode(until)},
        )

    def release(self, run: str) -> None:
        """See the port."""
        try:
            self._update("REMOVE held_by, held_until", "held_by = :run", {":run": encode(run)})
        except ConditionFailed:
            return

    def _update(self, update: str, condition: str, values: Item) -> Item:
        return update_item(self._client, self._table, _PROGRESS, update, condition, values, ReturnValues="ALL_NEW")


def _values(export: Export) -> Item:
    return {
        "id": export.id,
        "started_at": export.started_at,
        "finished_at": export.finished_at,
        "cursor": export.cursor and dict(export.cursor),
        "parts": [[each.name, each.lines, each.size, each.sha256] for each in export.parts],
        "counts": dict(export.counts),
    }


def _export(values: Item) -> Export:
    return Export(
        id=values["id"],
        started_at=values["started_at"],
        finished_at=values.get("finished_at"),
        cursor=values.get("cursor"),
        parts=tuple(Part(*each) for each in values["parts"]),
        counts=values["counts"],
    )
