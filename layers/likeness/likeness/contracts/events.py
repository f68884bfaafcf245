"""Events for the event bus: changes of a status or a consent, and the end of uploads.

They have ids, statuses and codes, and nothing personal.

``schemas/<detail-type>.json`` describes each event. Other writes (leases, drivers, counts) are internal and publish no
event.
"""

from __future__ import annotations

from dataclasses import dataclass

from likeness.domain.asset import ASSET_LOST, Asset, AssetStatus
from likeness.domain.events import Event
from likeness.domain.generation import Generation, GenerationStatus
from likeness.domain.session import Session, SessionStatus
from likeness.domain.times import iso

VERSION = "1"
#: Statuses with an event. ``awaiting_upload`` is in the response of the registration; ``submitting`` lasts one request.
_PUBLISHED_STATUSES = frozenset(AssetStatus) - {AssetStatus.AWAITING_UPLOAD, AssetStatus.SUBMITTING}
#: Every detail-type.
EVENT_TYPES = (
    "likeness.session.created",
    *(f"likeness.session.{each.value}" for each in SessionStatus),
    "likeness.session.finished",
    *(f"likeness.asset.{each.value}" for each in AssetStatus if each in _PUBLISHED_STATUSES),
    "likeness.asset.lost",
    "likeness.consent.declined",
    "likeness.consent.given",
    "likeness.consent.withdrawn",
    "likeness.consent.expiring",
    "likeness.consent.expired",
    "likeness.generation.created",
    *(f"likeness.generation.{each.value}" for each in GenerationStatus if each is not GenerationStatus.QUEUED),
    "likeness.generation.redacted",
)


@dataclass(frozen=True, slots=True)
class SessionChange:
    """A write to a session. ``before`` is None when the session is new.

    ``sequence`` is its position in the stream. ``id`` is the same for every delivery.
    """

    id: str
    sequence: str
    before: Session | None
    after: Session

    @property
    def has_new_status(self) -> bool:
        """Whether the status has changed, or a further attempt has failed."""
        return self.before is not None and (
            self.after.status is not self.before.status or _failed_again(self.before, self.after)
        )

    @property
    def event(self) -> Event | None:
        """The event to publish, or None."""
        before, after = self.before, self.after
        if before is None:
            return _event("session.created", self.id, after, {})
        if not self.has_new_status:
            return self._other_event(before)
        more = {"previous_status": before.status.value}
        if after.status is SessionStatus.REQUIRES_INPUT and after.last_error:
            more["error_code"] = after.last_error.code
        if after.status is SessionStatus.VERIFIED:
            more["group_id"] = str(after.group_id)
        return _event(f"session.{after.status.value}", self.id, after, more)

    def _other_event(self, before: Session) -> Event | None:
        """The event of a write that changes no status."""
        after = self.after
        if after.finished_at is not None and before.finished_at is None:
            return _event("session.finished", self.id, after, {"finished_at": str(iso(after.finished_at))})
        if after.declined_at is not None and before.declined_at is None:
            return _event("consent.declined", self.id, after, {})
        return self._consent_event(before)

    def _consent_event(self, before: Session) -> Event | None:
        after = self.after
        until = after.consent.valid_until if after.consent else None
        ends = {} if until is None else {"valid_until": str(iso(until))}
        if after.withdrawal is not None:
            by = {"source": after.withdrawal.source}
            return _event("consent.withdrawn", self.id, after, by) if before.withdrawal is None else None
        if after.consent is not None and (after.consent != before.consent or before.withdrawal is not None):
            return _event("consent.given", self.id, after, {"source": after.consent.source} | ends)
        if after.consent_notice is not None and after.consent_notice != before.consent_notice:
            name = "consent.expiring" if after.consent_notice else "consent.expired"
            return _event(name, self.id, after, ends)
        return None


@dataclass(frozen=True, slots=True)
class AssetChange:
    """A write to an asset, with the fields of SessionChange."""

    id: str
    sequence: str
    before: Asset | None
    after: Asset

    @property
    def event(self) -> Event | None:
        """The event to publish, or None."""
        before, after = self.before, self.after
        if before is None or after.status is before.status or after.status not in _PUBLISHED_STATUSES:
            return None
        if after.status is AssetStatus.UPLOADED and before.status is not AssetStatus.AWAITING_UPLOAD:
            return None  # a resubmission: the event was published when the file arrived
        more = {"asset_id": after.id, "previous_status": before.status.value}
        if after.status is AssetStatus.FAILED and after.error:
            more["error_code"] = after.error.code
        if after.status is AssetStatus.ACTIVE:
            more |= {"crun_asset_id": str(after.crun_asset_id), "uri": str(after.uri)}
        if more.get("error_code") == ASSET_LOST:
            return _event("asset.lost", self.id, after, more | {"crun_asset_id": str(after.crun_asset_id)})
        return _event(f"asset.{after.status.value}", self.id, after, more)


@dataclass(frozen=True, slots=True)
class GenerationChange:
    """A write to a generation, with the fields of SessionChange."""

    id: str
    sequence: str
    before: Generation | None
    after: Generation

    @property
    def has_ended(self) -> bool:
        """Whether it has an outcome since this write."""
        return self.before is not None and self.after.is_over and self.after.status is not self.before.status

    @property
    def event(self) -> Event | None:
        """The event to publish, or None."""
        before, after = self.before, self.after
        if before is None:
            return self._event("created")
        if after.status is before.status:
            is_erased = after.erased_at is not None and before.erased_at is None
            return self._event("redacted") if is_erased else None
        more = {"previous_status": before.status.value}
        if after.error:
            more["error_code"] = after.error.code
        if after.media_problem:
            more["media_problem"] = after.media_problem.code
        return self._event(after.status.value, **more)

    def _event(self, name: str, **more: str) -> Event:
        after = self.after
        detail = {
            "version": VERSION,
            "id": self.id,
            "time": str(iso(after.updated_at)),
            "client_id": after.client_id,
            "generation_id": after.id,
            "session_ids": after.session_ids,
            "status": after.status.value,
        }
        return Event(f"likeness.generation.{name}", detail | more)


Change = SessionChange | AssetChange | GenerationChange


def _failed_again(before: Session, after: Session) -> bool:
    """Whether a further attempt has failed: a new attempt clears the last error, so another error is a new one."""
    return after.status is SessionStatus.REQUIRES_INPUT and after.last_error not in (None, before.last_error)


def _event(of: str, change_id: str, after: Session | Asset, more: dict[str, str]) -> Event:
    detail = {
        "version": VERSION,
        "id": change_id,
        "time": str(iso(after.updated_at)),
        "session_id": after.id if isinstance(after, Session) else after.session_id,
        "status": after.status.value,
    }
    # Assets of earlier versions have no client.
    return Event(f"likeness.{of}", detail | ({"client_id": after.client_id} if after.client_id else {}) | more)
