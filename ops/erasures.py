"""crun's side of the erasures: what is still at crun, what its support was asked, and what it has answered.

The records are in the rows of the erased sessions and assets, so that the API and the export show them. A record is
written only by an operator's command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from likeness.adapters.table.items import UPSTREAM_ID, Item, asset_from, decode_item, encode, session_from
from likeness.contracts.views import deletion_view
from likeness.domain.asset import Asset
from likeness.domain.deletions import (
    DeletionKind,
    DeletionRequest,
    InvalidDeletion,
    asset_deletions,
    deletions,
    group_deletions,
    newest,
    stored_deletions,
)
from likeness.domain.session import Session, StoredDeletions
from likeness.domain.times import iso
from ops.stack import Stack

#: How often a write is retried when another command has changed the same row.
_TRIES = 5


class RefusedRecord(ValueError):
    """When a record cannot be written; the message has one line for each id. Nothing was written."""


class OvertakenRecord(ValueError):
    """When another command has changed a record at the same time. The message names the id."""


@dataclass(frozen=True, slots=True)
class ErasedRow:
    """An erased session or asset with ids at crun. ``erased_at`` is epoch seconds, None while the erasure is not over.

    ``of_erased_session`` is False for one file that was erased alone: its person's other files stay.
    """

    session_id: str
    asset_id: str | None
    client_id: str
    erased_at: float | None
    of_erased_session: bool
    requests: list[DeletionRequest]


@dataclass(frozen=True, slots=True)
class Entry:
    """One id of an erased session or asset at crun."""

    row: ErasedRow
    request: DeletionRequest

    def view(self) -> dict[str, Any]:
        """Returns the entry in JSON, with times in ISO 8601."""
        found = {"session_id": self.row.session_id, "asset_id": self.row.asset_id, "client_id": self.row.client_id}
        return found | {"erased_at": iso(self.row.erased_at)} | deletion_view(self.request)


class Erasures:
    """The erased sessions and assets of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._client, self._table = stack.client("dynamodb"), stack.outputs["TableName"]

    def entries(self) -> list[Entry]:
        """Returns every id that crun has of an erased session or asset, oldest session first. Reads the whole table.

        Several rows may have the same id: all their entries have the request that was recorded last.
        """
        rows = self._rows()
        last = {each.id: each for each in newest(request for row in rows for request in row.requests)}
        return [Entry(row, last[request.id]) for row in rows for request in row.requests]

    def named(self, names: Sequence[str], entries: Iterable[Entry]) -> list[Entry]:
        """Returns the entries of ``names``: crun's ids, or our ids of erased sessions and assets.

        Raises RefusedRecord when a name has none.
        """
        known: dict[str, list[Entry]] = {}
        for each in entries:
            for name in {each.request.id, each.row.session_id, each.row.asset_id}:
                if name:
                    known.setdefault(name, []).append(each)
        unknown = [name for name in names if name not in known]
        if unknown:
            reason = "no erased session or file has this id, or crun has nothing of it; see: erasure list"
            raise RefusedRecord("\n".join(f"{name}: {reason}" for name in unknown))
        ids = {each.request.id for name in names for each in known[name]}
        return [each for one in sorted(ids) for each in known[one]]

    def record(
        self, entries: Sequence[Entry], change: Callable[[DeletionRequest], DeletionRequest]
    ) -> dict[str, DeletionRequest]:
        """Writes the changed requests of ``entries``, and returns them by id.

        Raises RefusedRecord when one of them may not change; then nothing was written. Raises OvertakenRecord or
        ClientError when the rest was not written. A repetition is safe.
        """
        changed, problems = [], {}
        for each in entries:
            try:
                changed.append((each, change(each.request)))
            except InvalidDeletion as exc:
                problems[each.request.id] = str(exc)
        if problems:
            raise RefusedRecord("\n".join(f"{name}: {problem}" for name, problem in problems.items()))
        for each, after in changed:
            self._write(each, after)
        return {after.id: after for _, after in changed}

    def users(self, ids: Iterable[str]) -> dict[str, str]:
        """Returns those of ``ids`` that a session or an asset uses that is not erased, with our id of that one.

        crun's deletion would end its use too. Rows of earlier versions count after `inventory keep`.
        """
        found = {}
        for each in sorted(set(ids)):
            user = next((key for key in self._keys(each) if self._is_in_use(key)), None)
            if user:
                session_id, asset = user["pk"]["S"].partition("#")[2], user["sk"]["S"].partition("#")[2]
                found[each] = asset or session_id
        return found

    def _rows(self) -> list[ErasedRow]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="#status = :redacted AND begins_with(pk, :sessions)",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":redacted": encode("redacted"), ":sessions": encode("SESSION#")},
        )
        sessions: list[Session] = []
        assets: list[Asset] = []
        for item in (item for page in pages for item in page["Items"]):
            if item["sk"]["S"] == "SESSION":
                sessions.append(session_from(item))
            else:
                assets.append(asset_from(item))
        erased = {each.id: each for each in sessions}
        rows = [
            ErasedRow(each.id, None, each.client_id, each.erased_at, True, group_deletions(each)) for each in sessions
        ]
        for asset in assets:
            session = erased.get(asset.session_id)
            at = session.erased_at if session else asset.updated_at
            client_id = session.client_id if session else asset.client_id
            found = asset_deletions(asset)
            rows.append(ErasedRow(asset.session_id, asset.id, client_id, at, session is not None, found))
        kept = [each for each in rows if each.requests]
        return sorted(kept, key=lambda each: (each.session_id, each.asset_id or ""))

    def _write(self, entry: Entry, after: DeletionRequest) -> None:
        """Writes a request to the entry's row. Raises OvertakenRecord when it was changed since it was read."""

        def changed(stored: StoredDeletions) -> StoredDeletions:
            (now,) = deletions(after.kind, [after.id], stored)
            if (now.recorded_at or 0) > (entry.request.recorded_at or 0):
                raise OvertakenRecord(f"{after.id} was changed by another command at the same time")
            return {**stored, **stored_deletions([after])}

        row = entry.row
        sk = "SESSION" if row.asset_id is None else f"ASSET#{row.asset_id}"
        key = {"pk": encode(f"SESSION#{row.session_id}"), "sk": encode(sk)}
        change_deletions(self._client, self._table, key, changed)

    def _keys(self, upstream_id: str) -> list[Item]:
        page = self._client.query(
            TableName=self._table,
            IndexName="UpstreamIds",
            KeyConditionExpression=f"{UPSTREAM_ID} = :id",
            ExpressionAttributeValues={":id": encode(upstream_id)},
        )
        keys = [{name: item[name] for name in ("pk", "sk")} for item in page["Items"]]
        return [each for each in keys if each["pk"]["S"].startswith("SESSION#")]

    def _is_in_use(self, key: Item) -> bool:
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return bool(item) and item["status"]["S"] != "redacted"


