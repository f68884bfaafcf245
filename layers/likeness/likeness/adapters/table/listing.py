"""Lists a client's sessions from the indexes, with filters. One call does bounded work, whatever it finds.

A crun id, or the id of an asset, leads to its sessions by a key. Any other filter is applied while the client's own
index is read from the newest session on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.adapters.aws import get_items, translated
from likeness.adapters.table.cursors import cursor_after, position_of
from likeness.adapters.table.items import UPSTREAM_ID, Item, encode, session_from, session_key
from likeness.adapters.table.upstream_ids import is_asset
from likeness.domain.ids import ASSET_ID, SESSION_ID, bare, milliseconds_of, ulid_before
from likeness.domain.session import Session, SessionFilter, SessionPage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_INDEX = "ClientSessions"
_ASSET_INDEX = "ClientAssets"
_UPSTREAM_INDEX = "UpstreamIds"
#: A listing with a filter reads at most this many pages of this many rows before it returns a cursor.
_PAGES_PER_CALL = 5
_ROWS_PER_PAGE = 200
#: How many sessions one crun id leads to at most. crun gives each check a group of its own, so there is hardly
#: ever more than one.
_SESSIONS_PER_ID = 100
#: The longest index key that DynamoDB accepts, in bytes. A longer id belongs to no item.
_LONGEST_KEY = 1024
#: Sorts before and after every ULID.
_FIRST, _LAST = "0" * 26, "Z" * 26


def list_sessions(
    client: DynamoDBClient, table: str, client_id: str, *, limit: int, cursor: str | None, wanted: SessionFilter
) -> SessionPage:
    """Returns a page of the sessions that match ``wanted``, newest first. Raises InvalidRequest for the cursor.

    The cursor only says where to continue. It is opaque to the caller, and shows nothing of another client.
    """
    oldest, newest = wanted.oldest or _FIRST, wanted.newest or _LAST
    position = position_of(cursor, SESSION_ID)
    if position is not None:
        after = bare(position)
        if after == _FIRST:
            return SessionPage([], None)
        newest = min(newest, ulid_before(after))
    if oldest > newest:
        return SessionPage([], None)
    if wanted.asset_id is None and wanted.group_id is None:
        return _walk(client, table, client_id, oldest, newest, limit, wanted)
    ids = _sessions_of(client, table, client_id, wanted)
    keys = [session_key(each) for each in sorted(ids, reverse=True) if oldest <= bare(each) <= newest]
    rows = get_items(client, table, keys) if keys else []
    sessions = [each for each in map(session_from, rows) if each.client_id == client_id and wanted.matches(each)]
    sessions.sort(key=lambda each: each.id, reverse=True)
    rest = sessions[limit - 1].id if len(sessions) > limit else None
    return _page(sessions[:limit], rest, len(rows))


def _walk(
    client: DynamoDBClient, table: str, client_id: str, oldest: str, newest: str, limit: int, wanted: SessionFilter
) -> SessionPage:
    """Reads the client's index from ``newest`` down to ``oldest`` (ULIDs), until the page is full."""
    query: Item = {
        "TableName": table,
        "IndexName": _INDEX,
        "KeyConditionExpression": "client_id = :client AND id BETWEEN :oldest AND :newest",
        "ExpressionAttributeValues": _values(client=client_id, oldest=f"ses_{oldest}", newest=f"ses_{newest}"),
        "ScanIndexForward": False,
        "Limit": limit,
    }
    conditions = []
    exact = {"status": wanted.status, "reference": wanted.reference}
    for name, value in exact.items():
        if value is not None:
            conditions.append(f"#{name} = :{name}")
            query["ExpressionAttributeValues"] |= _values(**{name: value})
    if wanted.reference_contains is not None:
        conditions.append("contains(#reference, :part)")
        query["ExpressionAttributeValues"] |= _values(part=wanted.reference_contains)
    if conditions:
        expression = " AND ".join(conditions)
        query["FilterExpression"] = expression
        query["ExpressionAttributeNames"] = {f"#{each}": each for each in exact if f"#{each}" in expression}
        query["Limit"] = max(limit, _ROWS_PER_PAGE)
    found: list[Session] = []
    examined = 0
    for _ in range(_PAGES_PER_CALL):
        with translated():
            page = client.query(**query)
        found += [session_from(item) for item in page["Items"]]
        examined += page["ScannedCount"]
        last = page.get("LastEvaluatedKey")
        if not last or len(found) >= limit:
            break
        query["ExclusiveStartKey"] = last
    if len(found) > limit or (len(found) == limit and last):
        return _page(found[:limit], found[limit - 1].id, examined)
    return _page(found, last["id"]["S"] if last else None, examined)


def _sessions_of(client: DynamoDBClient, table: str, client_id: str, wanted: SessionFilter) -> set[str]:
    """Returns the ids of the sessions to which the wanted asset and group belong, also those of other clients."""
    found = []
    if wanted.asset_id is not None and ASSET_ID.fullmatch(wanted.asset_id):
        mine = {"asset_client_id": client_id, "id": wanted.asset_id}
        found.append({session_id for session_id, _ in _keys(client, table, _ASSET_INDEX, mine)})
    elif wanted.asset_id is not None:
        keys = _keys(client, table, _UPSTREAM_INDEX, {UPSTREAM_ID: wanted.asset_id})
        found.append({session_id for session_id, sk in keys if is_asset(sk)})
    if wanted.group_id is not None:
        keys = _keys(client, table, _UPSTREAM_INDEX, {UPSTREAM_ID: wanted.group_id})
        found.append({session_id for session_id, sk in keys if sk == "SESSION"})
    return set.intersection(*found)


def _keys(client: DynamoDBClient, table: str, index: str, key: dict[str, str]) -> list[tuple[str, str]]:
    """Returns the session ids and sort keys under a key of an index. Eventually consistent."""
    if any(len(each.encode()) > _LONGEST_KEY for each in key.values()):
        return []
    with translated():
        page = client.query(
            TableName=table,
            IndexName=index,
            KeyConditionExpression=" AND ".join(f"{name} = :{name}" for name in key),
            ExpressionAttributeValues=_values(**key),
            ProjectionExpression="pk, sk",
            Limit=_SESSIONS_PER_ID,
        )
    return [(item["pk"]["S"].partition("#")[2], item["sk"]["S"]) for item in page["Items"]]


def _values(**values: str) -> Item:
    """Returns expression attribute values, with names that begin with a colon."""
    return {f":{name}": encode(value) for name, value in values.items()}


def _page(sessions: list[Session], rest: str | None, examined: int) -> SessionPage:
    """Returns a page that ends at the session ``rest``, None at the end of the list."""
    if rest is None:
        return SessionPage(sessions, None, examined)
    return SessionPage(sessions, cursor_after(rest), examined, milliseconds_of(bare(rest)) / 1000)
