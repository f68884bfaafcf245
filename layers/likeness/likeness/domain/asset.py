"""An asset: one picture, clip or voice sample that becomes an ``asset://`` id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from likeness.domain.fields import about
from likeness.domain.ids import asset_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Problem, Session, StoredDeletions
from likeness.errors import UpstreamRefused

NAME_LIMIT = 64
#: How long an upload form works, in seconds. After that, its slot is free until a new form is requested.
SLOT_SECONDS = 3600
#: How long the URL of a preview works, in seconds.
PREVIEW_SECONDS = 300
#: The types that every browser shows in an ``<img>``.
_SHOWN_BY_BROWSERS = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
#: How many uploads of a person with an invite link may be pending. A client's uploads are bounded by the session.
MAX_PERSON_SLOTS = 20
#: An ambiguous upload to crun is repeated at most once, because crun has no idempotency key and no list call.
MAX_AMBIGUOUS_SUBMISSIONS = 2
#: Longer than the Timeout of every function that submits (see the template), so the submitter has ended after it.
SUBMISSION_LEASE_SECONDS = 50
#: How often a file can be given to crun again: each time leaves an AssetId in its row.
MAX_RESUBMISSIONS = 20
#: The code of an asset that was active and that crun has lost.
ASSET_LOST = "asset_lost"


class AssetStatus(StrEnum):
    """``awaiting_upload → uploaded → submitting → processing → active | failed``; ``redacted`` once erased."""

    AWAITING_UPLOAD = "awaiting_upload"
    UPLOADED = "uploaded"
    SUBMITTING = "submitting"
    PROCESSING = "processing"
    ACTIVE = "active"
    FAILED = "failed"
    REDACTED = "redacted"


#: What an execution still has to submit to crun; ``awaiting_upload`` waits for the person.
OPEN_WORK = frozenset({AssetStatus.UPLOADED, AssetStatus.SUBMITTING})
#: What an execution still has to bring to ``active`` or ``failed``.
IN_PROGRESS = OPEN_WORK | {AssetStatus.PROCESSING}
_BEFORE_ITS_DUPLICATES = IN_PROGRESS | {AssetStatus.ACTIVE}
#: What may still fail before it becomes active.
_UNSETTLED = IN_PROGRESS | {AssetStatus.AWAITING_UPLOAD}


class InvalidTransition(ValueError):
    """When code requests a transition that the asset's status does not allow."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. Times are epoch seconds.

    ``object_key`` and ``version_id`` name the bytes that were checked. ``sha256`` (hex) is their digest; before the
    check, it is the digest from the registration. The metadata of a field declares whether it is stored, exported,
    shown and erased: see fields.py. A transition returns the changed asset and stores nothing. It raises
    InvalidTransition when the asset's status does not allow it.
    """

    id: str = field(metadata=about(exported=True, shown=True))
    session_id: str = field(metadata=about(exported=True, shown=True))
    name: str = field(metadata=about(shown=True, erased=True))
    asset_type: AssetType = field(metadata=about(AssetType, exported=True, shown=True))
    content_type: str = field(metadata=about(exported=True, shown=True))
    status: AssetStatus = field(metadata=about(AssetStatus, exported=True, shown=True))
    object_key: str = field(metadata=about(erased=True))
    created_at: float = field(metadata=about(exported=True, shown=True))
    updated_at: float = field(metadata=about(exported=True, shown=True))
    size_bytes: int = field(default=0, metadata=about(exported=True, shown=True))
    version_id: str | None = field(default=None, metadata=about(erased=True))
    crun_asset_id: str | None = field(default=None, metadata=about(exported=True, shown=True))
    error: Problem | None = field(default=None, metadata=about(Problem, exported=True, shown=True, erased=True))
    uploaded_at: float | None = field(default=None, metadata=about(exported=True, shown=True))
    submitted_at: float | None = field(default=None, metadata=about(exported=True, shown=True))
    activated_at: float | None = field(default=None, metadata=about(exported=True, shown=True))
    ambiguous_submissions: int = field(default=0, metadata=about(exported=True))
    resubmissions: int = field(default=0, metadata=about(exported=True))
    sha256: str | None = field(default=None, metadata=about(exported=True))
    #: The client that owns it; "" on assets of earlier versions. It is not stored as ``client_id``: with that
    #: attribute and ``id``, an asset would also be in the sessions' index.
    client_id: str = field(default="", metadata=about(name="asset_client_id", sparse=True, exported=True))
    #: crun's first id of a file that was submitted a second time. Shown when it is set.
    earlier_crun_asset_id: str | None = field(default=None, metadata=about(exported=True))
    #: crun's further ids of a file that was submitted more than twice, without the first and the current one.
    other_crun_asset_ids: tuple[str, ...] = field(default=(), metadata=about(tuple, sparse=True, exported=True))
    #: The invocation that submits it while it is ``submitting``; no other one does so for SUBMISSION_LEASE_SECONDS.
    #: None once that invocation has released it. Earlier versions stored the execution's name alone.
    submitting_by: str | None = None
    #: When crun first reported the asset as unknown, if it still does: a second check decides.
    missing_since: float | None = None
    #: Whether a person has registered it with an invite link.
    by_person: bool = field(default=False, metadata=about(sparse=True, exported=True))
    #: The name of the file request for which it was registered. The request's ``asset_id`` names the newest one.
    request: str | None = field(default=None, metadata=about(exported=True, shown=True, erased=True))
    #: Whether the session's count no longer includes it: it was erased, or its form expired without a file.
    given_back: bool = field(default=False, metadata=about(sparse=True, exported=True))
    #: What crun was asked about the AssetIds after the erasure, as it is stored.
    deletion_requests: StoredDeletions = field(
        default_factory=dict, hash=False, metadata=about(sparse=True, exported=True)
    )

    def waits(self, now: float) -> bool:
        """Whether its file can still be uploaded, because its form has not expired."""
        return self.status is AssetStatus.AWAITING_UPLOAD and now < self.updated_at + SLOT_SECONDS

    def is_over(self, now: float) -> bool:
        """Whether its slot in the session can be freed: it is erased, or its form expired without a file."""
        waiting = self.status is AssetStatus.AWAITING_UPLOAD and not self.waits(now)
        return waiting or self.status is AssetStatus.REDACTED

    @property
    def can_be_retried(self) -> bool:
        """Whether it failed although its file passed the check, for a reason that may not occur again."""
        failed = self.status is AssetStatus.FAILED and self.error is not None and self.error.retryable
        return failed and self.uploaded_at is not None and self.resubmissions < MAX_RESUBMISSIONS

    @property
    def crun_asset_ids(self) -> list[str]:
        """Every AssetId that crun has returned for the file, oldest first."""
        known = (self.earlier_crun_asset_id, *self.other_crun_asset_ids, self.crun_asset_id)
        return [each for each in known if each]

    @property
    def has_preview(self) -> bool:
        """Whether browsers can show its file: a picture of a common type that passed the check and is not erased."""
        checked = self.uploaded_at is not None and self.status is not AssetStatus.REDACTED
        return checked and self.content_type in _SHOWN_BY_BROWSERS

    @property
    def may_be_removed_by_person(self) -> bool:
        """Whether its person may erase it: a file of the person's own that failed, was not uploaded, or is erased."""
        return self.by_person and self.status in (AssetStatus.AWAITING_UPLOAD, AssetStatus.FAILED, AssetStatus.REDACTED)

    @property
    def uri(self) -> str | None:
        """The URI for generation requests, once the asset is active."""
        return f"asset://{self.crun_asset_id}" if self.status is AssetStatus.ACTIVE else None

    def seconds_at_crun(self, now: float) -> float:
        """How long crun has been processing it; 0 when crun does not process it."""
        if self.status is not AssetStatus.PROCESSING or self.submitted_at is None:
            return 0
        return now - self.submitted_at

    # -- waiting for the file

    def place_renewed(self, now: float) -> Asset:
        """The asset after a new upload form: it waits for its file for another SLOT_SECONDS."""
        self._require(AssetStatus.AWAITING_UPLOAD)
        return replace(self, updated_at=now)

    def place_counted(self) -> Asset:
        """The asset after its slot counts in its session again."""
        self._require(AssetStatus.AWAITING_UPLOAD)
        return replace(self, given_back=False)

    def received(self, version_id: str | None, size_bytes: int, now: float) -> Asset:
        """The asset after its file has arrived: this version of the object is final."""
        self._require(AssetStatus.AWAITING_UPLOAD)
        return replace(self, version_id=version_id, size_bytes=size_bytes, updated_at=now)

    def uploaded(self, asset_type: AssetType, content_type: str, sha256: str, now: float) -> Asset:
        """The asset after its file passed the check; type, content type and digest come from the file."""
        self._require(AssetStatus.AWAITING_UPLOAD)
        return replace(
            self,
            status=AssetStatus.UPLOADED,
            asset_type=asset_type,
            content_type=content_type,
            sha256=sha256,
            uploaded_at=now,
            updated_at=now,
        )

    # -- submission to crun

    def claimed(self, submitter: str, now: float) -> Asset:
        """The asset before ``submitter`` submits it: until the outcome is known, the submission counts as ambiguous."""
        self._require(*OPEN_WORK)
        return replace(
            self,
            status=AssetStatus.SUBMITTING,
            submitting_by=submitter,
            ambiguous_submissions=self.ambiguous_submissions + 1,
            updated_at=now,
        )

    def released(self, now: float) -> Asset:
        """The asset after its submitter has stopped: the next one does not wait for the end of the lease."""
        self._require(*OPEN_WORK)
        return replace(self, submitting_by=None, updated_at=now)

    def submitted(self, crun_asset_id: str, now: float) -> Asset:
        """The asset after crun has accepted the file and returned an AssetId."""
        self._require(AssetStatus.SUBMITTING)
        return self._at_crun(crun_asset_id, now, now)

    def submission_recovered(self, crun_asset_id: str, resubmissions: int, now: float) -> Asset:
        """The asset after its AssetId was found in an execution's history, but not in the stored asset."""
        self._require(AssetStatus.AWAITING_UPLOAD, *OPEN_WORK)
        known = replace(self, resubmissions=resubmissions)
        return known._at_crun(crun_asset_id, now if self.submitted_at is None else self.submitted_at, now)

    def shares_id_of(self, duplicate: Asset, now: float) -> Asset:
        """The asset with the AssetId of ``duplicate``, which has the same bytes: it is not submitted itself.

        When the duplicate is active, ``submitted_at`` stays None: the duplicate's time would make this asset seem to
        have waited since then.
        """
        self._require(AssetStatus.UPLOADED)
        if duplicate.crun_asset_id is None:
            raise InvalidTransition("The duplicate has no AssetId")
        active = duplicate.status is AssetStatus.ACTIVE
        return replace(
            self,
            status=duplicate.status,
            crun_asset_id=duplicate.crun_asset_id,
            submitted_at=None if active else duplicate.submitted_at,
            activated_at=now if active else None,
            updated_at=now,
        )

    # -- at crun

    def activated(self, now: float) -> Asset:
        """The asset after crun has reported it as Active."""
        self._require(AssetStatus.PROCESSING)
        return replace(self, status=AssetStatus.ACTIVE, activated_at=now, updated_at=now)

    def missed(self, now: float) -> Asset:
        """The asset after crun has reported it as unknown. The first time is kept, and a later check decides."""
        self._require(AssetStatus.PROCESSING)
        return self if self.missing_since is not None else replace(self, missing_since=now)

    def found_again(self) -> Asset:
        """The asset after crun has reported it as known again."""
        self._require(AssetStatus.PROCESSING)
        return self if self.missing_since is None else replace(self, missing_since=None)

    def resubmission_due(self, now: float) -> Asset:
        """The asset after crun could not download the file: it is submitted once more and gets another AssetId."""
        self._require(AssetStatus.PROCESSING)
        if self.resubmissions:
            raise InvalidTransition("An asset is submitted again at most once")
        return replace(
            self,
            status=AssetStatus.UPLOADED,
            resubmissions=1,
            ambiguous_submissions=0,
            crun_asset_id=None,
            earlier_crun_asset_id=self.crun_asset_id,
            updated_at=now,
        )

    def retried(self, now: float) -> Asset:
        """The failed asset after its client has asked for another try: its file is submitted again.

        An AssetId of the earlier try is kept, and counts a resubmission: results of executions from before are older.
        """
        self._require(AssetStatus.FAILED)
        if not self.can_be_retried:
            raise InvalidTransition("The asset cannot be retried")
        again = replace(
            self,
            status=AssetStatus.UPLOADED,
            error=None,
            ambiguous_submissions=0,
            missing_since=None,
            submitted_at=None,
            updated_at=now,
        )
        if self.crun_asset_id is None:
            return again
        again = replace(again, crun_asset_id=None, resubmissions=self.resubmissions + 1)
        if self.earlier_crun_asset_id is None:
            return replace(again, earlier_crun_asset_id=self.crun_asset_id)
        return replace(again, other_crun_asset_ids=(*self.other_crun_asset_ids, self.crun_asset_id))

    # -- the end

    def failed(self, problem: Problem, now: float) -> Asset:
        """The asset after it failed because of ``problem``."""
        self._require(*_UNSETTLED)
        return self._ended(problem, now)

    def lost(self, upstream_code: str | None, now: float) -> Asset:
        """The asset after crun has lost it. It was active, and keeps its AssetId for crun's support."""
        self._require(AssetStatus.ACTIVE)
        text = "The file worked and does not any more. Please upload it again."
        return self._ended(Problem(ASSET_LOST, text, upstream_code), now)

    def _at_crun(self, crun_asset_id: str, submitted_at: float, now: float) -> Asset:
        return replace(
            self,
            status=AssetStatus.PROCESSING,
            submitting_by=None,
            crun_asset_id=crun_asset_id,
            submitted_at=submitted_at,
            updated_at=now,
        )

    def _ended(self, problem: Problem, now: float) -> Asset:
        return replace(self, status=AssetStatus.FAILED, submitting_by=None, error=problem, updated_at=now)

    def _require(self, *statuses: AssetStatus) -> None:
        if self.status not in statuses:
            raise InvalidTransition(f"An asset with status {self.status} does not allow this transition")


