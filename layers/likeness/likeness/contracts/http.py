"""The request bodies of the HTTP API (snake_case, ISO 8601 UTC). The responses are in views.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationInfo, model_validator

from likeness.contracts.body import PRINTABLE, Body, in_utc, whole
from likeness.contracts.consent import Terms
from likeness.domain.asset import NAME_LIMIT
from likeness.domain.file_requests import HINT_LIMIT, MAX_REQUESTS_PER_SESSION, FileRequest
from likeness.domain.media import CONTENT_TYPES, MAX_BYTES, standard_type
from likeness.domain.media.types import AssetType

MAX_ASSETS_PER_REQUEST = 20


def _in_standard_form(label: str) -> str:
    # An unknown label stays unchanged, so that the error can name it.
    return standard_type(label) or label


def _not_a_dot_segment(name: str) -> str:
    # In a path, "." and ".." lead to another resource, and HTTP clients resolve them even when they are encoded.
    if name in (".", ".."):
        raise ValueError("must not be . or ..")
    return name


_Name = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT, pattern=PRINTABLE)]
#: It is part of a path. Servers differ in what they do with an encoded slash, so it has none.
_RequestName = Annotated[
    str,
    Field(min_length=1, max_length=NAME_LIMIT, pattern=PRINTABLE.replace(r"\x1f", r"\x1f/")),
    AfterValidator(_not_a_dot_segment),
]


#: Left out of the dump while it is not set: idempotency keys compare dumps, also with those that a version without the
#: field has stored.
_UNLESS_SET = Field(exclude_if=lambda value: not value)


class RequestedFile(Body):
    """A file that the person is asked for. Its type and size are not known before it is uploaded."""

    name: _RequestName
    asset_type: Literal["Image", "Video", "Audio"]
    #: What the file should show or say, for the person.
    hint: Annotated[str, Field(min_length=1, max_length=HINT_LIMIT, pattern=PRINTABLE)] | None = None
    #: Whether the session waits for it (see ``settled`` in views.py).
    required: bool = True


def _different(requests: list[RequestedFile]) -> list[RequestedFile]:
    if len({each.name for each in requests}) < len(requests):
        raise ValueError("each name can occur once")
    return requests


def file_requests(asked: Sequence[RequestedFile], first: int = 0) -> list[FileRequest]:
    """The domain's file requests; their positions begin with ``first``."""
    return [
        FileRequest(each.name, AssetType(each.asset_type), each.hint, each.required, position)
        for position, each in enumerate(asked, first)
    ]


class MoreRequests(Body):
    """The body of POST /sessions/{session_id}/requests."""

    requests: Annotated[
        list[RequestedFile], Field(min_length=1, max_length=MAX_REQUESTS_PER_SESSION), AfterValidator(_different)
    ]


def _unless_requested(name: str | None, info: ValidationInfo) -> str | None:
    requested: str | None = info.data.get("request")
    if name is None and requested is None:
        raise ValueError("field required without request")
    return requested or name


class AssetRegistration(Body):
    """A file that will be uploaded. With ``request``, its name is that of the file request."""

    #: The name of the session's file request that this file is for.
    request: Annotated[_RequestName | None, _UNLESS_SET] = None
    name: Annotated[_Name | None, Field(validate_default=True), AfterValidator(_unless_requested)] = None
    asset_type: Literal["Image", "Video", "Audio"]
    #: Compared without case and parameters; aliases become the standard form, which is stored and signed.
    content_type: Annotated[str, AfterValidator(_in_standard_form)]
    size_bytes: Annotated[int, BeforeValidator(whole), Field(ge=1)]
    #: The digest of the file's bytes, in hex. Registering the same bytes again returns the existing asset.
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _check_media(self) -> AssetRegistration:
        kind = CONTENT_TYPES.get(self.content_type)
        if kind is None or kind != self.asset_type:
            raise ValueError(f"content_type {self.content_type[:60]!r} is not accepted for {self.asset_type}")
        if self.size_bytes > MAX_BYTES[kind]:
            raise ValueError(f"size_bytes exceeds the limit of {MAX_BYTES[kind]} for {self.asset_type}")
        return self


class ConsentGiven(Body):
    """The person's consent, as the caller recorded it."""

    text_version: Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
    given_at: Annotated[AwareDatetime, Field(strict=False), AfterValidator(in_utc)]


class NewSession(Body):
    """The body of POST /sessions. Everything is optional."""

    language: Literal["zh", "en", "zh-Hant"] = "zh"
    reference: Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)] | None = None
    return_url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    start: Literal["now", "on_open"] = "now"
    consent: ConsentGiven | None = None
    #: What the person is asked to agree to, or what the client's own consent covers.
    consent_terms: Annotated[Terms | None, _UNLESS_SET] = None
    assets: Annotated[list[AssetRegistration], Field(max_length=MAX_ASSETS_PER_REQUEST)] = Field(default_factory=list)
    requests: Annotated[
        list[RequestedFile], Field(max_length=MAX_REQUESTS_PER_SESSION), AfterValidator(_different), _UNLESS_SET
    ] = Field(default_factory=list)
