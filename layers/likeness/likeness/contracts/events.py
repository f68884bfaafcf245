"""What is published to the event bus: that a session or an asset has moved on. Ids, statuses and codes; nothing
personal.

``schemas/<detail-type>.json`` describes each event. One is told for a change of status, not for every write: leases,
drivers and counts are nobody's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from likeness.contracts.views import iso
from likeness.domain.asset import ASSET_LOST, Asset, AssetStatus
from likeness.domain.events import Event
from likeness.domain.session import Session, SessionStatus

VERSION = "1"
#: What somebody may act on. ``awaiting_upload`` is the answer of a call, ``submitting`` lasts as long as one.
_PUBLISHED_STATUSES = frozenset(AssetStatus) - {AssetStatus.AWAITING_UPLOAD, AssetStatus.SUBMITTING}
#: Every detail-type there is.
EVENT_TYPES = (
    "likeness.session.created",
    *(f"likeness.session.{each.value}" for each in SessionStatus),
    *(f"likeness.asset.{each.value}" for each in AssetStatus if each in _PUBLISHED_STATUSES),
    "likeness.asset.lost",
)


@dataclass(frozen=True, slots=True)
class SessionChange:
    """A write to a session. ``sequence`` is its place in the stream, ``id`` the same whenever it is delivered,

    ``before`` None when the session is new.
    """

    id: str
    sequence: str
    before: Session | None
    after: Session

    @property
    def event(self) -> Event | None:
        """What is told of it, None when nothing is."""
        before, after = self.before, self.after
        if before is None:
            return _event("session.created", self.id, after, {})
        if after.status is before.status and not _failed_again(before, after):
            return None
        more = {"previous_status": before.status.value}
        if after.status is SessionStatus.REQUIRES_INPUT and after.last_error:
            more["error_code"] = after.last_error.code
        if after.status is SessionStatus.VERIFIED:
            more["group_id"] = str(after.group_id)
        return _event(f"session.{after.status.value}", self.id, after, more)


@dataclass(frozen=True, slots=True)
class AssetChange:
    """A write to an asset, as SessionChange has it."""

    id: str
    sequence: str
    before: Asset | None
    after: Asset

    @property
    def event(self) -> Event | None:
        """What is told of it, None when nothing is."""
        before, after = self.before, self.after
        if before is None or after.status is before.status or after.status not in _PUBLISHED_STATUSES:
            return None
        if after.status is AssetStatus.UPLOADED and before.status is not AssetStatus.AWAITING_UPLOAD:
            return None  # on its way to crun once more: the file was told of when it came
        more = {"asset_id": after.id, "previous_status": before.status.value}
        if after.status is AssetStatus.FAILED and after.error:
            more["error_code"] = after.error.code
        if after.status is AssetStatus.ACTIVE:
            more |= {"crun_asset_id": str(after.crun_asset_id), "uri": str(after.uri)}
        if more.get("error_code") == ASSET_LOST:
            return _event("asset.lost", self.id, after, more | {"crun_asset_id": str(after.crun_asset_id)})
        return _event(f"asset.{after.status.value}", self.id, after, more)


Change = SessionChange | AssetChange


def _failed_again(before: Session, after: Session) -> bool:
    """A further attempt has failed: a fresh attempt takes the last error away, so a new one is another one's."""
    return after.status is SessionStatus.REQUIRES_INPUT and after.last_error not in (None, before.last_error)


def _event(of: str, change_id: str, after: Session | Asset, more: dict[str, str]) -> Event:
    detail = {
        "version": VERSION,
        "id": change_id,
        "time": str(iso(after.updated_at)),
        "session_id": after.id if isinstance(after, Session) else after.session_id,
        "status": after.status.value,
    }
    # Assets of versions that did not write it have no client.
    return Event(f"likeness.{of}", detail | ({"client_id": after.client_id} if after.client_id else {}) | more)
