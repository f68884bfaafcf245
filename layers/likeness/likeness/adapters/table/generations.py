"""Generations, the ledger of uses and the clients' days, in the table of the inventory.

What has to hold together is one transaction. The SDK sends the same token with its own retries of a transaction, so
that these count once; a repetition by the caller finds what was stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from likeness.adapters.aws import CONFLICT_SECONDS, despite_conflicts, get_items, translated, update_item
from likeness.adapters.table.cursors import cursor_after, position_of
from likeness.adapters.table.dynamodb import NOT_DECLINED, PERMITTED, write_and_count
from likeness.adapters.table.generation_items import (
    GENERATION,
    generation_from,
    generation_item,
    generation_key,
    instant,
    list_item,
    list_partition,
    spending_ends_at,
    spending_key,
    stored_report,
    use_from,
    use_item,
    uses_partition,
)
from likeness.adapters.table.items import (
    UPSTREAM_ID,
    Item,
    asset_from,
    asset_key,
    decode_item,
    encode,
    session_from,
    session_key,
)
from likeness.domain.asset import AssetStatus
from likeness.domain.due import PROGRESS_SECONDS, shard_of
from likeness.domain.fields import erased
from likeness.domain.generation import (
    ASK_SECONDS,
    ERASED_WORDS,
    FAILED,
    GENERATION_ID,
    Generation,
    GenerationFilter,
    GenerationPage,
    GenerationStatus,
    PersonUse,
    Spending,
    TaskReport,
    UsePage,
)
from likeness.domain.session import SessionStatus
from likeness.errors import ConditionFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from likeness.domain.asset import Asset
    from likeness.domain.polling import History
    from likeness.domain.session import Session
    from likeness.ports.generations import Place

_INDEX = "UpstreamIds"
_STATUS = {"#status": "status"}
#: A write also makes the generation due (see domain/due.py).
_DUE = ", due_shard = :shard, due_at = :due"
#: A listing with a filter reads at most this many pages of this many rows before it returns a cursor. BatchGetItem
#: returns at most 100 items.
_PAGES_PER_CALL = 5
_ROWS_PER_PAGE = 100
#: The longest index key that DynamoDB accepts, in bytes. A longer id belongs to no item.
_LONGEST_KEY = 1024
#: A place in a list or a ledger: a time and the id of a generation.
_PLACE = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z#{GENERATION_ID.pattern}")


class DynamoGenerations:
    """The port ``GenerationStore`` on table ``table``, with a low-level DynamoDB client.

    ``conflict_seconds`` is how long a transaction that conflicts with another one is retried.
    """

    def __init__(self, client: DynamoDBClient, table: str, conflict_seconds: float = CONFLICT_SECONDS) -> None:
        self._client, self._table, self._conflict_seconds = client, table, conflict_seconds

    # -- from the request to the outcome ----------------------------------------------------------------------

    def create(self, generation: Generation, budget: float | None) -> None:
        """See the port."""
        writes: list[TransactWriteItemTypeDef] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": generation_item(generation),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            self._put(list_item(generation)),
            *(self._put(use_item(generation, each)) for each in generation.people),
            *self._people(generation, generation.created_at),
        ]
        if budget is not None or generation.reserved:
            writes.append(self._reservation(generation, budget))
        try:
            self._transact(writes)
        except ConditionFailed:
            if self.get(generation.id) != generation:
                raise

    def intend(self, generation: Generation, by: str, now: float) -> Generation:
        """See the port."""
        intent = self._update(
            generation.id,
            f"SET intended_at = :now, intended_by = :by, updated_at = :now{_DUE}",
            "#status = :queued AND attribute_not_exists(task_id) AND attribute_not_exists(erased_at)"
            " AND (attribute_not_exists(intended_by) OR (intended_by = :by AND intended_at = :now))",
            _values(now=now, by=by, queued=GenerationStatus.QUEUED) | _due(generation.id, now),
            _STATUS,
        )
        self._transact([intent, *self._people(generation, now)])
        return replace(generation, intended_at=now, intended_by=by, updated_at=now)

    def release_intent(self, generation: Generation, now: float) -> None:
        """See the port."""
        self._change_if(
            generation.id,
            f"SET updated_at = :now{_DUE} REMOVE intended_at, intended_by",
            "#status = :queued AND intended_by = :by AND intended_at = :at AND attribute_not_exists(task_id)",
            _values(
                now=now, by=generation.intended_by or "", at=generation.intended_at or 0, queued=GenerationStatus.QUEUED
            )
            | _due(generation.id, now),
            _STATUS,
        )

    def record_task(self, generation: Generation, task_id: str, now: float) -> Generation:
        """See the port. The ledger keeps ``uncertain`` until the outcome of one that was uncertain is known."""
        return self._change(
            generation.id,
            f"SET task_id = :task, {UPSTREAM_ID} = :task, #status = :running, updated_at = :now,"
            f" submitted_at = if_not_exists(submitted_at, :now){_DUE} REMOVE #error, ended_at",
            "#status IN (:queued, :running, :uncertain) AND (attribute_not_exists(task_id) OR task_id = :task)",
            _values(
                task=task_id,
                now=now,
                queued=GenerationStatus.QUEUED,
                running=GenerationStatus.RUNNING,
                uncertain=GenerationStatus.UNCERTAIN,
            )
            | _due(generation.id, now),
            _STATUS | {"#error": "error"},
        )

    def record_report(
        self, generation: Generation, report: TaskReport, now: float, seen: History | None = None
    ) -> None:
        """See the port. One update, or one transaction with the poll history."""
        try:
            self._store_report(generation, stored_report(report), "attribute_not_exists(erased_at)", now, seen)
        except ConditionFailed:
            without_media = TaskReport(report.task_id, report.status, credits=report.credits, code=report.code)
            try:
                self._store_report(generation, without_media, "attribute_exists(erased_at)", now, seen)
            except ConditionFailed:
                return

    def _store_report(
        self, generation: Generation, report: TaskReport, condition: str, now: float, seen: History | None
    ) -> None:
        update = self._update(
            generation.id,
            f"SET report = :report, updated_at = :now{_DUE}",
            f"#status IN (:queued, :running) AND attribute_not_exists(report) AND {condition}",
            _values(report=report, now=now, queued=GenerationStatus.QUEUED, running=GenerationStatus.RUNNING)
            | _due(generation.id, now),
            _STATUS,
        )
        if seen and seen.total:
            with translated():
                if write_and_count(self._client, self._table, [update], generation.model, now, seen):
                    return
        self._transact([update])

    def end(self, generation: Generation, before: Generation) -> None:
        """See the port. Only the fields of the outcome are written, so that what an erasure removed stays removed."""
        without_words = generation.without_words()
        try:
            self._end(generation, before, may_be_erased=without_words is generation and not generation.media)
        except ConditionFailed:
            if without_words is generation:
                raise
            self._end(without_words, before, may_be_erased=True)

    def _end(self, generation: Generation, before: Generation, *, may_be_erased: bool) -> None:
        counted = generation.cost
        same = {
            "#status": before.status,
            "intended_by": before.intended_by,
            "task_id": before.task_id,
            "settled": before.settled,
        }
        conditions = [f"{name} = :was{n}" for n, (name, each) in enumerate(same.items()) if each is not None]
        conditions += [f"attribute_not_exists({name})" for name, each in same.items() if each is None]
        values = {f"was{n}": each for n, each in enumerate(same.values()) if each is not None}
        written: dict[str, Any] = {
            "#status": generation.status,
            "updated_at": generation.updated_at,
            "ended_at": generation.ended_at,
            "settled": counted,
            "credits": generation.credits,
            "media": generation.media or None,
            "media_problem": generation.media_problem,
            "#error": generation.error,
        }
        if not may_be_erased:
            conditions.append("attribute_not_exists(erased_at)")
        removed = [name for name, each in written.items() if each is None]
        kept = {name: each for name, each in written.items() if each is not None}
        outcome = self._update(
            generation.id,
            "SET "
            + ", ".join(f"{name} = :{name.removeprefix('#')}" for name in kept)
            # The index Due has no outcomes.
            + " REMOVE "
            + ", ".join(["due_at", *removed]),
            " AND ".join(conditions),
            _values(**{name.removeprefix("#"): each for name, each in kept.items()}, **values),
            _STATUS | {"#error": "error"},
        )
        writes = [outcome, *(self._put(use_item(generation, each)) for each in generation.people)]
        if generation.media:
            writes += [self._kept(each, generation.updated_at) for each in generation.people]
        released = before.reserved if before.settled is None else 0.0
        spent = counted - (before.settled or 0.0)
        if released or spent:
            writes.append(self._settlement(generation, released, spent))
        try:
            self._transact(writes)
        except ConditionFailed:
            found = self.get(generation.id)
            if found is None or (found.status, found.ended_at) != (generation.status, generation.ended_at):
                raise

    def may_ask(self, generation_id: str, now: float) -> bool:
        """See the port. If the response of the write is lost, the turn is too: the execution asks as well."""
        return self._change_if(
            generation_id,
            "SET asked_at = :now",
            "attribute_exists(pk) AND (attribute_not_exists(asked_at) OR asked_at <= :before)",
            _values(now=now, before=now - ASK_SECONDS),
        )

    def next_execution(self, generation: Generation) -> Generation:
        """See the port. When another one has counted it, returns the generation as it is."""
        before = generation.executions
        try:
            return self._change(
                generation.id,
                "SET executions = :next",
                "attribute_exists(pk) AND "
                + ("executions = :before" if before else "attribute_not_exists(executions)"),
                _values(next=before + 1, **({"before": before} if before else {})),
            )
        except ConditionFailed:
            return self.get(generation.id) or generation

    def erase(self, generation: Generation, now: float) -> None:
        """See the port. One that runs stays due, and its execution finds it erased.

        The words of an error are removed last: from then on, no outcome is stored with words.
        """
        blank, absent = erased(Generation)
        names = {f"#{name}": name for name in (*blank, *absent)}
        self._change_if(
            generation.id,
            "SET erased_at = if_not_exists(erased_at, :now), updated_at = :now"
            + "".join(f", #{name} = :gone" for name in blank)
            + " REMOVE "
            + ", ".join(f"#{name}" for name in absent),
            "attribute_exists(pk)",
            _values(now=now, **({"gone": ""} if blank else {})),
            names,
        )
        if generation.error is not None or not generation.is_over:
            self._change_if(
                generation.id,
                "SET #error.message = :erased REMOVE #error.upstream_message",
                "(attribute_exists(#error.upstream_code) OR #error.code = :failed) AND #error.message <> :erased",
                _values(erased=ERASED_WORDS, failed=FAILED),
                {"#error": "error"},
            )

    # -- reads ------------------------------------------------------------------------------------------------

    def get(self, generation_id: str) -> Generation | None:
        """See the port."""
        item = self._get(generation_key(generation_id))
        return generation_from(item) if item else None

    def load(self, generation_ids: Sequence[str]) -> list[Generation]:
        """See the port."""
        wanted = dict.fromkeys(generation_ids)
        by_id = {each.id: each for each in map(generation_from, self._batches([*map(generation_key, wanted)]))}
        return [by_id[each] for each in wanted if each in by_id]

    def of_task(self, task_id: str) -> str | None:
        """See the port."""
        if not task_id or len(task_id.encode()) > _LONGEST_KEY:
            return None
        with translated():
            found = self._client.query(
                TableName=self._table,
                IndexName=_INDEX,
                KeyConditionExpression=f"{UPSTREAM_ID} = :id",
                ExpressionAttributeValues=_values(id=task_id),
                ProjectionExpression="pk, sk",
            )["Items"]
        ids = sorted(each["pk"]["S"].partition("#")[2] for each in found if each["sk"]["S"] == GENERATION)
        return next(iter(ids), None)

    def list_generations(
        self, client_id: str, *, limit: int, cursor: str | None, wanted: GenerationFilter
    ) -> GenerationPage:
        """See the port. The list contains ids, and the generations are read for each page."""
        is_filtered = wanted != GenerationFilter()
        after = position_of(cursor, _PLACE)
        found: list[tuple[str, Generation]] = []
        for _ in range(_PAGES_PER_CALL):
            rows, after = self._page(
                list_partition(client_id), after, max(limit, _ROWS_PER_PAGE) if is_filtered else limit
            )
            places = [each["sk"]["S"] for each in rows]
            found += [each for each in self._at(places) if _matches(each[1], wanted)]
            if after is None or len(found) >= limit:
                break
        rest = after
        if len(found) > limit or (len(found) == limit and after):
            rest = found[limit - 1][0]
        return GenerationPage([each for _, each in found[:limit]], cursor_after(rest))

    def _at(self, places: Sequence[str]) -> list[tuple[str, Generation]]:
        """Returns the generations at these places of a list, with the place, in the same order."""
        by_id = {place.partition("#")[2]: place for place in places}
        return [(by_id[each.id], each) for each in self.load(list(by_id))]

    def list_uses(self, session_id: str, *, limit: int, cursor: str | None = None, since: float = 0.0) -> UsePage:
        """See the port. Raises InvalidRequest for a cursor that is not valid."""
        rows, after = self._page(uses_partition(session_id), position_of(cursor, _PLACE), limit, instant(since))
        return UsePage([use_from(each) for each in rows], cursor_after(after))

    def load_assets(self, places: Sequence[Place]) -> tuple[dict[str, Session], dict[str, Asset]]:
        """See the port."""
        sessions = dict.fromkeys(session_id for session_id, _ in places)
        keys = [*map(session_key, sessions), *(asset_key(*each) for each in dict.fromkeys(places))]
        items = list(self._batches(keys))
        found = [session_from(each) for each in items if each["sk"]["S"] == "SESSION"]
        assets = [asset_from(each) for each in items if each["sk"]["S"] != "SESSION"]
        return {each.id: each for each in found}, {each.id: each for each in assets}

    def spending(self, client_id: str, at: float) -> Spending:
        """See the port."""
        values = decode_item(self._get(spending_key(client_id, at)) or {})
        return Spending(float(values.get("spent", 0)), float(values.get("reserved", 0)))

    # -- parts of transactions --------------------------------------------------------------------------------

    def _people(self, generation: Generation, now: float) -> Iterator[TransactWriteItemTypeDef]:
        """Yields the checks that each person may be shown as it was checked, and each asset is active at crun."""
        for person in generation.people:
            yield self._person(person, now)
            for asset_id, crun_asset_id in dict(zip(person.asset_ids, person.crun_asset_ids, strict=True)).items():
                yield {
                    "ConditionCheck": {
                        "TableName": self._table,
                        "Key": asset_key(person.session_id, asset_id),
                        "ConditionExpression": "#status = :active AND crun_asset_id = :id",
                        "ExpressionAttributeNames": _STATUS,
                        "ExpressionAttributeValues": _values(active=AssetStatus.ACTIVE, id=crun_asset_id),
                    }
                }

    def _person(self, person: PersonUse, now: float) -> TransactWriteItemTypeDef:
        given = person.consent_given_at
        same = "attribute_not_exists(consent)" if given is None else "consent.given_at = :given"
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": session_key(person.session_id),
                "ConditionExpression": f"#status = :verified AND {same} AND {NOT_DECLINED} AND {PERMITTED}",
                "ExpressionAttributeNames": _STATUS,
                "ExpressionAttributeValues": _values(verified=SessionStatus.VERIFIED, now=now)
                | ({} if given is None else _values(given=given)),
            }
        }

    def _kept(self, person: PersonUse, now: float) -> TransactWriteItemTypeDef:
        """The check that media may be kept that show a person: neither erased, nor without a valid consent."""
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": session_key(person.session_id),
                "ConditionExpression": f"attribute_exists(pk) AND #status <> :erased AND {PERMITTED}",
                "ExpressionAttributeNames": _STATUS,
                "ExpressionAttributeValues": _values(erased=SessionStatus.REDACTED, now=now),
            }
        }

    def _reservation(self, generation: Generation, budget: float | None) -> TransactWriteItemTypeDef:
        """Reserves credits on the client's day. A condition cannot add, so ``committed`` holds spent and reserved."""
        left = None if budget is None else budget - generation.reserved
        if left is not None and left < 0:
            raise ConditionFailed("The budget is smaller than the estimate")
        write = self._settlement(generation, -generation.reserved, 0.0)
        if left is not None:
            write["Update"]["ConditionExpression"] = "attribute_not_exists(committed) OR committed <= :left"
            write["Update"]["ExpressionAttributeValues"] = {
                **write["Update"].get("ExpressionAttributeValues", {}),
                **_values(left=left),
            }
        return write

    def _settlement(self, generation: Generation, released: float, spent: float) -> TransactWriteItemTypeDef:
        """Moves credits on the UTC day on which the generation was created, also when it ends on another one."""
        return {
            "Update": {
                "TableName": self._table,
                "Key": spending_key(generation.client_id, generation.created_at),
                "UpdateExpression": "SET #ttl = if_not_exists(#ttl, :ttl)"
                " ADD reserved :reserved, spent :spent, committed :committed",
                "ExpressionAttributeNames": {"#ttl": "ttl"},
                "ExpressionAttributeValues": _values(reserved=-released, spent=spent, committed=spent - released)
                | {":ttl": spending_ends_at(generation.created_at)},
            }
        }

    def _put(self, item: Item) -> TransactWriteItemTypeDef:
        return {"Put": {"TableName": self._table, "Item": item}}

    def _update(
        self, generation_id: str, update: str, condition: str, values: Item, names: dict[str, str]
    ) -> TransactWriteItemTypeDef:
        used = {name: each for name, each in names.items() if name in update + condition}
        return {
            "Update": {
                "TableName": self._table,
                "Key": generation_key(generation_id),
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": used,
                "ExpressionAttributeValues": values,
            }
        }

    # -- helpers ----------------------------------------------------------------------------------------------

    def _transact(self, writes: Sequence[TransactWriteItemTypeDef]) -> None:
        """Writes all items or none, and retries after conflicts. Raises as ``translated`` does."""
        with translated():
            despite_conflicts(lambda: self._client.transact_write_items(TransactItems=writes), self._conflict_seconds)

    def _change(
        self, generation_id: str, update: str, condition: str, values: Item, names: dict[str, str] | None = None
    ) -> Generation:
        named = {"ExpressionAttributeNames": names} if names else {}
        key = generation_key(generation_id)
        return generation_from(
            update_item(self._client, self._table, key, update, condition, values, ReturnValues="ALL_NEW", **named)
        )

    def _change_if(
        self, generation_id: str, update: str, condition: str, values: Item, names: dict[str, str] | None = None
    ) -> bool:
        try:
            self._change(generation_id, update, condition, values, names)
        except ConditionFailed:
            return False
        return True

    def _get(self, key: Item) -> Item | None:
        with translated():
            return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _batches(self, keys: Sequence[Item]) -> Iterable[Item]:
        for start in range(0, len(keys), _ROWS_PER_PAGE):
            yield from get_items(self._client, self._table, list(keys[start : start + _ROWS_PER_PAGE]))

    def _page(
        self, partition: str, after: str | None, limit: int, since: str | None = None
    ) -> tuple[list[Item], str | None]:
        """Returns rows of a partition, the newest first, and the sort key after which more follow."""
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk" + (" AND sk >= :since" if since else ""),
            "ExpressionAttributeValues": _values(pk=partition, **({"since": since} if since else {})),
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": limit,
        }
        if after is not None:
            query["ExclusiveStartKey"] = {"pk": encode(partition), "sk": encode(after)}
        with translated():
            page = self._client.query(**query)
        last = page.get("LastEvaluatedKey")
        return page["Items"], last["sk"]["S"] if last else None


def _values(**values: Any) -> Item:
    return {f":{name}": encode(value) for name, value in values.items()}


def _due(generation_id: str, now: float) -> Item:
    return _values(shard=shard_of(generation_id), due=now + PROGRESS_SECONDS)


def _matches(generation: Generation, wanted: GenerationFilter) -> bool:
    return wanted.status in (None, generation.status) and (
        wanted.session_id is None or wanted.session_id in generation.session_ids
    )
