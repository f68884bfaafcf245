"""A field of a session or an asset is stored, exported and shown as it declares, without a line anywhere else."""

from __future__ import annotations

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
    """An instance of a dataclass in which every field has a value that is none of a default's."""
    hints = get_type_hints(made)
    return made(**{each.name: _value(hints[each.name], each.name) for each in fields(made)})


def _value(kind: Any, name: str) -> Any:
    if isinstance(kind, UnionType):
        return _value(get_args(kind)[0], name)
    if get_origin(kind) is tuple:
        return (name,)
    if get_origin(kind) is dict:
        made = full(get_args(kind)[1])
        return {made.number: made}
    if is_dataclass(kind):
        return full(kind)
    if issubclass(kind, StrEnum):
        return list(kind)[-1]
    return {str: name, bool: True, int: 3, float: 1_800_000_000.25}[kind]


@pytest.mark.parametrize(
    ("made", "item", "read"), [(Asset, asset_item, asset_from), (Session, session_item, session_from)]
)
def test_every_field_is_stored_and_read_back(made: Any, item: Any, read: Any) -> None:
    # repr() tells an enumeration from its text, which are equal.
    assert repr(read(item(full(made)))) == repr(full(made))


@dataclass(frozen=True)
class Part:
    """A dataclass inside another one."""

    id: str
    note: str | None = None


@dataclass(frozen=True)
class Thing:
    """One field of each kind."""

    number: int = field(metadata=about(int, key=True))
    plain: str = field(metadata=about(erased=True))
    client: str = field(default="", metadata=about(name="thing_client", sparse=True, exported=True))
    part: Part | None = field(default=None, metadata=about(Part, shown=True, erased=True))


def test_a_field_is_exported_shown_and_erased_only_when_it_says_so() -> None:
    assert (exported(Thing), shown(Thing)) == (("thing_client",), ("part",))
    assert erased(Thing) == (("plain",), ("part",)), "what is required is blanked, and the rest removed"


def test_a_sparse_field_is_absent_when_it_is_empty_and_a_key_always() -> None:
    assert to_values(Thing(1, "p")) == {"plain": "p", "part": None}
    assert to_values(Thing(1, "p", "acme")) == {"plain": "p", "thing_client": "acme", "part": None}


def test_what_an_older_or_a_newer_version_stored_is_read() -> None:
    assert from_values(Thing, {"number": "1", "plain": "p"}) == Thing(1, "p")
    stored = {"number": 1, "plain": "p", "part": {"id": "a", "of_the_next_version": 1}, "of_the_next_version": 1}
    assert from_values(Thing, stored) == Thing(1, "p", part=Part("a"))
    assert from_values(Thing, stored | {"part": {}}) == Thing(1, "p")


def test_a_missing_field_that_is_required_is_named() -> None:
    with pytest.raises(KeyError, match="plain"):
        from_values(Thing, {"number": 1})


def test_the_view_shows_times_in_iso_8601() -> None:
    times = {name: value for name, value in asset_view(full(Asset)).items() if name.endswith("_at")}
    assert times.keys() == {"created_at", "updated_at", "uploaded_at", "submitted_at", "activated_at"}
    assert set(times.values()) == {"2027-01-15T08:00:00.250000Z"}
