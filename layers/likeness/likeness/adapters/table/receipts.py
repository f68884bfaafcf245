"""Receipts in the table: an item per receipt, named by its SHA-256, and the valid one of each holder in the session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from likeness.adapters.aws import despite_conflicts, translated
from likeness.adapters.table.items import Item, decode_item, encode, encode_item, receipt_key, session_key
from likeness.domain.caller import Caller
from likeness.domain.receipt import PENDING_SECONDS, Holder, IssuedReceipt, Receipt

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from likeness.domain.session import Session


class DynamoReceipts:
    """The port ``Receipts``, and the one of the same name of steps/onboarding/authorize.py."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client, self._table = client, table

    def find(self, digest: str) -> Caller | None:
        """See the port."""
        with translated():
            item = self._client.get_item(TableName=self._table, Key=receipt_key(digest)).get("Item")
        if not item:
            return None
        values = decode_item(item)
        return Caller(
            values["client_id"],
            session_id=values["session_id"],
            receipt=digest,
            holder=Holder(values["holder"]),
            replaces=values.get("replaces", ""),
        )

    def add(self, issued: IssuedReceipt, before: Receipt | None) -> None:
        """See the port."""
        self._transact(
            [
                self._put(issued),
                self._session(
                    issued.session_id,
                    issued.holder,
                    "SET #receipt = :receipt",
                    "NOT #status = :redacted AND "
                    + ("#receipt.digest = :before" if before else "attribute_not_exists(#receipt)"),
                    {"receipt": issued.receipt, "redacted": "redacted"} | ({"before": before.digest} if before else {}),
                ),
                *([self._delete(before.digest)] if before else []),
            ]
        )

    def add_pending(self, issued: IssuedReceipt) -> None:
        """See the port."""
        still_valid: TransactWriteItemTypeDef = {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": session_key(issued.session_id),
                "ConditionExpression": "#receipt.digest = :replaces AND NOT #status = :redacted",
                "ExpressionAttributeNames": {"#receipt": _field(issued.holder), "#status": "status"},
                "ExpressionAttributeValues": _values(replaces=issued.replaces, redacted="redacted"),
            }
        }
        self._transact([self._put(issued, ttl=int(issued.created_at + PENDING_SECONDS)), still_valid])

    def use(self, session_id: str, holder: Holder, receipt: Receipt, replaces: str) -> None:
        """See the port."""
        keep: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": receipt_key(receipt.digest),
                "UpdateExpression": "REMOVE #ttl, replaces",
                "ConditionExpression": "attribute_exists(pk)",
                "ExpressionAttributeNames": {"#ttl": "ttl"},
            }
        }
        valid = self._session(
            session_id,
            holder,
            "SET #receipt = :receipt",
            "#receipt.digest IN (:replaces, :digest)",
            {"receipt": receipt, "replaces": replaces, "digest": receipt.digest},
        )
        self._transact([keep, valid, self._delete(replaces)])

    def revoke(self, session: Session, holder: Holder) -> None:
        """See the port."""
        valid = session.receipt_of(holder)
        if valid:
            end = self._session(
                session.id, holder, "REMOVE #receipt", "#receipt.digest = :digest", {"digest": valid.digest}
            )
            self._transact([end, self._delete(valid.digest)])

    def _put(self, issued: IssuedReceipt, ttl: int | None = None) -> TransactWriteItemTypeDef:
        values = {
            "session_id": issued.session_id,
            "client_id": issued.client_id,
            "holder": issued.holder,
            "created_at": issued.created_at,
            "replaces": issued.replaces,
            "ttl": ttl,
        }
        return {"Put": {"TableName": self._table, "Item": encode_item(values) | receipt_key(issued.digest)}}

    def _session(
        self,
        session_id: str,
        holder: Holder,
        change: str,
        condition: str,
        values: dict[str, Any],
    ) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self._table,
                "Key": session_key(session_id),
                "UpdateExpression": change,
                "ConditionExpression": f"attribute_exists(pk) AND {condition}",
                "ExpressionAttributeNames": {"#receipt": _field(holder)}
                | ({"#status": "status"} if "#status" in condition else {}),
                "ExpressionAttributeValues": _values(**values),
            }
        }

    def _delete(self, digest: str) -> TransactWriteItemTypeDef:
        return {"Delete": {"TableName": self._table, "Key": receipt_key(digest)}}

    def _transact(self, items: Sequence[TransactWriteItemTypeDef]) -> None:
        with translated():
            despite_conflicts(lambda: self._client.transact_write_items(TransactItems=items))


def _field(holder: Holder) -> str:
    """Returns the attribute of the session that has the holder's receipt."""
    return f"{holder.value}_receipt"


def _values(**values: Any) -> Item:
    return {f":{name}": encode(value) for name, value in values.items()}