def change_deletions(client: Any, table: str, key: Item, change: Callable[[StoredDeletions], StoredDeletions]) -> bool:
    """Changes the records of the erased row ``key`` in ``table``. Returns False when there is nothing to change.

    Raises ClientError when the row is not erased or changes all the time.
    """
    for attempt in range(1, _TRIES + 1):
        item = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        before = decode_item(item).get("deletion_requests")
        after = change(before or {})
        if after == (before or {}):
            return False
        same = "attribute_not_exists(deletion_requests)" if before is None else "deletion_requests = :before"
        values = {":after": after, ":redacted": "redacted"} | ({} if before is None else {":before": before})
        try:
            client.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET deletion_requests = :after",
                ConditionExpression=f"#status = :redacted AND {same}",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={name: encode(value) for name, value in values.items()},
            )
        except client.exceptions.ConditionalCheckFailedException:
            if attempt == _TRIES:
                raise
        else:
            return True
    return False


# -- the letter ------------------------------------------------------------------------------------------------------

_INTRODUCTION = """\
Subject: Request to delete biometric data: {count}

Dear crun support team,

We have erased the data of the people below on our side, because they asked
for it or because we no longer need it. You may still have copies: groups,
which are results of face checks, and assets, which are pictures, videos and
voice recordings of these people. Your API has no call that deletes them.

Please delete these in our account, with all copies, by {by}:
"""
_ALONE = """\
Of the people below, delete only these assets. Keep their groups and their
other assets.
"""
_CLOSING = """\
Why: the GDPR (articles 17 and 19) and the laws on biometric data require
that data about a person's face and voice are deleted when the person asks
for it or they are no longer needed, also by those who received them from us.

Please answer for each id with one of these:
- deleted, and the day of the deletion;
- not yet, with the reason and the first day on which it can be deleted. We
  know that this may depend on the end of a group's authorisation.

We count an id as deleted only when you have confirmed it.

Kind regards,
{sender}
"""
_NOBODY = "The operator of this account"


def letter(entries: Sequence[Entry], by: float, sender: str = "") -> str:
    """Returns the letter to crun's support about ``entries``: at least one, all of erasures that are over.

    ``by`` is the last day for the deletion. The letter contains ids at crun and days, and no ids of ours.
    """
    parts = [_INTRODUCTION.format(count=_counted(entries), by=_day(by))]
    whole = [each for each in entries if each.row.of_erased_session]
    parts += _erasures(whole)
    ids = {each.request.id for each in whole}
    alone = [each for each in entries if not each.row.of_erased_session and each.request.id not in ids]
    if alone:
        parts += [_ALONE, *_erasures(alone)]
    return "\n".join([*parts, _CLOSING.format(sender=sender or _NOBODY)])


def ids_in(text: str) -> list[str]:
    """Returns the ids that a letter lists, in its order."""
    return re.findall(rf"^\s*- (?:{'|'.join(DeletionKind)}) (\S.*?)\s*$", text, re.MULTILINE)


def _erasures(entries: Sequence[Entry]) -> list[str]:
    people: dict[str, dict[str, Entry]] = {}
    for each in entries:
        people.setdefault(each.row.session_id, {}).setdefault(each.request.id, each)
    found = []
    for of in people.values():
        one = list(of.values())
        at = max(each.row.erased_at or 0 for each in one)
        lines = [f"  - {each.request.kind} {each.request.id}" for each in one]
        found.append("\n".join([f"Erased by us on {_day(at)}:", *lines, ""]))
    return found


def _counted(entries: Sequence[Entry]) -> str:
    parts = []
    for kind in DeletionKind:
        count = len({each.request.id for each in entries if each.request.kind is kind})
        if count:
            parts.append(f"{count} {kind}{'' if count == 1 else 's'}")
    return " and ".join(parts)


def _day(at: float) -> str:
    """Returns a day without ambiguity between countries, such as 9 January 2027."""
    year, month, day = str(iso(at))[:10].split("-")
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year}"


#: Not from the locale.
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
