"""Sessions and assets as DynamoDB items, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.consent import ConsentText
from likeness.domain.due import asset_due_at, session_due_at, shard_of
from likeness.domain.fields import from_values, to_values
from likeness.domain.ids import bare
from likeness.domain.media.types import AssetType
from likeness.domain.polling import BINS, History
from likeness.domain.session import Consent, Session
from likeness.domain.stats import AssetFact, SessionFact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

Item = dict[str, Any]
Made = TypeVar("Made", Session, Asset)

#: A session of nobody who was verified or erased is deleted by DynamoDB so long after it was made, with its files that
#: never reached crun (longer than any link, token or execution lives).
RETENTION_SECONDS = 400 * 86_400
#: The key of the index by crun's ids: a session has its GroupId there, an asset its AssetId.
UPSTREAM_ID = "upstream_id"
#: An asset in one of these states, without crun's id, is worth as much as its session.
_NEVER_AT_CRUN = frozenset({AssetStatus.AWAITING_UPLOAD, AssetStatus.UPLOADED, AssetStatus.FAILED})
#: A month of the poll history is read until the next one ends.
_HISTORY_SECONDS = 100 * 86_400


def encode(value: Any) -> Item:
    """A JSON-like value or a dataclass as an attribute value. None and absent are the same: leave it out."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, (int, float)):
        return {"N": f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)}
    if isinstance(value, dict):
        return {"M": {str(name): encode(each) for name, each in value.items() if each is not None}}
    if is_dataclass(value):
        return {"M": encode_item(to_values(value))}
    return {"L": [encode(each) for each in value]}


def encode_item(values: Item) -> Item:
    """A mapping as an item, without its empty values."""
    return {name: encode(value) for name, value in values.items() if value is not None}


def decode(value: Item) -> Any:
    """The JSON-like value of an attribute value; numbers become int where they are whole, else float."""
    kind, content = next(iter(value.items()))
    if kind == "N":
        number = float(content)
        return int(number) if number.is_integer() else number
    if kind == "M":
        return {name: decode(each) for name, each in content.items()}
    if kind == "L":
        return [decode(each) for each in content]
    return content


def decode_item(item: Item) -> Item:
    """An item as a mapping of plain values."""
    return {name: decode(value) for name, value in item.items()}


def session_key(session_id: str) -> Item:
    """The primary key of a session."""
    return {"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": "SESSION"}}


def asset_key(session_id: str, asset_id: str) -> Item:
    """The primary key of an asset."""
    return {"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": f"ASSET#{asset_id}"}}


#: The partition of all client keys: few, and listed without a scan.
CLIENT_KEYS = "CLIENT_KEYS"


def client_key_key(digest: str) -> Item:
    """The primary key of a client key, by its SHA-256."""
    return {"pk": {"S": CLIENT_KEYS}, "sk": {"S": digest}}


