"""Converts JSON documents to frozen dataclasses. Unknown members are ignored; required ones must exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from likeness_client.errors import UnexpectedAnswerError

T = TypeVar("T")


def read(kind: type[T], document: object) -> T:
    """Returns ``document`` as an instance of the dataclass ``kind``.

    An absent or null member gets the field's default. Raises UnexpectedAnswerError, with the field's name, when there
    is no default, or when a value has the wrong type.
    """
    members = _expect(dict, document, kind.__name__)
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # T is a dataclass, which a bound cannot express
        value = members.get(field.name)
        place = f"{kind.__name__}.{field.name}"
        if value is not None:
            found[field.name] = _convert(hints[field.name], value, place)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UnexpectedAnswerError(f"{place} is missing")
    return kind(**found)


def read_object(document: object) -> dict[str, object]:
    """Returns ``document`` if it is a JSON object. Raises UnexpectedAnswerError otherwise."""
    found: dict[str, object] = _expect(dict, document, "the response")
    return found


def _convert(hint: Any, value: Any, place: str) -> Any:
    """Returns a JSON value, which is not None, as the type of the hint."""
    if isinstance(hint, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    if is_dataclass(hint) and isinstance(hint, type):
        return read(hint, value)
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint), _expect(list, value, place), place)
    if get_origin(hint) is Mapping:
        _, inner = get_args(hint)
        return {name: _convert(inner, each, place) for name, each in _expect(dict, value, place).items()}
    if hint in (datetime, date):
        return _time(hint, _expect(str, value, place), place)
    if hint is object:  # whatever JSON it is
        return value
    if hint is float and type(value) is int:
        return float(value)
    return _expect(hint, value, place)


def _tuple(inner: tuple[Any, ...], values: list[Any], place: str) -> tuple[Any, ...]:
    if inner[-1] is Ellipsis:
        inner = inner[:1] * len(values)
    if len(inner) != len(values):
        raise UnexpectedAnswerError(f"{place} has {len(values)} members")
    return tuple(_convert(hint, each, place) for hint, each in zip(inner, values, strict=True))


def _time(kind: type[datetime] | type[date], text: str, place: str) -> datetime | date:
    """Parses ISO 8601; a time without a zone is UTC, as defined by the contract."""
    try:
        found = kind.fromisoformat(text)
    except ValueError:
        raise UnexpectedAnswerError(f"{place} is not a {kind.__name__}") from None
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) and found.tzinfo is None else found


def _expect(kind: Any, value: Any, place: str) -> Any:
    # The exact type: a bool is not an int here.
    if type(value) is not kind:
        raise UnexpectedAnswerError(f"{place} is {type(value).__name__}, not {kind.__name__}")
    return value
