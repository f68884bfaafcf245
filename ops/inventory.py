"""Exports the inventory to files immediately, and restores it without overwriting anything newer.

A restore can be repeated and interrupted: every write is conditional, a tombstone replaces a session, and a revoked key
stays revoked. It writes nothing until every part has its digest and every line can be read.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from likeness.adapters.table.generation_items import GENERATION, generation_from, list_item
from likeness.adapters.table.inventory import DynamoPages
from likeness.adapters.table.items import (
    UPSTREAM_ID,
    Item,
    asset_from,
    decode_item,
    due,
    encode,
    encode_item,
    session_from,
    session_key,
)
from likeness.contracts.inventory import (
    MANIFEST,
    VERSION,
    BadLine,
    asset_items,
    erased_generation,
    generation_item,
    read_line,
    session_item,
    single_item,
)
from likeness.domain.deletions import merged
from likeness.domain.due import asset_due_at, generation_due_at, session_due_at
from likeness.domain.generation import GenerationStatus
from likeness.domain.inventory import Export, HeldExport
from likeness.domain.terms import Withdrawal
from likeness.runtime.system import SystemClock
from likeness.steps.upkeep.export_inventory import ExportFiles, ExportInventory
from ops.erasures import change_deletions

#: The error of a write when the same item or a newer one exists.
_REFUSED = "ConditionalCheckFailed"


class IncompleteExport(ValueError):
    """When an export lacks its manifest or a part, or does not match its manifest."""


# -- export ----------------------------------------------------------------------------------------------------------


class Folder:
    """The port ``ExportFiles`` for a folder on this machine; only the names of the files are used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, body: bytes) -> None:
        """See the port. Only the user can read the folder."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._folder / key.rpartition("/")[2]).write_bytes(body)


class FreshExport:
    """The port ``ExportProgress`` for an export within one command."""

    def take(self, run: str, now: float, until: float) -> HeldExport:  # noqa: ARG002, the port's
        """See the port."""
        return HeldExport(None)

    def save(self, run: str, export: Export, until: float) -> None:
        """See the port: no other run continues."""

    def release(self, run: str) -> None:
        """See the port."""


def export_now(dynamodb: Any, table: str, files: ExportFiles) -> dict[str, str | int]:
    """Writes the inventory of ``table`` to ``files``. Returns the folder and counts by kind. Raises LikenessError."""
    step = ExportInventory(DynamoPages(dynamodb, table), files, FreshExport(), SystemClock(), time.sleep, 0)
    return step(math.inf, math.inf)


# -- restore -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """An export: ``read`` returns a file's bytes by its name, or raises IncompleteExport."""

    read: Callable[[str], bytes]


def folder_source(place: Path) -> Source:
    """Returns the export in a folder, or in that of a manifest."""
    folder = place.parent if place.name == MANIFEST else place

    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as exc:
            raise IncompleteExport(f"{folder / name} cannot be read: the export is incomplete") from exc

    return Source(read)


