"""The declaration of a session's or asset's field alone defines how it is stored, exported and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from likeness.adapters.table.items import asset_from, asset_item, session_from, session_item
from likeness.contracts.views import asset_view
from likeness.domain.asset import Asset
from likeness.domain.fields import about, erased, exported, from_values, shown, to_values
from likeness.domain.session import Session


def full(made: Any) -> Any:
    """Returns an instance of a dataclass in which no field has its default value."""
    hints = get_type_hints(made)
    return made(**{each.name: _value(hints[each.name], each.name) for each in fields(made)})


def _value(kind: Any, name: str) -> Any:
    if isinstance(kind, UnionType):
        return _value(get_args(kind)[0], name)
    if get_origin(kind) is tuple:
        return (name,)
    if get_origin(kind) is Mapping:  # StoredDeletions: records as they are stored
        return {name: {"status": "asked", "asked_at": 1_800_000_000.25}}
    if get_origin(kind) is dict:
        made = full(get_args(kind)[1])
        return {getattr(made, fields(made)[0].name): made}
    if is_dataclass(kind):
        return full(kind)
    if issubclass(kind, StrEnum):
        return list(kind)[-1]
    return {str: name, bool: True, int: 3, float: 1_800_000_000.25}[kind]


@pytest.mark.parametrize(
    ("made", "item", "read"), [(Asset, asset_item, asset_from), (Session, session_item, session_from)]
)
def test_every_field_is_stored_and_read_back(made: Any, item: Any, read: Any) -> None:
    # An enumeration member equals its text, but repr() differs.
    assert repr(read(item(full(made)))) == repr(full(made))


@dataclass(frozen=True)
class Part:
    """A nested dataclass."""

    id: str
    note: str | None = None


@dataclass(frozen=True)
class Thing:
    """A dataclass with one field of each kind."""

    number: int = field(metadata=about(int, key=True))
    plain: str = field(metadata=about(erased=True))
    client: str = field(default="", metadata=about(name="thing_client", sparse=True, exported=True))
    part: Part | None = field(default=None, metadata=about(Part, shown=True, erased=True))


def test_a_field_is_exported_shown_and_erased_only_as_declared() -> None:
    assert (exported(Thing), shown(Thing)) == (("thing_client",), ("part",))
    assert erased(Thing) == (("plain",), ("part",)), "required fields are blanked, the others removed"


def test_an_empty_sparse_field_is_not_stored_and_a_key_never_is() -> None:
    assert to_values(Thing(1, "p")) == {"plain": "p", "part": None}
    assert to_values(Thing(1, "p", "acme")) == {"plain": "p", "thing_client": "acme", "part": None}


def test_items_of_an_older_or_a_newer_version_are_read() -> None:
    assert from_values(Thing, {"number": "1", "plain": "p"}) == Thing(1, "p")
    stored = {"number": 1, "plain": "p", "part": {"id": "a", "of_the_next_version": 1}, "of_the_next_version": 1}
    assert from_values(Thing, stored) == Thing(1, "p", part=Part("a"))
    assert from_values(Thing, stored | {"part": {}}) == Thing(1, "p")


def test_a_missing_required_field_is_named() -> None:
    with pytest.raises(KeyError, match="plain"):
        from_values(Thing, {"number": 1})


def test_the_view_shows_times_in_iso_8601() -> None:
    times = {name: value for name, value in asset_view(full(Asset)).items() if name.endswith("_at")}
    assert times.keys() == {"created_at", "updated_at", "uploaded_at", "submitted_at", "activated_at"}
    assert set(times.values()) == {"2027-01-15T08:00:00.250000Z"}
