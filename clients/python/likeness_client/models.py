"""What the service answers, and what it is sent: frozen dataclasses.

Words such as a status are plain ``str``: a service that is newer than this client may know more of them than the
``Literal`` of that name. Moments are aware datetimes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal

Language = Literal["zh", "en", "zh-Hant"]
Start = Literal["now", "on_open"]
AssetType = Literal["Image", "Video", "Audio"]
SessionStatus = Literal["requires_input", "processing", "verified", "canceled", "redacted"]
AttemptStatus = Literal["open", "passed", "failed", "lapsed", "verified", "lost"]
AssetStatus = Literal["awaiting_upload", "uploaded", "submitting", "processing", "active", "failed", "redacted"]
ProblemCode = Literal[
    "bad_request",
    "conflict",
    "consent_required",
    "consent_text_changed",
    "forbidden",
    "idempotency_key_reused",
    "internal_error",
    "invalid_request",
    "not_found",
    "rate_limited",
    "request_in_progress",
    "storage_unavailable",
    "throttled",
    "too_many_attempts",
    "unauthorized",
    "upstream_credits_exhausted",
    "upstream_rejected",
]

#: By the file's suffix. Not mimetypes: what it knows differs from machine to machine.
CONTENT_TYPES = {
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".wav": "audio/wav",
    ".webp": "image/webp",
}
_ASSET_TYPES: dict[str, AssetType] = {"image": "Image", "video": "Video", "audio": "Audio"}
_SETTLED = frozenset({"active", "failed", "redacted"})
_ENDED = frozenset({"canceled", "redacted"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An RFC 9457 problem document. What the gateway itself answers has no status and no detail."""

    title: str
    code: str
    status: int | None = None
    detail: str | None = None
    field: str | None = None
    request_id: str | None = None
    upstream_errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt or an asset failed. ``upstream_code`` is a session's, ``retryable`` an asset's."""

    code: str
    message: str
    upstream_code: str | None = None
    retryable: bool | None = None


@dataclass(frozen=True, kw_only=True)
class UploadForm:
    """A presigned POST, good until ``expires_at``. A secret: ``url`` and ``fields`` are not shown."""

    url: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file of a person; ``uri`` is its ``asset://`` id once it is active, ``upload`` only in the answer that
    registered it."""

    id: str
    session_id: str
    name: str
    asset_type: str
    content_type: str
    size_bytes: int
    status: str
    created_at: datetime
    updated_at: datetime
    crun_asset_id: str | None = None
    #: crun's first id of a file that was given to it a second time.
    earlier_crun_asset_id: str | None = None
    uri: str | None = None
    error: Failure | None = None
    uploaded_at: datetime | None = None
    submitted_at: datetime | None = None
    activated_at: datetime | None = None
    upload: UploadForm | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in _SETTLED


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at the face check. ``h5_link`` is a secret, and only in the answer that made it."""

    number: int
    status: str
    expires_at: datetime
    created_at: datetime | None = None
    answered_at: datetime | None = None
    result_code: str | None = None
    h5_link: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Consent:
    """A consent on record, or one that the caller tells of (``text_version`` and ``given_at`` alone)."""

    text_version: str
    given_at: datetime
    sha256: str | None = None
    language: str | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConsentText:
    """The text that people agree to; ``sha256`` is what they agree by."""

    text_version: str
    language: str
    sha256: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """When a session was erased; ``upstream`` says what the provider could do about its own copies."""

    erased_at: datetime
    upstream: str
    #: Every id that crun gave for this session, to ask its support for; a listing does not have them.
    group_ids: tuple[str, ...] = ()
    asset_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SessionSummary:
    """A session as a listing shows it."""

    id: str
    status: str
    language: str
    created_at: datetime
    updated_at: datetime
    reference: str | None = None
    group_id: str | None = None
    last_error: Failure | None = None
    erasure: Erasure | None = None

    @property
    def is_ended(self) -> bool:
        """Whether it was canceled or erased."""
        return self.status in _ENDED


@dataclass(frozen=True, kw_only=True)
class Session(SessionSummary):
    """One person's onboarding. ``invite_url`` is a secret, and only in the answer that made it."""

    attempt: Attempt | None = None
    attempts: tuple[Attempt, ...] = ()
    attempts_left: int = 0
    assets: tuple[Asset, ...] = ()
    consent: Consent | None = None
    verified_at: datetime | None = None
    invite_url: str | None = field(default=None, repr=False)

    @property
    def is_settled(self) -> bool:
        """Whether it is verified and every asset is active, failed or erased."""
        return self.status == "verified" and all(each.is_settled for each in self.assets)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some sessions, newest first; ``next_cursor`` leads to the following ones."""

    sessions: tuple[SessionSummary, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class SecondsToActive:
    """A histogram: upper bounds in seconds, ascending, each with how many assets took that long."""

    buckets: tuple[tuple[float, int], ...]


@dataclass(frozen=True, kw_only=True)
class StatsDay:
    """The numbers of the sessions and assets made on one day, UTC, by their present status."""

    date: date
    sessions: int
    statuses: Mapping[str, int]
    failures: Mapping[str, int]
    assets: Mapping[str, int]
    asset_failures: Mapping[str, int]
    seconds_to_active: SecondsToActive


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Some days; ``next_cursor`` leads to the following ones."""

    days: tuple[StatsDay, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewAsset:
    """A file to register. With ``sha256`` the same bytes are never registered twice in a session."""

    name: str
    asset_type: AssetType
    content_type: str
    size_bytes: int
    sha256: str | None = None

    @classmethod
    def of_file(
        cls, path: str | Path, *, name: str | None = None, content_type: str | None = None, with_sha256: bool = True
    ) -> NewAsset:
        """What the file at ``path`` is registered as; its type by its suffix unless ``content_type`` is given.

        ValueError for a suffix or a type that the service does not take.
        """
        path = Path(path)
        content_type = content_type or CONTENT_TYPES.get(path.suffix.lower())
        asset_type = _ASSET_TYPES.get((content_type or "").partition("/")[0].lower())
        if content_type is None or asset_type is None:
            raise ValueError(f"{path.suffix or 'no suffix'}: neither an image nor a video nor a recording")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if with_sha256 else None
        return cls(
            name=name or path.name,
            asset_type=asset_type,
            content_type=content_type,
            size_bytes=path.stat().st_size,
            sha256=digest,
        )

    def to_json(self) -> dict[str, object]:
        """The request's member; without ``sha256`` when there is none."""
        return {name: value for name, value in vars(self).items() if value is not None}
