"""Converts sessions and assets to DynamoDB items and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.due import asset_due_at, session_due_at, shard_of
from likeness.domain.fields import from_values, to_values
from likeness.domain.ids import bare
from likeness.domain.session import Consent, Language, Session, SessionStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

    from likeness.domain.consent import ConsentText
    from likeness.domain.polling import History
    from likeness.domain.stats import AssetFact, SessionFact
    from likeness.domain.terms import Withdrawal

Item = dict[str, Any]
Made = TypeVar("Made", Session, Asset)

#: DynamoDB deletes a session that was neither verified nor erased this long after its creation, with its assets that
#: never reached crun. No link, token or execution lives that long.
RETENTION_SECONDS = 400 * 86_400
#: The key of the index UpstreamIds: the GroupId of a session, the AssetId of an asset.
UPSTREAM_ID = "upstream_id"
#: An asset in one of these states, without an AssetId, expires with its session.
_NEVER_AT_CRUN = frozenset({AssetStatus.AWAITING_UPLOAD, AssetStatus.UPLOADED, AssetStatus.FAILED})
#: A month of the poll history is used until the next month ends.
_HISTORY_SECONDS = 100 * 86_400


def encode(value: Any) -> Item:
    """Returns a JSON-like value or a dataclass as an attribute value. None inside of it is left out."""
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
    return {"L": [encode(each) for each in value if each is not None]}


def encode_item(values: Item) -> Item:
    """Returns a mapping as an item, without values that are None."""
    return {name: encode(value) for name, value in values.items() if value is not None}


def decode(value: Item) -> Any:
    """Returns the JSON-like value of an attribute value. Whole numbers become int, others float."""
    ((kind, content),) = value.items()
    if kind == "S":
        return content
    if kind == "N":
        number = float(content)
        return int(number) if number.is_integer() else number
    if kind == "M":
        return decode_item(content)
    if kind == "L":
        return [decode(each) for each in content]
    return content


def decode_item(item: Item) -> Item:
    """Returns an item as a mapping of plain values."""
    # Most values are texts. A call for each would be a quarter of the time.
    return {name: value["S"] if "S" in value else decode(value) for name, value in item.items()}


def session_key(session_id: str) -> Item:
    """Returns the primary key of a session."""
    return {"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": "SESSION"}}


def asset_key(session_id: str, asset_id: str) -> Item:
    """Returns the primary key of an asset."""
    return {"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": f"ASSET#{asset_id}"}}


#: The partition of all client keys. They are few and can be listed without a scan.
CLIENT_KEYS = "CLIENT_KEYS"


def client_key_key(digest: str) -> Item:
    """Returns the primary key of a client key, by its SHA-256."""
    return {"pk": {"S": CLIENT_KEYS}, "sk": {"S": digest}}


def receipt_key(digest: str) -> Item:
    """Returns the primary key of a receipt, by its SHA-256."""
    return {"pk": {"S": f"RECEIPT#{digest}"}, "sk": {"S": "RECEIPT"}}


def consent_item(session: Session, consent: Consent) -> Item:
    """Returns an entry of the ledger. It is never changed or deleted, and contains no personal data.

    Its sort key is ``<time>#<digest>``, so that agreeing again to an earlier text adds an entry. Older versions used
    the digest alone.
    """
    at = datetime.fromisoformat(consent.given_at).timestamp()
    key = _ledger_key(session, at, consent.sha256 or f"version#{consent.text_version}")
    return encode_item(key | to_values(consent))


def withdrawal_item(session: Session, withdrawal: Withdrawal) -> Item:
    """Returns the entry of the ledger for a withdrawal. Its ``given_at`` is absent, its ``withdrawn_at`` set."""
    return encode_item(
        _ledger_key(session, withdrawal.at, "withdrawn")
        | {"withdrawn_at": withdrawal.at, "source": withdrawal.source, "credential": withdrawal.credential}
    )


def _ledger_key(session: Session, at: float, of: str) -> dict[str, Any]:
    time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    key = {"pk": f"CONSENT#{session.id}", "sk": f"{time}#{of}"}
    return key | {"session_id": session.id, "client_id": session.client_id}


def consent_text_key(sha256: str) -> Item:
    """Returns the primary key of a consent text."""
    return {"pk": {"S": "CONSENT_TEXTS"}, "sk": {"S": sha256}}


def consent_text_item(text: ConsentText) -> Item:
    """Returns the item of a consent text, keyed by its digest, to which the ledger's entries refer."""
    return encode_item(
        {
            "pk": "CONSENT_TEXTS",
            "sk": text.sha256,
            "text_version": text.version,
            "language": text.language,
            "title": text.title,
            "text": text.text,
            "sentences": list(text.sentences) or None,
            "terms": text.terms or None,
        }
    )


def consent_text_from(item: Item) -> ConsentText:
    """Returns the consent text in an item."""
    from likeness.domain.consent import ConsentText  # only a receipt needs it

    values = decode_item(item)
    return ConsentText(
        values["text_version"],
        Language(values["language"]),
        values["title"],
        values["text"],
        tuple(values.get("sentences", ())),
        values.get("terms", ""),
    )


def session_item(session: Session) -> Item:
    """Returns the item of a new session."""
    return encode_item(
        to_values(session)
        | {"attempt_count": len(session.attempts), "ttl": int(session.created_at) + RETENTION_SECONDS}
        | due(session.id, session_due_at(session))
    ) | session_key(session.id)