def new_asset(
    session: Session,
    now: float,
    entropy: bytes,
    *,
    name: str,
    asset_type: str,
    content_type: str,
    size_bytes: int,
    sha256: str | None = None,
    position: int = 0,
    by_person: bool = False,
    request: str | None = None,
) -> Asset:
    """A new asset that waits for its file, the ``position``-th of its request.

    The object's key contains nothing that the caller has sent.
    """
    made = asset_id(int(now * 1000) + position, entropy)
    return Asset(
        id=made,
        session_id=session.id,
        name=name,
        asset_type=AssetType(asset_type),
        content_type=content_type,
        status=AssetStatus.AWAITING_UPLOAD,
        object_key=f"uploads/{session.id}/{made}/file",
        created_at=now,
        updated_at=now,
        size_bytes=size_bytes,
        sha256=sha256,
        client_id=session.client_id,
        by_person=by_person,
        request=request,
    )


def duplicate_of(asset: Asset, assets: Iterable[Asset]) -> Asset | None:
    """The asset of the same session that already has the same bytes, or None.

    An asset that is submitted or active comes before the one that was registered first. Failed assets do not count,
    so their bytes can be sent again.
    """
    duplicates = [
        each
        for each in assets
        if each.sha256 and each.sha256 == asset.sha256 and each.id != asset.id and each.status in _BEFORE_ITS_DUPLICATES
    ]
    ahead = [each for each in duplicates if each.status is not AssetStatus.UPLOADED or each.id < asset.id]
    return min(ahead, key=lambda each: (not each.crun_asset_id, each.id), default=None)


