"""The data of requests and responses, as frozen dataclasses.

Values such as a status are plain ``str``, because a newer service may have more of them than the ``Literal`` of that
name. Times are aware datetimes.
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
#: Who has a personal link.
Holder = Literal["person", "client"]
WebhookState = Literal["enabled", "failing", "paused", "disabled"]
SessionStatus = Literal["requires_input", "processing", "verified", "canceled", "redacted"]
AttemptStatus = Literal["open", "passed", "failed", "lapsed", "verified", "lost"]
AssetStatus = Literal["awaiting_upload", "uploaded", "submitting", "processing", "active", "failed", "redacted"]
RequestStatus = Literal["open", "received", "active"]
DeletionKind = Literal["group", "asset"]
DeletionStatus = Literal["not_asked", "asked", "refused_until", "done"]
ConsentStatus = Literal["given", "withdrawn", "expired", "missing"]
ProblemCode = Literal[
    "bad_request",
    "conflict",
    "consent_declined",
    "consent_expired",
    "consent_given",
    "consent_missing",
    "consent_required",
    "consent_text_changed",
    "consent_withdrawn",
    "file_deleted",
    "forbidden",
    "idempotency_key_reused",
    "internal_error",
    "invalid_request",
    "no_active_asset",
    "no_preview",
    "not_found",
    "not_retryable",
    "not_verified",
    "purpose_not_covered",
    "rate_limited",
    "request_exists",
    "request_filled",
    "request_in_progress",
    "storage_unavailable",
    "throttled",
    "too_many_attempts",
    "unauthorized",
    "upstream_credits_exhausted",
    "upstream_rejected",
    "webhook_disabled",
]

#: Content types by suffix. The module mimetypes is not used, because its types differ between machines.
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
    """An RFC 9457 problem document. Responses of API Gateway itself have no status and no detail."""

    title: str
    code: str
    status: int | None = None
    detail: str | None = None
    field: str | None = None
    request_id: str | None = None
    upstream_errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The reason of a failure. ``upstream_code`` is for sessions, ``retryable`` for assets."""

    code: str
    message: str
    upstream_code: str | None = None
    retryable: bool | None = None


@dataclass(frozen=True, kw_only=True)
class UploadForm:
    """A presigned POST, valid until ``expires_at``. ``url`` and ``fields`` are secret, and not in the ``repr``."""

    url: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeletionRequest:
    """The provider's copy of an erased group or asset, and the request to delete it there.

    ``done`` means that the provider has confirmed the deletion to the operator of the service. ``refused_until`` is
    when it can delete at the earliest.
    """

    id: str
    kind: str
    status: str
    asked_at: datetime | None = None
    refused_at: datetime | None = None
    refused_until: datetime | None = None
    done_at: datetime | None = None
    #: The number of the provider's message with its answer.
    ticket: str | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file of a person.

    ``uri`` is its ``asset://`` id when it is active; ``upload`` is only in the response of its registration.
    """

    id: str
    session_id: str
    name: str
    asset_type: str
    content_type: str
    size_bytes: int
    status: str
    created_at: datetime
    updated_at: datetime
    #: The name of the file request for which it was registered.
    request: str | None = None
    crun_asset_id: str | None = None
    #: crun's first id of a file that was submitted more than once.
    earlier_crun_asset_id: str | None = None
    #: crun's further earlier ids of a file that was submitted more than twice.
    other_crun_asset_ids: tuple[str, ...] = ()
    #: Of an erased file: what the provider was asked to delete.
    deletion_requests: tuple[DeletionRequest, ...] = ()
    uri: str | None = None
    error: Failure | None = None
    uploaded_at: datetime | None = None
    submitted_at: datetime | None = None
    activated_at: datetime | None = None
    upload: UploadForm | None = None

    @property
    def is_settled(self) -> bool:
        """Whether its status is final."""
        return self.status in _SETTLED


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at the face check. ``h5_link`` is secret, and only in the response that created it."""

    number: int
    status: str
    expires_at: datetime
    created_at: datetime | None = None
    answered_at: datetime | None = None
    result_code: str | None = None
    h5_link: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Consent:
    """A recorded consent, or one that the caller reports (``text_version`` and ``given_at`` alone)."""

    text_version: str
    given_at: datetime
    sha256: str | None = None
    language: str | None = None
    source: str | None = None
    #: None from a service that has no terms of consents yet.
    status: str | None = None
    #: None for every purpose.
    purposes: tuple[str, ...] | None = None
    #: None for a consent that is valid until it is withdrawn.
    valid_until: datetime | None = None
    #: Whether the person is asked for other terms than those of this consent.
    has_new_terms: bool = False


