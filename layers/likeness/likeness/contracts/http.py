"""The bodies of the HTTP API: what is accepted, and what is answered (snake_case, ISO 8601 UTC)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

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

from likeness.domain.asset import NAME_LIMIT, Asset
from likeness.domain.media import CONTENT_TYPES, MAX_BYTES
from likeness.domain.session import Attempt, Consent, Problem, Session
from likeness.errors import InvalidRequest
from likeness.ports import UploadForm

MAX_ASSETS_PER_REQUEST = 20
Model = TypeVar("Model", bound=BaseModel)
# No control characters, line separators or overrides of the direction of what follows: names reach crun and pages.
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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


def iso(seconds: float | None) -> str | None:
    """Epoch seconds as ISO 8601 UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def problem_view(problem: Problem | None, *, of_asset: bool = False) -> dict[str, Any] | None:
    """``last_error`` of a session, or ``error`` of an asset."""
    if problem is None:
        return None
    view: dict[str, Any] = {"code": problem.code, "message": problem.message}
    return view | ({"retryable": problem.retryable} if of_asset else {"upstream_code": problem.upstream_code})


def asset_view(asset: Asset, upload: UploadForm | None = None) -> dict[str, Any]:
    """An asset; ``upload`` only in the answer that registered it."""
    view: dict[str, Any] = {
        "id": asset.id,
        "session_id": asset.session_id,
        "name": asset.name,
        "asset_type": asset.asset_type.value,
        "content_type": asset.content_type,
        "size_bytes": asset.size_bytes,
        "status": asset.status.value,
        "crun_asset_id": asset.crun_asset_id,
        "uri": asset.uri,
        "error": problem_view(asset.error, of_asset=True),
        "created_at": iso(asset.created_at),
        "updated_at": iso(asset.updated_at),
        "uploaded_at": iso(asset.uploaded_at),
        "submitted_at": iso(asset.submitted_at),
        "activated_at": iso(asset.activated_at),
    }
    if upload:
        view["upload"] = {"url": upload.url, "fields": upload.fields, "expires_at": iso(upload.expires_at)}
    return view


def consent_view(consent: Consent) -> dict[str, Any]:
    """A consent, as the session and the answer that recorded it show it."""
    return {
        "text_version": consent.text_version,
        "given_at": consent.given_at,
        "sha256": consent.sha256,
        "language": consent.language,
        "source": consent.source,
    }


def _attempt_view(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "status": attempt.status.value,
        "created_at": iso(attempt.created_at),
        "expires_at": iso(attempt.expires_at),
        "answered_at": iso(attempt.answered_at),
        "result_code": attempt.result_code,
    }


def session_view(
    session: Session,
    assets: list[dict[str, Any]] | None = None,
    *,
    max_attempts: int = 0,
    h5_link: str | None = None,
    invite_url: str | None = None,
) -> dict[str, Any]:
    """A session; the two links only in the answer that made them. A listing (``assets`` is None) shows neither

    assets nor attempts nor the consent. ``max_attempts`` per session, for ``attempts_left``.
    """
    attempt = session.attempt
    view: dict[str, Any] = {
        "id": session.id,
        "status": session.status.value,
        "language": session.language.value,
        "reference": session.reference,
        "group_id": session.group_id,
        "last_error": problem_view(session.last_error),
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
    }
    if assets is not None:
        view["attempt"] = attempt and {
            "number": attempt.number,
            "status": attempt.status.value,
            "expires_at": iso(attempt.expires_at),
        }
        if attempt and h5_link:
            view["attempt"]["h5_link"] = h5_link
        view |= {
            "attempts": [_attempt_view(each) for _, each in sorted(session.attempts.items())],
            "attempts_left": session.attempts_left(max_attempts),
            "consent": session.consent and consent_view(session.consent),
            "verified_at": iso(session.verified_at),
            "assets": assets,
        }
    if session.erased_at:
        # crun has no call to delete a group or an asset: these ids are what to ask its support for.
        view["erasure"] = {"erased_at": iso(session.erased_at), "upstream": "not_supported_by_provider"}
    if invite_url:
        view["invite_url"] = invite_url
    return view