# crun's error codes of a failed file: our code, a message for the person who sent the file, and whether to retry.
_CRUN_FAILURES = {
    "FaceMismatch": ("face_mismatch", "The face in this file is not the one that was validated.", False),
    "MultipleFaces": ("multiple_faces", "There is more than one face in this file.", False),
    "DownloadFailed": ("download_failed", "The file could not be fetched; please upload it again.", True),
    "FormatUnsupported": ("format_unsupported", "This kind of file is not supported.", False),
    "FileSizeTooLarge": ("file_too_large", "The file is too large.", False),
    "DurationTooLong": ("duration_out_of_range", "The recording is too long.", False),
    "DurationTooShort": ("duration_out_of_range", "The recording is too short.", False),
    "PixelCountTooLarge": ("dimensions_out_of_range", "The video has too many pixels (width x height).", False),
    "PixelCountTooSmall": ("dimensions_out_of_range", "The video has too few pixels (width x height).", False),
    "ImageSizeInvalid": ("dimensions_out_of_range", "The width or height does not fit.", False),
    "QuotaSharedPoolExceeded": ("quota_exceeded", "The account has no room for another file.", False),
}


def crun_failure(code: str | None, message: str | None) -> Problem:
    """The problem of an asset that failed at crun; ``message`` is crun's text, shortened.

    The text is dropped when it contains a URL: crun may quote the presigned link to a file, which is a secret.
    """
    known = _CRUN_FAILURES.get(code or "")
    kept = (message or "")[:200] if "://" not in (message or "") else ""
    if known:
        return Problem(known[0], known[1], code, known[2], kept or None)
    text = kept or "The file was not accepted."
    return Problem("rejected", text, (code or "")[:64] or None, upstream_message=kept or None)


def refused(refusal: UpstreamRefused) -> Problem:
    """The problem of an asset for which crun refused a request; it keeps the lines that crun lists with a 422."""
    listed = "; ".join(refusal.errors)[:200]
    return Problem(refusal.code, refusal.title, str(refusal.upstream_code), upstream_message=listed or None)
