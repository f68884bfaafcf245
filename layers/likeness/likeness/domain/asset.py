"""An asset: one picture, clip or voice sample on its way to an ``asset://`` id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from likeness.domain.fields import about
from likeness.domain.ids import asset_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Problem, Session
from likeness.errors import UpstreamRefused

NAME_LIMIT = 64
#: A slot whose form has expired is free again, until somebody asks for a form again (seconds; see adapters/files).
SLOT_SECONDS = 3600
#: So many slots may wait for files of a person who has an invite link. A client's own are bounded by the session.
MAX_PERSON_SLOTS = 20
#: An ambiguous upload to crun is repeated at most once: it has no idempotency key and no list call.
MAX_AMBIGUOUS_SUBMISSIONS = 2
#: More than a function that submits may run (the Timeouts in the template): after it the submitter has ended.
SUBMISSION_LEASE_SECONDS = 50
#: The code of an asset that was active and that crun has lost since.
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


#: What an execution still has to hand to crun; ``awaiting_upload`` is the person's turn.
OPEN_WORK = frozenset({AssetStatus.UPLOADED, AssetStatus.SUBMITTING})
#: What an execution still has to see through to ``active`` or ``failed``.
IN_PROGRESS = OPEN_WORK | {AssetStatus.PROCESSING}
_BEFORE_ITS_DUPLICATES = IN_PROGRESS | {AssetStatus.ACTIVE}
#: What may still fail before it was ever active.
_UNSETTLED = IN_PROGRESS | {AssetStatus.AWAITING_UPLOAD}


class InvalidTransition(ValueError):
    """When an asset is asked to change in a way that its status does not allow: a mistake in the code that asks."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. Times are epoch seconds.

    ``object_key`` and ``version_id`` name the very bytes that were checked, ``sha256`` (hex) is their digest, or what
    the registration said it would be. Each field declares what is stored, exported, shown and erased of it: see
    fields.py. Every method that says what has happened returns the asset as it is then; nothing is stored. It raises
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
    #: Whose it is; "" on what was stored before assets knew. Stored as ``client_id``, and with its ``id``, an asset
    #: would be in the sessions' index too.
    client_id: str = field(default="", metadata=about(name="asset_client_id", sparse=True, exported=True))
    #: crun's first id of a file that was given to it a second time. Shown where there is one.
    earlier_crun_asset_id: str | None = field(default=None, metadata=about(exported=True))
    #: Which invocation hands it to crun, while it is ``submitting``; no other one does for SUBMISSION_LEASE_SECONDS.
    #: None when that one knows that it has ended. Earlier versions wrote the execution's name alone.
    submitting_by: str | None = None
    #: When crun first said that it does not know the asset, if that was its last word: a second look decides.
    missing_since: float | None = None
    #: Whether a person has registered it, by an invite link.
    by_person: bool = field(default=False, metadata=about(sparse=True, exported=True))
    #: Whether its slot in the session's count was given back: it was erased, or its form died without a file.
    given_back: bool = field(default=False, metadata=about(sparse=True, exported=True))

    def waits(self, now: float) -> bool:
        """Whether its file may still come: it has a form that works."""
        return self.status is AssetStatus.AWAITING_UPLOAD and now < self.updated_at + SLOT_SECONDS

    def is_over(self, now: float) -> bool:
        """Whether it takes a slot of its session for nothing: erased, or without a file and a form."""
        waiting = self.status is AssetStatus.AWAITING_UPLOAD and not self.waits(now)
        return waiting or self.status is AssetStatus.REDACTED

    @property
    def uri(self) -> str | None:
        """What a generation request takes, once the asset is active."""
        return f"asset://{self.crun_asset_id}" if self.status is AssetStatus.ACTIVE else None

    def seconds_at_crun(self, now: float) -> float:
        """For how long crun has been processing it; 0 when crun does not have it."""
        if self.status is not AssetStatus.PROCESSING or self.submitted_at is None:
            return 0
        return now - self.submitted_at

    # -- waiting for the file

    def place_renewed(self, now: float) -> Asset:
        """It was given a new upload form: it waits for its file for SLOT_SECONDS more."""
        self._require(AssetStatus.AWAITING_UPLOAD)
        return replace(self, updated_at=now)

    def place_counted(self) -> Asset:
        """Its place counts in its session again, if it was given back."""
        self._require(AssetStatus.AWAITING_UPLOAD)
        return replace(self, given_back=False)

    def received(self, version_id: str | None, size_bytes: int, now: float) -> Asset:
        """Its file has come: from now on this version is its file, and no other one."""
        self._require(AssetStatus.AWAITING_UPLOAD)
        return replace(self, version_id=version_id, size_bytes=size_bytes, updated_at=now)

    def uploaded(self, asset_type: AssetType, content_type: str, sha256: str, now: float) -> Asset:
        """Its file was checked and is fit to be submitted; type, content type and digest are the file's own."""
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

    # -- on the way to crun

    def claimed(self, submitter: str, now: float) -> Asset:
        """``submitter`` is about to submit it: until the outcome is known, the submission counts as ambiguous."""
        self._require(*OPEN_WORK)
        return replace(
            self,
            status=AssetStatus.SUBMITTING,
            submitting_by=submitter,
            ambiguous_submissions=self.ambiguous_submissions + 1,
            updated_at=now,
        )

    def released(self, now: float) -> Asset:
        """Nobody is submitting it any more: the next one need not wait for the lease to end."""
        self._require(*OPEN_WORK)
        return replace(self, submitting_by=None, updated_at=now)

    def submitted(self, crun_asset_id: str, now: float) -> Asset:
        """crun has the file, and has given it an AssetId."""
        self._require(AssetStatus.SUBMITTING)
        return self._at_crun(crun_asset_id, now, now)

    def submission_recovered(self, crun_asset_id: str, resubmissions: int, now: float) -> Asset:
        """crun has the file: the history of an execution says so, and the stored asset did not."""
        self._require(AssetStatus.AWAITING_UPLOAD, *OPEN_WORK)
        known = replace(self, resubmissions=resubmissions)
        return known._at_crun(crun_asset_id, now if self.submitted_at is None else self.submitted_at, now)

    def shares_id_of(self, duplicate: Asset, now: float) -> Asset:
        """``duplicate`` brought the same bytes to crun before: its AssetId is this one's too, without a submission.

        One that finds its duplicate active was never submitted: with the duplicate's time it would seem to have waited
        since then.
        """
        self._require(AssetStatus.UPLOADED)
        if duplicate.crun_asset_id is None:
            raise InvalidTransition("A duplicate without an AssetId has none to share")
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
        """crun says that it is Active."""
        self._require(AssetStatus.PROCESSING)
        return replace(self, status=AssetStatus.ACTIVE, activated_at=now, updated_at=now)

    def missed(self, now: float) -> Asset:
        """crun says that it does not know it. The first time counts: a look after that decides."""
        self._require(AssetStatus.PROCESSING)
        return self if self.missing_since is not None else replace(self, missing_since=now)

    def found_again(self) -> Asset:
        """crun knows it after all, if it was missed."""
        self._require(AssetStatus.PROCESSING)
        return self if self.missing_since is None else replace(self, missing_since=None)

    def resubmission_due(self, now: float) -> Asset:
        """crun could not fetch the file: it is submitted once more, and gets another AssetId."""
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

    # -- the end

    def failed(self, problem: Problem, now: float) -> Asset:
        """It will not become active, because of ``problem``."""
        self._require(*_UNSETTLED)
        return self._ended(problem, now)

    def lost(self, upstream_code: str | None, now: float) -> Asset:
        """crun does not know it any more. It was active, and keeps its AssetId, to ask crun's support about."""
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
            raise InvalidTransition(f"This cannot happen to an asset that is {self.status}")


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
) -> Asset:
    """An asset that waits for its file, the ``position``-th of its call. The key holds nothing the caller wrote."""
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
    )