def s3_source(s3: Any, url: str) -> Source:
    """Returns the export under ``s3://bucket/folder/``, or in the folder of a manifest."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    prefix = prefix.removesuffix(MANIFEST).rstrip("/")

    def read(name: str) -> bytes:
        key = f"{prefix}/{name}".lstrip("/")
        try:
            return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                raise
            raise IncompleteExport(f"s3://{bucket}/{key} does not exist: the export is incomplete") from exc

    return Source(read)


@dataclass(frozen=True)
class Line:
    """A readable line: its place, and the items to restore. What a line of its kind does not have is None."""

    place: str
    kind: str
    single: Item | None
    session: Item | None
    assets: list[Item]
    generation: Item | None = None


def parts_of(source: Source) -> list[str]:
    """Returns the names of the parts, after comparing every digest. Raises IncompleteExport."""
    try:
        manifest = json.loads(source.read(MANIFEST))
        version, parts = manifest["version"], [(each["name"], each["sha256"]) for each in manifest["parts"]]
    except (ValueError, KeyError, TypeError) as exc:
        if isinstance(exc, IncompleteExport):
            raise
        raise IncompleteExport(f"{MANIFEST} cannot be read") from exc
    if version != VERSION:
        raise IncompleteExport(f"{MANIFEST} has version {version}; this program reads version {VERSION}")
    for name, digest in parts:
        if "/" in str(name) or hashlib.sha256(source.read(name)).hexdigest() != digest:
            raise IncompleteExport(f"{name} does not match {MANIFEST}: its SHA-256 differs")
    return [name for name, _ in parts]


def lines_in(source: Source, part: str, bad: list[str]) -> Iterator[Line]:
    """Yields the lines of a part; those that cannot be read are added to ``bad``, by file and number."""
    for number, text in enumerate(source.read(part).splitlines(), 1):
        place = f"{part}:{number}"
        try:
            yield _line(place, read_line(text))
        except BadLine as exc:
            bad.append(f"{place}: {exc}")
        except (KeyError, ValueError, TypeError, AttributeError, StopIteration) as exc:
            # The texts of these errors may quote the line.
            bad.append(f"{place}: a field is missing or cannot be read ({type(exc).__name__})")


def _line(place: str, line: dict[str, Any]) -> Line:
    kind = line["kind"]
    if kind in ("session", "tombstone", "assets"):
        session = None if kind == "assets" else encode_item(session_item(line))
        if session:
            session_from(session)  # an item that cannot be read is not written
        assets = [encode_item(each) for each in asset_items(line)]
        for each in assets:
            asset_from(each)
        return Line(place, kind, None, session, assets)
    if kind == "generation":
        generation = encode_item(generation_item(line))
        generation_from(generation)
        return Line(place, kind, None, None, [], generation)
    return Line(place, kind, encode_item(single_item(line)), None, [])


class Restore:
    """Writes lines to ``table`` through a low-level DynamoDB client; ``counts`` has the results by kind."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table
        self.counts: Counter[str] = Counter()

    def __call__(self, lines: Iterator[Line]) -> None:
        """Restores missing items. Raises ClientError or BotoCoreError; then it can be run again."""
        for line in lines:
            self._restore(line)

    def _restore(self, line: Line) -> None:
        if line.single:
            self.counts[f"{line.kind} {self._single(line.single)}"] += 1
        if line.session:
            self.counts[f"{line.kind} {self._session(line.session)}"] += 1
        if line.generation:
            self.counts[f"generation {self._generation(line.generation)}"] += 1
        for each in line.assets:
            self.counts[f"asset {self._asset(each)}"] += 1
        for each in (*([line.session] if line.session else ()), *line.assets):
            if self._deletions(each):
                self.counts["deletion requests restored"] += 1

    def _single(self, item: Item) -> str:
        # Entries never change, except that a key is revoked, and that a use ends, which are never undone.
        last = next((each for each in ("revoked_at", "outcome") if each in item), None)
        unless = f" OR attribute_not_exists({last})" if last else ""
        return self._written([{"Put": self._put(item, f"attribute_not_exists(pk){unless}", {})}])

    def _generation(self, item: Item) -> str:
        """Restores a generation and its place in the list, without what is personal if it shows an erased person."""
        generation = generation_from(item)
        listed = [{"Put": {"TableName": self._table, "Item": list_item(generation)}}]
        if generation.status is GenerationStatus.QUEUED:  # a row in the table still has its prompt
            return self._written([{"Put": self._put(item, "attribute_not_exists(pk)", {})}, *listed])
        if generation.erased_at is not None:
            erased = "attribute_not_exists(pk) OR attribute_not_exists(erased_at)"
            return self._written([{"Put": self._put(item, erased, {})}, *listed])
        lives = "attribute_not_exists(pk) OR #status <> :redacted"
        people = [
            {"ConditionCheck": self._condition({"Key": session_key(each)}, lives, {})}
            for each in generation.session_ids
        ]
        newer = "attribute_not_exists(pk) OR (updated_at < :updated AND attribute_not_exists(erased_at))"
        put = {"Put": self._put(item, newer, {":updated": item["updated_at"]})}
        outcome = self._written([put, *listed, *people])
        if outcome == "restored":
            return outcome
        rest = encode_item(erased_generation(decode_item(item)))
        return self._written([{"Put": self._put(rest, "attribute_not_exists(pk)", {})}, *listed])

    def _session(self, item: Item) -> str:
        return self._written([{"Put": self._newer(item)}])

    def _asset(self, item: Item) -> str:
        """Checks the session in the same transaction, so that no asset is restored under a tombstone."""
        writes = [{"Put": self._newer(item)}]
        if item["status"]["S"] != "redacted":
            key = {"pk": item["pk"], "sk": {"S": "SESSION"}}
            # An asset without its session is restored too, because it has crun's id.
            lives = "attribute_not_exists(pk) OR #status <> :redacted"
            writes.append({"ConditionCheck": self._condition({"Key": key}, lives, {})})
        return self._written(writes)

    def _deletions(self, item: Item) -> bool:
        """Adds the records of requests to crun to an erased row that exists without them or with older ones."""
        exported = decode_item(item).get("deletion_requests")
        if not exported:
            return False
        key = {name: item[name] for name in ("pk", "sk")}
        with suppress(self._client.exceptions.ConditionalCheckFailedException):  # the row is not erased
            return change_deletions(self._client, self._table, key, lambda stored: merged(stored, exported))
        return False

    def _newer(self, item: Item) -> Item:
        """Returns a put that replaces only older items that are not erased; a tombstone also replaces newer ones."""
        if item["status"]["S"] == "redacted":
            return self._put(item, "attribute_not_exists(pk) OR #status <> :redacted", {})
        older = "attribute_not_exists(pk) OR (updated_at < :updated AND #status <> :redacted)"
        return self._put(item, older, {":updated": item["updated_at"]})

    def _put(self, item: Item, condition: str, values: Item) -> Item:
        return self._condition({"Item": item}, condition, values)

    def _condition(self, what: Item, condition: str, values: Item) -> Item:
        if "#status" in condition:
            what |= {"ExpressionAttributeNames": {"#status": "status"}}
            values = values | {":redacted": {"S": "redacted"}}
        what |= {"ExpressionAttributeValues": values} if values else {}
        return what | {"TableName": self._table, "ConditionExpression": condition}

    def _written(self, writes: list[dict[str, Any]]) -> str:
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as exc:
            reasons = {each.get("Code") for each in exc.response.get("CancellationReasons", [])}
            if _REFUSED not in reasons:
                raise
            return "there already"
        return "restored"


