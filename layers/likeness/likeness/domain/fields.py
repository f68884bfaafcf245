"""Fields of a dataclass declare whether they are stored, exported, shown and erased: a new field is one line.

``about()`` returns the metadata of a field. ``to_values()`` and ``from_values()`` convert a dataclass to a mapping
with its stored names, and back. A field without metadata is only stored, under its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from typing import Any, TypeVar, cast

Made = TypeVar("Made")
Read = Callable[[Any], Any]


def about(
    read: Read | type | None = None,
    *,
    name: str | None = None,
    sparse: bool = False,
    key: bool = False,
    exported: bool = False,
    shown: bool = False,
    erased: bool = False,
) -> Mapping[str, Any]:
    """The metadata of a field, for ``dataclasses.field(metadata=...)``.

    ``read`` converts the stored value: an enumeration, a dataclass, or a function. ``name`` is the stored name, if it
    differs. A ``sparse`` field is stored only when it is truthy: indexes and conditions depend on its absence. A
    ``key`` is not stored, because it is the key of the value in a mapping. ``exported`` fields are part of the
    inventory export, ``shown`` ones of the API's responses. An erasure removes ``erased`` fields.
    """
    return {
        "read": read,
        "name": name,
        "sparse": sparse,
        "key": key,
        "exported": exported,
        "shown": shown,
        "erased": erased,
    }


def to_values(of: Any) -> dict[str, Any]:
    """The values of a dataclass by their stored names; nested dataclasses are not converted."""
    values = ((stored, getattr(of, name), sparse) for name, stored, sparse in _written(cast("Any", type(of))))
    return {stored: value for stored, value, sparse in values if value or not sparse}


def from_values(made: type[Made], values: Mapping[str, Any]) -> Made:
    """The dataclass with the stored ``values``; ignores unknown ones. Raises KeyError when a required one is absent."""
    found = {}
    for name, stored, read, required in _read(cast("Any", made)):
        if required or stored in values:
            value = values[stored]
            found[name] = read(value) if read else value
    return made(**found)


@cache
def exported(of: type) -> tuple[str, ...]:
    """The stored names of the fields that are exported."""
    return tuple(_stored(each) for each in fields(of) if each.metadata.get("exported"))


@cache
def shown(of: type) -> tuple[str, ...]:
    """The names of the fields that the API shows."""
    return tuple(each.name for each in fields(of) if each.metadata.get("shown"))


@cache
def erased(of: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The stored names of the fields that an erasure sets to a blank value (required ones), and that it removes."""
    every = [each for each in fields(of) if each.metadata.get("erased")]
    blank = tuple(_stored(each) for each in every if _is_required(each))
    return blank, tuple(_stored(each) for each in every if not _is_required(each))


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _stored(field: Field[Any]) -> str:
    return field.metadata.get("name") or field.name


@cache
def _written(of: Any) -> list[tuple[str, str, bool]]:
    every = [each for each in fields(of) if not each.metadata.get("key")]
    return [(each.name, _stored(each), each.metadata.get("sparse", False)) for each in every]


@cache
def _read(of: Any) -> list[tuple[str, str, Read | None, bool]]:
    found = []
    for each in fields(of):
        read = each.metadata.get("read")
        make = partial(_nested, read) if is_dataclass(read) else read
        found.append((each.name, _stored(each), make, _is_required(each)))
    return found


def _nested(made: Any, values: Mapping[str, Any]) -> Any:
    return from_values(made, values) if values else None