@dataclass(frozen=True, kw_only=True)
class ConsentTerms:
    """What a person is asked to agree to. The operator's defaults replace what is left out.

    At most one of ``valid_until`` (which must have a time zone) and ``valid_days`` (from the consent on) is set.
    """

    purposes: tuple[str, ...] | None = None
    valid_until: datetime | None = None
    valid_days: int | None = None

    def to_json(self) -> dict[str, object]:
        """Returns the JSON of the terms, without absent values."""
        if self.valid_until is not None and self.valid_until.tzinfo is None:
            raise ValueError("valid_until must have a time zone")
        terms: dict[str, object] = {"purposes": list(self.purposes)} if self.purposes else {}
        terms |= {"valid_until": self.valid_until.isoformat()} if self.valid_until else {}
        return terms | ({"valid_days": self.valid_days} if self.valid_days is not None else {})


@dataclass(frozen=True, kw_only=True)
class InFlight:
    """An ``attempt``, ``asset`` or ``generation`` that crun was sent before a withdrawal. Its result is not used."""

    type: str
    id: str


@dataclass(frozen=True, kw_only=True)
class ConsentWithdrawal:
    """A consent that was taken back by ``source``: ``person`` or ``client``."""

    withdrawn_at: datetime
    source: str
    in_flight: tuple[InFlight, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SessionConsent:
    """What a session shows of its consent."""

    consent_status: str
    consent: Consent | None = None
    consent_terms: ConsentTerms | None = None
    consent_withdrawal: ConsentWithdrawal | None = None
    consent_declined_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ValidReceipt:
    """A personal link that works, without the link. ``holder`` is ``person`` or ``client``."""

    holder: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Receipts:
    """The personal links of a session that work."""

    session_id: str
    receipts: tuple[ValidReceipt, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A new personal link, ``receipt_url``. It is secret, and cannot be read again."""

    session_id: str
    holder: str
    created_at: datetime
    receipt_url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class UsableAsset:
    """An active asset that may be used; ``uri`` is its ``asset://`` id."""

    id: str
    asset_type: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class Use:
    """A use that is allowed, with the active assets. ``valid_until`` is when the consent ends."""

    session_id: str
    purpose: str | None = None
    valid_until: datetime | None = None
    assets: tuple[UsableAsset, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UseResult:
    """The result for one id. ``code`` says why a use is not allowed; the other fields are those of ``Use``."""

    id: str
    allowed: bool
    code: str | None = None
    detail: str | None = None
    session_id: str | None = None
    purpose: str | None = None
    valid_until: datetime | None = None
    assets: tuple[UsableAsset, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UseResults:
    """A result for each id of a request, in its order."""

    results: tuple[UseResult, ...]


@dataclass(frozen=True, kw_only=True)
class ConsentText:
    """The consent text; a consent refers to it by ``sha256``. ``terms`` are sentences that name the terms."""

    text_version: str
    language: str
    sha256: str
    title: str
    text: str
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConsentDeclined:
    """A recorded refusal to consent; a consent that is given later clears it."""

    consent_declined_at: datetime


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A link to a picture, valid until ``expires_at``. ``url`` is secret, and not in the ``repr``."""

    url: str = field(repr=False)
    expires_at: datetime
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """The erasure of a session; ``upstream`` is the state of the provider's own copies."""

    erased_at: datetime
    upstream: str
    #: crun's ids of this session, for a request to its support; a listing does not contain them.
    group_ids: tuple[str, ...] = ()
    asset_ids: tuple[str, ...] = ()
    #: What the provider was asked about each of them, and what it has answered.
    deletion_requests: tuple[DeletionRequest, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileRequest:
    """A file to ask the person for. ``hint`` says what it should show or say; the person sees it with ``name``.

    ``asset_id`` (the newest asset for it) and ``status`` are only in a session.
    """

    name: str
    asset_type: str
    hint: str | None = None
    required: bool = True
    asset_id: str | None = None
    status: str = "open"

    def to_json(self) -> dict[str, object]:
        """Returns the JSON of the request, without absent values."""
        asked = {"name": self.name, "asset_type": self.asset_type, "required": self.required}
        return asked | ({"hint": self.hint} if self.hint is not None else {})


@dataclass(frozen=True, kw_only=True)
class SessionSummary:
    """A session in a listing."""

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
    """One person's onboarding. ``invite_url`` is secret, and only in the response that created it."""

    attempt: Attempt | None = None
    attempts: tuple[Attempt, ...] = ()
    attempts_left: int = 0
    assets: tuple[Asset, ...] = ()
    consent: Consent | None = None
    #: See ``ConsentStatus``. None from a service that does not have it yet.
    consent_status: str | None = None
    #: What the person is asked to agree to.
    consent_terms: ConsentTerms | None = None
    consent_withdrawal: ConsentWithdrawal | None = None
    #: When the person declined to consent, until they agree.
    consent_declined_at: datetime | None = None
    verified_at: datetime | None = None
    #: The files that the person is asked for.
    requests: tuple[FileRequest, ...] = ()
    #: The personal links that work.
    receipts: tuple[ValidReceipt, ...] = ()
    #: When the person had nothing more to send.
    finished_at: datetime | None = None
    #: Whether it is verified and nothing more is expected. None from a service that does not have it yet.
    settled: bool | None = None
    invite_url: str | None = field(default=None, repr=False)
    #: The text that the person has yet to agree to, if ``get_session`` was called with ``consent_text``.
    consent_text: ConsentText | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is expected: ``settled``.

        From an older service: whether it is verified and every asset is active, failed or erased.
        """
        if self.settled is not None:
            return self.settled
        return self.status == "verified" and all(each.is_settled for each in self.assets)


@dataclass(frozen=True, kw_only=True)
class PersonalPage:
    """What the page of a personal link shows.

    ``agreed`` is the text that the person agreed to, None when the client answers for the consent. ``terms`` are
    sentences.
    """

    holder: str
    created_at: datetime
    session: Session
    agreed: ConsentText | None = None
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some sessions, newest first; ``next_cursor`` is for the next page.

    With a filter, a page can be empty although another one follows: ``examined`` sessions were read for it, back to
    those created at ``examined_to`` (None at the end of the list).
    """

    sessions: tuple[SessionSummary, ...]
    next_cursor: str | None = None
    examined: int = 0
    examined_to: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ClientKey:
    """A key of this client by its ``id``; the key itself is not stored. ``revoked_at`` is None while it works."""

    id: str
    created_at: datetime
    return_origins: tuple[str, ...]
    revoked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ClientKeys:
    """All keys of this client, oldest first."""

    keys: tuple[ClientKey, ...]


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook endpoint of this client; an empty ``event_types`` means all. ``url`` is without what may be a secret.

    ``since`` is when ``state`` began, None for ``enabled``. ``last_failure`` is an HTTP status, or a code.
    """

    id: str
    url: str
    event_types: tuple[str, ...]
    state: str
    created_at: datetime
    since: datetime | None = None
    last_failure: str | None = None


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """All webhook endpoints of this client."""

    webhooks: tuple[Webhook, ...]


@dataclass(frozen=True, kw_only=True)
class WebhookTest:
    """The id of a queued test event."""

    event_id: str


@dataclass(frozen=True, kw_only=True)
class WebhookReplay:
    """The number of deliveries that were queued again. Unless ``complete``, another call replays the rest."""

    replayed: int
    complete: bool


@dataclass(frozen=True, kw_only=True)
class SecondsToActive:
    """A histogram: ascending upper bounds in seconds, each with a number of assets."""

    buckets: tuple[tuple[float, int], ...]


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """How many of a day's sessions have reached each step until now.

    Pass rate is ``passed / checked``, conversion is ``verified / created``. No number falls when a session gets a new
    link.
    """

    created: int
    consented: int
    opened: int
    checked: int
    passed: int
    verified: int
    active: int


@dataclass(frozen=True, kw_only=True)
class StatsDay:
    """The numbers of sessions and assets created on one day (UTC), by their current status.

    ``funnel`` is None for a stack of an earlier version.
    """

    date: date
    sessions: int
    funnel: Funnel | None = None
    statuses: Mapping[str, int]
    failures: Mapping[str, int]
    assets: Mapping[str, int]
    asset_failures: Mapping[str, int]
    seconds_to_active: SecondsToActive


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Some days; ``next_cursor`` is for the next page."""

    days: tuple[StatsDay, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewAsset:
    """A file to register. With ``sha256``, the same bytes are never registered twice in a session."""

    name: str
    asset_type: AssetType
    content_type: str
    size_bytes: int
    sha256: str | None = None
    #: The name of the file request that it is for. The asset then has this name.
    request: str | None = None

    @classmethod
    def of_file(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        content_type: str | None = None,
        with_sha256: bool = True,
        request: str | None = None,
    ) -> NewAsset:
        """Returns the registration of the file at ``path``; the type is that of the suffix or ``content_type``.

        Its name is ``request`` or ``name``, by default that of the file. Raises ValueError for a suffix or a type that
        the service does not accept.
        """
        path = Path(path)
        content_type = content_type or CONTENT_TYPES.get(path.suffix.lower())
        asset_type = _ASSET_TYPES.get((content_type or "").partition("/")[0].lower())
        if content_type is None or asset_type is None:
            raise ValueError(f"{path.suffix or 'no suffix'}: not an image, a video or an audio file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if with_sha256 else None
        return cls(
            name=request or name or path.name,
            request=request,
            asset_type=asset_type,
            content_type=content_type,
            size_bytes=path.stat().st_size,
            sha256=digest,
        )

    def to_json(self) -> dict[str, object]:
        """Returns the JSON of the request, without absent values."""
        return {name: value for name, value in vars(self).items() if value is not None}