def keep_for_good(client: Any, table: str) -> int:
    """Removes ``ttl`` from the verified and the erased sessions in ``table``, and returns their number."""
    stays = "#status IN (:verified, :redacted) AND attribute_exists(#ttl)"
    names = {"#status": "status", "#ttl": "ttl"}
    values = {":verified": {"S": "verified"}, ":redacted": {"S": "redacted"}}
    pages = client.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression=f"sk = :session AND {stays}",
        ProjectionExpression="pk, sk",
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=values | {":session": {"S": "SESSION"}},
    )
    found = 0
    for key in (item for page in pages for item in page["Items"]):
        client.update_item(
            TableName=table, Key=key, UpdateExpression="REMOVE #ttl", ExpressionAttributeNames={"#ttl": "ttl"}
        )
        found += 1
    return found


def index_upstream_ids(client: Any, table: str) -> int:
    """Adds groups and assets in ``table`` to the index of crun's ids, and returns the number of those added."""
    pages = client.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="attribute_not_exists(#id)"
        " AND (attribute_exists(group_id) OR attribute_exists(crun_asset_id))",
        ProjectionExpression="pk, sk, group_id, crun_asset_id",
        ExpressionAttributeNames={"#id": UPSTREAM_ID},
    )
    found = 0
    for item in (item for page in pages for item in page["Items"]):
        # No other code sets the id of such a row, and an id never changes.
        client.update_item(
            TableName=table,
            Key={name: item[name] for name in ("pk", "sk")},
            UpdateExpression="SET #id = :id",
            ConditionExpression="group_id = :id OR crun_asset_id = :id",
            ExpressionAttributeNames={"#id": UPSTREAM_ID},
            ExpressionAttributeValues={":id": item.get("group_id") or item["crun_asset_id"]},
        )
        found += 1
    return found