def consent_item(session: Session, consent: Consent) -> Item:
    """An entry of the ledger. Nothing changes or deletes one; it outlives its session, and holds nothing personal.

    Its key is ``<time>#<digest>``: a text that is agreed to again after another one is a further entry. Versions before
    had the digest alone, and a time before it is what tells the two apart.
    """
    of = {"session_id": session.id, "client_id": session.client_id}
    at = datetime.fromisoformat(consent.given_at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    key = {"pk": f"CONSENT#{session.id}", "sk": f"{at}#{consent.sha256 or f'version#{consent.text_version}'}"}
    return encode_item(key | of | to_values(consent))


def consent_text_item(text: ConsentText) -> Item:
    """A text that somebody has agreed to, under its digest: the words behind the ledger's entries."""
    return encode_item(
        {
            "pk": "CONSENT_TEXTS",
            "sk": text.sha256,
            "text_version": text.version,
            "language": text.language,
            "title": text.title,
            "text": text.text,
        }
    )


def session_item(session: Session) -> Item:
    """The item of a new session."""
    return encode_item(
        to_values(session)
        | {"attempt_count": len(session.attempts), "ttl": int(session.created_at) + RETENTION_SECONDS}
        | due(session.id, session_due_at(session))
    ) | session_key(session.id)


def due(identifier: str, at: float | None) -> Item:
    """The keys of the index ``Due`` as plain values; without a time the item is not in it."""
    return {} if at is None else {"due_shard": shard_of(identifier), "due_at": at}


def _updated_at(values: Item) -> float:
    """The time of the last change. The state machine cannot compute with times: it writes its own, in ISO 8601."""
    changed: float = values["updated_at"]
    gave_up = values.get("gave_up_at")
    return changed if gave_up is None else max(changed, datetime.fromisoformat(gave_up).timestamp())


def session_from(item: Item) -> Session:
    """The session in an item of the table or of its index (which holds no attempts)."""
    return _from_item(Session, item)


def asset_item(asset: Asset) -> Item:
    """The whole item of an asset."""
    return encode_item(
        to_values(asset)
        | {
            UPSTREAM_ID: asset.crun_asset_id,
            # What is written later, on the way to crun, has none.
            "ttl": int(asset.created_at) + RETENTION_SECONDS if _expires(asset) else None,
        }
        | due(asset.id, asset_due_at(asset))
    ) | asset_key(asset.session_id, asset.id)


def asset_from(item: Item) -> Asset:
    """The asset in an item."""
    return _from_item(Asset, item)


def _from_item(made: type[Made], item: Item) -> Made:
    values = decode_item(item)
    return from_values(made, values | {"updated_at": _updated_at(values)})


def _expires(asset: Asset) -> bool:
    return asset.status in _NEVER_AT_CRUN and not asset.crun_asset_id


def earlier_ids(session_id: str) -> str:
    """The partition of the AssetIds that files of a session had before."""
    return f"EARLIER#{session_id}"


def earlier_id_item(asset: Asset) -> Item:
    """An AssetId that was told and is another one now; at most one for an asset, which is given to crun again once."""
    return encode_item({"pk": earlier_ids(asset.session_id), "sk": asset.id, UPSTREAM_ID: asset.crun_asset_id})


def session_fact(item: Item) -> SessionFact:
    """What is counted of a session, out of an item of its index."""
    values = decode_item(item)
    return SessionFact(bare(values["id"]), values["status"], values.get("last_error", {}).get("code"))


def asset_fact(item: Item) -> AssetFact:
    """What is counted of an asset, out of an item of its index."""
    values = decode_item(item)
    submitted, activated = values.get("submitted_at"), values.get("activated_at")
    return AssetFact(
        bare(values["id"]),
        values["status"],
        values.get("error", {}).get("code"),
        None if submitted is None or activated is None else activated - submitted,
    )


#: The partition of how long assets took to turn Active: an item for each month and type, and nothing personal in it.
POLL_HISTORY = "POLL_HISTORY"


def history_months(now: float) -> tuple[str, str]:
    """The last month and this one, as ``yyyy-mm``."""
    day = datetime.fromtimestamp(now, UTC)
    return (day.replace(day=1) - timedelta(days=1)).strftime("%Y-%m"), day.strftime("%Y-%m")


def history_update(table: str, asset_type: AssetType, now: float, seen: History) -> UpdateTypeDef:
    """The update in table ``table`` that adds ``seen`` to the month of ``now``."""
    added = {f"b{index}": count for index, count in enumerate(seen.counts) if count}
    added |= {"never": seen.never} if seen.never else {}
    return {
        "TableName": table,
        "Key": {"pk": {"S": POLL_HISTORY}, "sk": {"S": f"{history_months(now)[1]}#{asset_type}"}},
        "UpdateExpression": "SET #ttl = :ttl ADD " + ", ".join(f"{name} :{name}" for name in added),
        "ExpressionAttributeNames": {"#ttl": "ttl"},
        "ExpressionAttributeValues": {f":{name}": encode(count) for name, count in added.items()}
        | {":ttl": encode(int(now) + _HISTORY_SECONDS)},
    }


def history_from(items: Iterable[Item]) -> History:
    """The sum of months of one type."""
    months = [decode_item(item) for item in items]

    def total(name: str) -> float:
        return sum(float(month.get(name, 0)) for month in months)

    return History(tuple(total(f"b{index}") for index in range(BINS)), total("never"))
