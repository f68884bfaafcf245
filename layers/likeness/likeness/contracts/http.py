"""The bodies of the HTTP API: what is accepted (snake_case, ISO 8601 UTC). What is answered: views.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from likeness.domain.asset import NAME_LIMIT
from likeness.domain.media import CONTENT_TYPES, MAX_BYTES
from likeness.errors import InvalidRequest

MAX_ASSETS_PER_REQUEST = 20
Model = TypeVar("Model", bound=BaseModel)
# No control characters, line separators or overrides of the direction of what follows: names reach crun and pages.
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"


class _Body(BaseModel):
    # Built by the first body that needs it: no function takes all of these.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _whole(given: object) -> object:
    # To JSON Schema, and to languages with one kind of number, 1000.0 is an integer.
    return int(given) if isinstance(given, float) and given.is_integer() else given


class AssetRegistration(_Body):
    """A file that will be uploaded."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT, pattern=_PRINTABLE)]
    asset_type: Literal["Image", "Video", "Audio"]
    content_type: str
    size_bytes: Annotated[int, BeforeValidator(_whole), Field(ge=1)]
    #: Of the file's bytes, in hex. Whoever registers the same bytes again gets the asset that is there.
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _check_media(self) -> AssetRegistration:
        kind = CONTENT_TYPES.get(self.content_type)
        if kind is None or kind != self.asset_type:
            raise ValueError(f"content_type {self.content_type[:60]!r} is not accepted for {self.asset_type}")
        if self.size_bytes > MAX_BYTES[kind]:
            raise ValueError(f"size_bytes is over the limit of {MAX_BYTES[kind]} for {self.asset_type}")
        return self


def _in_utc(given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time that UTC has no year for") from None


class ConsentGiven(_Body):
    """The person's consent, as the caller recorded it."""

    text_version: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
    given_at: Annotated[AwareDatetime, Field(strict=False), AfterValidator(_in_utc)]


class ConsentAgreed(_Body):
    """The body of POST /sessions/{session_id}/consent: the text that the person has read, as GET /consent named it."""

    text_version: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
    language: Literal["zh", "en", "zh-Hant"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class NewSession(_Body):
    """The body of POST /sessions. Everything is optional."""

    language: Literal["zh", "en", "zh-Hant"] = "zh"
    reference: Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE)] | None = None
    return_url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    start: Literal["now", "on_open"] = "now"
    consent: ConsentGiven | None = None
    assets: Annotated[list[AssetRegistration], Field(max_length=MAX_ASSETS_PER_REQUEST)] = Field(default_factory=list)


def parse_body(model: type[Model], body: str | None) -> Model:
    """``body`` as ``model``; InvalidRequest names the first field that is wrong. An empty body is ``{}``."""
    try:
        return model.model_validate_json(body or "{}")
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"{field}: {message}", field=field) from exc