def withdraw_again(client: Any, table: str) -> int:
    """Repeats withdrawals that the ledger in ``table`` has and a session lacks, and returns their number.

    After a restore, a session can be older than the ledger. A withdrawn consent is never woken.
    """
    pages = client.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(pk, :ledger)",
        ExpressionAttributeValues={":ledger": encode("CONSENT#")},
    )
    last: dict[str, Item] = {}
    for item in (item for page in pages for item in page["Items"]):
        session_id = item["pk"]["S"].partition("#")[2]
        # Entries of older versions, which have no time in their key, are no withdrawals.
        if _time_in(item) > (_time_in(last[session_id]) if session_id in last else ""):
            last[session_id] = item
    found = 0
    for session_id, item in last.items():
        if "withdrawn_at" not in item:
            continue
        values = decode_item(item)
        withdrawal = Withdrawal(values["withdrawn_at"], values["source"], values.get("credential"))
        with suppress(client.exceptions.ConditionalCheckFailedException):  # it is withdrawn, or erased
            client.update_item(
                TableName=table,
                Key=session_key(session_id),
                UpdateExpression="SET withdrawal = :withdrawal, due_shard = :due_shard, due_at = :due_at",
                ConditionExpression="attribute_exists(pk) AND attribute_not_exists(withdrawal)"
                " AND NOT #status IN (:canceled, :redacted)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":withdrawal": encode(withdrawal),
                    ":canceled": encode("canceled"),
                    ":redacted": encode("redacted"),
                }
                | {f":{name}": value for name, value in encode_item(due(session_id, withdrawal.at)).items()},
            )
            found += 1
    return found


def _time_in(entry: Item) -> str:
    """Returns the time in the key of an entry of the ledger, "" for one of an older version."""
    time, _, _ = str(entry["sk"]["S"]).partition("#")
    return time if time.endswith("Z") else ""


def make_due(client: Any, table: str) -> int:
    """Adds unfinished sessions, files and generations without a due time to the index ``Due``; returns their number.

    So reconcile checks rows of earlier versions, and those that a restore has written.
    """
    pages = client.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="attribute_not_exists(due_at)"
        " AND (begins_with(pk, :sessions) OR begins_with(pk, :generations))",
        ExpressionAttributeValues={":sessions": {"S": "SESSION#"}, ":generations": {"S": "GENERATION#"}},
    )
    found = 0
    for item in (item for page in pages for item in page["Items"]):
        values = {f":{name}": value for name, value in encode_item(due(item["id"]["S"], _due_at(item))).items()}
        if not values:
            continue
        with suppress(client.exceptions.ConditionalCheckFailedException):  # changed in the meantime
            client.update_item(
                TableName=table,
                Key={name: item[name] for name in ("pk", "sk")},
                UpdateExpression="SET due_shard = :due_shard, due_at = :due_at",
                ConditionExpression="attribute_exists(pk) AND attribute_not_exists(due_at)",
                ExpressionAttributeValues=values,
            )
            found += 1
    return found


def _due_at(item: Item) -> float | None:
    """Returns when a session, a file or a generation is due, None when it is settled."""
    kind = item["sk"]["S"]
    if kind == GENERATION:
        return generation_due_at(generation_from(item))
    return session_due_at(session_from(item)) if kind == "SESSION" else asset_due_at(asset_from(item))