def duplicate_of(asset: Asset, assets: Iterable[Asset]) -> Asset | None:
    """The asset of the same session that brings the same bytes already: the one that is on its way to crun or there,

    else the one that was registered first. A file that failed stands in nobody's way: its bytes may be tried again.
    """
    duplicates = [
        each
        for each in assets
        if each.sha256 and each.sha256 == asset.sha256 and each.id != asset.id and each.status in _BEFORE_ITS_DUPLICATES
    ]
    ahead = [each for each in duplicates if each.status is not AssetStatus.UPLOADED or each.id < asset.id]
    return min(ahead, key=lambda each: (not each.crun_asset_id, each.id), default=None)


# What crun says of a file that it did not take, in words for the person who sent it.
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
    """The problem of an asset that crun has failed; ``message`` is crun's own text, kept short.

    Words about a file that crun did not get may quote the link to it, which is a secret: those are not kept.
    """
    known = _CRUN_FAILURES.get(code or "")
    kept = (message or "")[:200] if "://" not in (message or "") else ""
    if known:
        return Problem(known[0], known[1], code, known[2], kept or None)
    text = kept or "The file was not accepted."
    return Problem("rejected", text, (code or "")[:64] or None, upstream_message=kept or None)


def refused(refusal: UpstreamRefused) -> Problem:
    """The problem of an asset that crun has refused to take or to know; it keeps what crun lists with a 422."""
    listed = "; ".join(refusal.errors)[:200]
    return Problem(refusal.code, refusal.title, str(refusal.upstream_code), upstream_message=listed or None)
