"""Creates, lists, rotates and revokes client keys. Only a key's SHA-256 is stored; the key itself is shown once."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from likeness.adapters.table.client_keys import client_key_from
from likeness.adapters.table.items import CLIENT_KEYS, client_key_key, decode_item, encode, encode_item
from likeness.domain.caller import ClientKey, key_digest
from likeness.domain.links import origin_of

_DEFAULT_PORT = {"https": ":443", "http": ":80"}
PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,39}")
CLIENT_ID = re.compile(r"[a-z0-9-]{1,32}")


class ClientKeys:
    """The keys in ``table``, through a low-level DynamoDB client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def add(
        self,
        client_id: str,
        return_origins: Sequence[str] = (),
        purpose: str = "",
        daily_credits: float | None = None,
        *,
        sees_balance: bool = False,
    ) -> str:
        """Creates a key for ``client_id`` and returns it; it cannot be read again.

        ``purpose`` applies to the key's use checks and generations that name none. ``daily_credits`` is the client's
        budget for generations of a UTC day, and ``sees_balance`` whether it may read the account's balance. Raises
        ValueError when the id, an origin, the purpose or the budget is malformed.
        """
        if not CLIENT_ID.fullmatch(client_id):
            raise ValueError(f"client id {client_id!r}: 1 to 32 of a-z, 0-9 and -")
        origins = [_origin(each) for each in return_origins]
        if purpose and not PURPOSE.fullmatch(purpose):
            raise ValueError(f"purpose {purpose!r}: an id in purposes.json, of a-z, 0-9 and _")
        if daily_credits is not None and not (math.isfinite(daily_credits) and daily_credits > 0):
            raise ValueError("daily credits: a number above 0")
        key = f"lk_{secrets.token_urlsafe(32)}"
        digest = key_digest(key)
        item: dict[str, Any] = {
            "key_id": digest[:12],
            "client_id": client_id,
            "return_origins": list(dict.fromkeys(origins)),
            "created_at": _now(),
        }
        chosen = {"purpose": purpose or None, "daily_credits": daily_credits, "sees_balance": sees_balance or None}
        item |= {name: each for name, each in chosen.items() if each is not None}
        self._client.put_item(
            TableName=self._table,
            Item=encode_item(item) | client_key_key(digest),
            ConditionExpression="attribute_not_exists(pk)",
        )
        return key

    def known(self) -> list[ClientKey]:
        """Returns every key, including revoked ones."""
        return [client_key_from(each) for each in self._items("")]

    def rotate(self, key_id: str) -> str:
        """Creates another key like ``key_id``, for the same client, and returns it; the old key still works.

        Raises ValueError when the key does not exist, or is revoked: a rotation must not restore access.
        """
        found = next((each for each in self.known() if each.key_id == key_id), None)
        if not found:
            raise ValueError(f"no key has the id {key_id}")
        if found.revoked_at:
            raise ValueError(f"{key_id} is revoked; create a new key with: client add --client-id {found.client_id}")
        return self.add(
            found.client_id,
            found.return_origins,
            found.purpose,
            found.daily_credits,
            sees_balance=found.sees_balance,
        )

    def revoke(self, key_id: str) -> bool:
        """Revokes a key, and returns False when it does not exist. The authorizer's cache keeps it for five minutes."""
        found = [each for each in self._items(key_id) if each["key_id"] == key_id]
        for each in found:
            self._client.update_item(
                TableName=self._table,
                Key=client_key_key(each["sk"]),
                UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now)",
                ExpressionAttributeValues={":now": encode(_now())},
            )
        return bool(found)

    def _items(self, prefix: str) -> list[dict[str, Any]]:
        condition = "pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else "")
        values = {":pk": encode(CLIENT_KEYS)} | ({":prefix": encode(prefix)} if prefix else {})
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table, KeyConditionExpression=condition, ExpressionAttributeValues=values
        )
        return [decode_item(item) for page in pages for item in page["Items"]]


def _origin(given: str) -> str:
    """Returns an origin in the normalised form that browsers use; ValueError when it is malformed."""
    found = origin_of(given)
    if found is None or given.lower().removeprefix(found).removeprefix(_DEFAULT_PORT[found.partition(":")[0]]):
        raise ValueError(f"return origin {given!r}: https://host[:port], nothing after it")
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