def due(identifier: str, at: float | None) -> Item:
    """Returns the keys of the index ``Due`` as plain values. Without a time, the item is not in the index."""
    return {} if at is None else {"due_shard": shard_of(identifier), "due_at": at}


def _updated_at(values: Item) -> float:
    """Returns the time of the last change. The state machine stores its times in ISO 8601."""
    changed: float = values["updated_at"]
    gave_up = values.get("gave_up_at")
    return changed if gave_up is None else max(changed, datetime.fromisoformat(gave_up).timestamp())


def session_from(item: Item) -> Session:
    """Returns the session in an item of the table or of its index (which has no attempts)."""
    return _from_item(Session, item)


def asset_item(asset: Asset) -> Item:
    """Returns the complete item of an asset."""
    return encode_item(
        to_values(asset)
        | {
            UPSTREAM_ID: asset.crun_asset_id,
            # Absent in writes after the asset was submitted.
            "ttl": int(asset.created_at) + RETENTION_SECONDS if _expires(asset) else None,
        }
        | due(asset.id, asset_due_at(asset))
    ) | asset_key(asset.session_id, asset.id)


def asset_from(item: Item) -> Asset:
    """Returns the asset in an item."""
    return _from_item(Asset, item)


def _from_item(made: type[Made], item: Item) -> Made:
    values = decode_item(item)
    return from_values(made, values | {"updated_at": _updated_at(values)})


def _expires(asset: Asset) -> bool:
    return asset.status in _NEVER_AT_CRUN and not asset.crun_asset_id


def earlier_ids(session_id: str) -> str:
    """Returns the partition key of the AssetIds that a session's files had before."""
    return f"EARLIER#{session_id}"


def earlier_id_item(asset: Asset) -> Item:
    """Returns the item of an earlier AssetId that clients have seen: the asset's current one, before it gets another.

    Its sort key is the asset's id, and after the first one ``<asset id>#<number>``.
    """
    further = "" if asset.earlier_crun_asset_id is None else f"#{asset.resubmissions + 1}"
    key = {"pk": earlier_ids(asset.session_id), "sk": asset.id + further}
    return encode_item(key | {UPSTREAM_ID: asset.crun_asset_id})


def session_fact(item: Item) -> SessionFact:
    """Returns the statistics of a session from an item of the index ``ClientProgress``.

    Sessions of earlier versions have no times of the first result and pass: other fields show most of them.
    """
    from likeness.domain.stats import SessionFact

    values = decode_item(item)
    error = values.get("last_error", {}).get("code")
    verified = "verified_at" in values
    passed = "passed_at" in values or verified or values["status"] == SessionStatus.PROCESSING
    steps = {
        "consented": "consent" in values,
        "opened": values.get("attempt_count", 0) > 0,
        "checked": "checked_at" in values or passed or error == "attempt_failed",
        "passed": passed,
        "verified": verified,
        "active": "active_at" in values,
    }
    return SessionFact(
        bare(values["id"]), values["status"], error, frozenset(name for name, reached in steps.items() if reached)
    )


def asset_fact(item: Item) -> AssetFact:
    """Returns the statistics of an asset from an item of its index."""
    from likeness.domain.stats import AssetFact

    values = decode_item(item)
    submitted, activated = values.get("submitted_at"), values.get("activated_at")
    return AssetFact(
        bare(values["id"]),
        values["status"],
        values.get("error", {}).get("code"),
        None if submitted is None or activated is None else activated - submitted,
    )


#: The partition of the poll history: an item per month and asset type or model, without personal data.
POLL_HISTORY = "POLL_HISTORY"


def history_months(now: float) -> tuple[str, str]:
    """Returns the last month and this one, as ``yyyy-mm``."""
    day = datetime.fromtimestamp(now, UTC)
    return (day.replace(day=1) - timedelta(days=1)).strftime("%Y-%m"), day.strftime("%Y-%m")


def history_update(table: str, kind: str, now: float, seen: History) -> UpdateTypeDef:
    """Returns the update of ``table`` that adds ``seen`` to the month of ``now``.

    ``kind`` is what takes the time: an asset's type, or a model.
    """
    added = {f"b{index}": count for index, count in enumerate(seen.counts) if count}
    added |= {"never": seen.never} if seen.never else {}
    return {
        "TableName": table,
        "Key": {"pk": {"S": POLL_HISTORY}, "sk": {"S": f"{history_months(now)[1]}#{kind}"}},
        "UpdateExpression": "SET #ttl = :ttl ADD " + ", ".join(f"{name} :{name}" for name in added),
        "ExpressionAttributeNames": {"#ttl": "ttl"},
        "ExpressionAttributeValues": {f":{name}": encode(count) for name, count in added.items()}
        | {":ttl": encode(int(now) + _HISTORY_SECONDS)},
    }


def history_from(items: Iterable[Item]) -> History:
    """Returns the sum over the months of one kind."""
    from likeness.domain.polling import BINS, History

    months = [decode_item(item) for item in items]

    def total(name: str) -> float:
        return sum(float(month.get(name, 0)) for month in months)

    return History(tuple(total(f"b{index}") for index in range(BINS)), total("never"))
