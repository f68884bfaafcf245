"""Converts generations and uses to DynamoDB items and back.

A use is an entry of the ledger of one person. Neither kind of item has ``client_id`` together with ``id``, which would
add it to the index of the client's sessions.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from likeness.adapters.table.items import UPSTREAM_ID, Item, decode_item, due, encode, encode_item
from likeness.domain.due import generation_due_at
from likeness.domain.fields import from_values, to_values
from likeness.domain.generation import Generation, PersonUse, TaskReport, UseEntry

GENERATION = "GENERATION"
#: A client's day is needed for the budget on that day, and for statistics of the last year.
_SPENDING_SECONDS = 400 * 86_400


def generation_key(generation_id: str) -> Item:
    """Returns the primary key of a generation."""
    return {"pk": {"S": f"GENERATION#{generation_id}"}, "sk": {"S": GENERATION}}


def generation_item(generation: Generation) -> Item:
    """Returns the complete item of a generation."""
    return encode_item(
        to_values(generation)
        | {UPSTREAM_ID: generation.task_id}
        | due(generation.id, generation_due_at(generation))
        | {"report": generation.report and stored_report(generation.report)}
    ) | generation_key(generation.id)


def generation_from(item: Item) -> Generation:
    """Returns the generation in an item."""
    return from_values(Generation, decode_item(item))


def stored_report(report: TaskReport) -> TaskReport:
    """Returns the report without what is not stored."""
    return replace(report, callback_url=None)


def instant(at: float) -> str:
    """Returns a time (epoch seconds) as a part of a sort key."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def place_in_time(generation: Generation) -> str:
    """Returns the sort key of a generation's place in its client's list, and of its uses."""
    return f"{instant(generation.created_at)}#{generation.id}"


def list_partition(client_id: str) -> str:
    """Returns the partition key of a client's list of generations."""
    return f"GENERATIONS#{client_id}"


def list_item(generation: Generation) -> Item:
    """Returns the item of a generation's place in its client's list. It never changes."""
    return encode_item({"pk": list_partition(generation.client_id), "sk": place_in_time(generation)})


def uses_partition(session_id: str) -> str:
    """Returns the partition key of the uses of a person's likeness."""
    return f"USES#{session_id}"


def use_item(generation: Generation, person: PersonUse) -> Item:
    """Returns the ledger's entry for one person of a generation, with its outcome once it has ended."""
    entry = UseEntry(
        session_id=person.session_id,
        generation_id=generation.id,
        client_id=generation.client_id,
        at=generation.created_at,
        model=generation.model,
        asset_ids=person.asset_ids,
        purpose=generation.purpose,
        outcome=generation.outcome,
        reason=generation.outcome_reason,
        media_sha256=tuple(each.sha256 for each in generation.media),
        ended_at=generation.ended_at,
    )
    key = {"pk": uses_partition(person.session_id), "sk": place_in_time(generation)}
    return encode_item(key | to_values(entry))


def use_from(item: Item) -> UseEntry:
    """Returns the ledger's entry in an item."""
    return from_values(UseEntry, decode_item(item))


def spending_key(client_id: str, at: float) -> Item:
    """Returns the primary key of a client's UTC day."""
    return {"pk": {"S": f"SPENDING#{client_id}"}, "sk": {"S": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")}}


def spending_ends_at(at: float) -> Item:
    """Returns when DynamoDB deletes the item of the day of ``at``, as an attribute value."""
    return encode(int(at) + _SPENDING_SECONDS)
