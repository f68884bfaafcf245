"""The base of all request bodies of the HTTP API: strict models, and an error that names the field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from likeness.errors import InvalidRequest

Model = TypeVar("Model", bound=BaseModel)
#: No control characters, line separators or direction overrides, because names are sent to crun and shown on pages.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"


def whole(given: object) -> object:
    """Converts a whole float: JSON Schema, and languages with one type of number, treat 1000.0 as an integer."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


def in_utc(given: datetime) -> datetime:
    """Converts a time to UTC. Raises ValueError when its year is not from 1 to 9999 there."""
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time from year 1 to year 9999 in UTC") from None


class Body(BaseModel):
    """The base of all bodies. Strict: types are not converted, and unknown fields are errors."""

    # Models are built on first use, because no function needs all of them.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def parse_body(model: type[Model], body: str | None) -> Model:
    """Parses ``body``; an empty one is ``{}``. Raises InvalidRequest with the first invalid field."""
    try:
        return model.model_validate_json(body or "{}")
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"{field}: {message}", field=field) from exc
