"""DynamoDB's request units, computed from the sizes of the items that calls read and write.

The rules are those of its developer guide (capacity units, item sizes, secondary indexes): a read of 4 KB or a write
of 1 KB is one unit, an eventually consistent read half of one, a transaction's write two; an index is written when
one of its attributes changes. A write whose condition fails costs as much as one that succeeds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from likeness.runtime import bootstrap
from tests.faults.simulated_aws import SimulatedAws
from tests.template_file import RESOURCES

Item = Mapping[str, Any]
_READ_UNIT, _WRITE_UNIT = 4096, 1024


def size(item: Item) -> int:
    """Returns an item's bytes: those of its names and values."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return math.ceil(len(Decimal(content).normalize().as_tuple().digits) / 2) + 1
    if kind in ("NULL", "BOOL"):
        return 1
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + _value(each) for each in content)
    return sum(len(each) for each in content)  # sets


def _units(bytes_: int, unit: int) -> int:
    return max(1, math.ceil(bytes_ / unit))


def index_units(before: Item, after: Item) -> int:
    """Returns the write units of the table's indexes for a change of one item."""
    found = 0
    for index in RESOURCES["Table"]["Properties"]["GlobalSecondaryIndexes"]:
        keys = [each["AttributeName"] for each in index["KeySchema"]]
        names = {*keys, "pk", "sk", *index["Projection"].get("NonKeyAttributes", ())}
        shown = [
            {name: item[name] for name in names if name in item} if all(key in item for key in keys) else {}
            for item in (before, after)
        ]
        if shown[0] != shown[1]:
            found += _units(max(map(size, shown)), _WRITE_UNIT)
    return found


@dataclass
class Units:
    """Request units, and the bytes of the items that were read."""

    read: float = 0
    write: float = 0
    bytes_read: int = 0


@dataclass
class Meter:
    """Adds up the request units of the functions' calls, and of the state machine's own, by caller."""

    where: SimulatedAws
    spent: dict[str, Units] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    _pending: tuple[str, dict[str, Any], list[Item]] | None = None

    @property
    def total(self) -> Units:
        """The units of all callers."""
        found = self.spent.values()
        return Units(
            sum(each.read for each in found), sum(each.write for each in found), sum(each.bytes_read for each in found)
        )

    def asked(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Handles a call that is about to be made."""
        if self.where.injector.caller:
            self._pending = (model.name, params, [self._item(*each) for each in _written(model.name, params)])

    def answered(self, parsed: dict[str, Any], **_: Any) -> None:
        """Handles its response."""
        if self._pending and self.where.injector.caller:
            (operation, params, before), self._pending = self._pending, None
            self.add(self.where.injector.caller, operation, params, before, parsed)

    def add(self, by: str, operation: str, params: dict[str, Any], before: list[Item], parsed: dict[str, Any]) -> None:
        """Adds one call."""
        units = self.spent.setdefault(by, Units())
        bytes_, reads = _read(operation, params, parsed)
        units.bytes_read += bytes_
        units.read += reads
        times = 2 if operation == "TransactWriteItems" else 1
        for (table, key), old in zip(_written(operation, params), before, strict=True):
            new = self._item(table, key)
            units.write += times * _units(max(size(old), size(new)), _WRITE_UNIT) + index_units(old, new)

    def _item(self, table: str, key: Item) -> Item:
        found: Item = self.where.aws("dynamodb").get_item(TableName=table, Key=dict(key)).get("Item", {})
        return found


def _written(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Item]]:
    """Yields the table and the key of each item that a call writes."""
    if operation == "TransactWriteItems":
        for entry in params["TransactItems"]:
            ((_, part),) = entry.items()
            yield part["TableName"], part.get("Key") or _key(part["Item"])
    elif operation == "PutItem":
        yield params["TableName"], _key(params["Item"])
    elif operation in ("UpdateItem", "DeleteItem"):
        yield params["TableName"], params["Key"]


def _key(item: Item) -> Item:
    names = ("pk", "sk") if "pk" in item else ("id",)
    return {name: item[name] for name in names}


def _read(operation: str, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> tuple[int, float]:
    """Returns the bytes and the read units of a call."""
    if operation == "BatchGetItem":
        ((table, asked),) = params["RequestItems"].items()
        items = parsed["Responses"][table]
        missing = len(asked["Keys"]) - len(items)
        return sum(map(size, items)), missing + sum(_units(size(each), _READ_UNIT) for each in items)
    if operation == "GetItem":
        bytes_ = size(parsed.get("Item", {}))
    elif operation == "Query":
        bytes_ = sum(map(size, parsed["Items"]))
    else:
        return 0, 0.0
    return bytes_, _units(bytes_, _READ_UNIT) * (1.0 if params.get("ConsistentRead") else 0.5)


@contextmanager
def metered(where: SimulatedAws) -> Iterator[Meter]:
    """Meters every call in the block."""
    meter = Meter(where)
    events = bootstrap.client("dynamodb").meta.events
    update_item = where.state_machine.update_item

    def updating(parameters: dict[str, Any]) -> Any:
        before = [meter._item(*each) for each in _written("UpdateItem", parameters)]
        answer = update_item(parameters)
        meter.add("onboard_person", "UpdateItem", parameters, before, answer)
        return answer

    events.register("provide-client-params.dynamodb", meter.asked)
    events.register("after-call.dynamodb", meter.answered)
    where.state_machine.update_item = updating
    try:
        yield meter
    finally:
        events.unregister("provide-client-params.dynamodb", meter.asked)
        events.unregister("after-call.dynamodb", meter.answered)
        where.state_machine.update_item = update_item
