"""Requests to crun to delete its copies after an erasure: one for each group and asset id.

crun's API cannot delete. An operator asks its support, and records the request and the answers. Nothing is inferred:
an id is ``done`` only when an operator has recorded that crun confirmed it. Ids without a record are ``not_asked``,
also those of sessions that an earlier version erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from likeness.domain.asset import Asset
from likeness.domain.fields import about, from_values, to_values
from likeness.domain.session import Session, StoredDeletions


class DeletionStatus(StrEnum):
    """``not_asked → asked → done``, or ``asked → refused_until`` and from there ``asked`` again or ``done``."""

    NOT_ASKED = "not_asked"
    ASKED = "asked"
    REFUSED_UNTIL = "refused_until"
    DONE = "done"


class DeletionKind(StrEnum):
    """What an id names at crun."""

    GROUP = "group"
    ASSET = "asset"


class InvalidDeletion(ValueError):
    """When a record does not follow from the current one. The message gives the reason, without the id."""


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """The request to delete one id. Times are epoch seconds.

    ``asked_at`` is the newest request, ``refused_at`` the newest refusal; crun can delete from ``refused_until`` on.
    ``ticket`` is the number of crun's message with the answer, ``recorded_at`` when an operator last changed the
    record. A transition returns the request as changed ``now``, by what happened ``at`` a time, and stores nothing. It
    raises InvalidDeletion when the status or the day does not allow it.
    """

    id: str = field(metadata=about(key=True))
    kind: DeletionKind = field(metadata=about(DeletionKind, key=True))
    status: DeletionStatus = field(default=DeletionStatus.NOT_ASKED, metadata=about(DeletionStatus))
    asked_at: float | None = None
    refused_at: float | None = None
    refused_until: float | None = None
    done_at: float | None = None
    ticket: str | None = None
    recorded_at: float | None = None

    def is_to_ask(self, now: float) -> bool:
        """Whether crun is to be asked: it was not yet, or the time of its refusal has passed."""
        over = self.status is DeletionStatus.REFUSED_UNTIL and (self.refused_until or 0) <= now
        return over or self.status is DeletionStatus.NOT_ASKED

    def asked(self, at: float, now: float, *, correct: bool = False) -> DeletionRequest:
        """The request after crun was asked. A repetition keeps the first time; ``correct`` takes back ``done``."""
        if self.status is DeletionStatus.ASKED:
            return self
        if self.status is DeletionStatus.DONE:
            if not correct:
                raise InvalidDeletion("crun has confirmed its deletion; if that record is wrong, use --correct")
            return replace(self, status=DeletionStatus.ASKED, done_at=None, ticket=None, recorded_at=now)
        _require_order(self.refused_at, at, "refused")
        return replace(self, status=DeletionStatus.ASKED, asked_at=at, ticket=None, recorded_at=now)

    def refused(self, until: float, at: float, now: float, ticket: str | None = None) -> DeletionRequest:
        """The request after crun has refused it until ``until``. A later refusal replaces the earlier one."""
        self._require_asked()
        if self.status is DeletionStatus.DONE:
            raise InvalidDeletion("crun has confirmed its deletion; if that record is wrong, use: asked --correct")
        _require_order(self.asked_at, at, "asked")
        status = DeletionStatus.REFUSED_UNTIL
        return replace(self, status=status, refused_at=at, refused_until=until, ticket=ticket, recorded_at=now)

    def done(self, at: float, now: float, ticket: str | None = None) -> DeletionRequest:
        """The request after crun has confirmed the deletion. A repetition keeps the first time."""
        self._require_asked()
        if self.status is DeletionStatus.DONE:
            return self
        _require_order(self.asked_at, at, "asked")
        return replace(self, status=DeletionStatus.DONE, done_at=at, ticket=ticket, recorded_at=now)

    def _require_asked(self) -> None:
        if self.status is DeletionStatus.NOT_ASKED:
            raise InvalidDeletion("crun was not asked to delete it; record that first, with: asked")


def _require_order(before: float | None, at: float, what: str) -> None:
    """Raises InvalidDeletion when ``at`` is on an earlier UTC day than ``before``; the day may be all that is known."""
    if before is not None and at // 86_400 < before // 86_400:
        raise InvalidDeletion(f"--at is before the day on which it was {what}")


def deletions(kind: DeletionKind, ids: Iterable[str], stored: StoredDeletions) -> list[DeletionRequest]:
    """The requests for ``ids``, of one kind. Raises ValueError or TypeError when a record cannot be read."""
    return [from_values(DeletionRequest, {**stored.get(each, {}), "id": each, "kind": kind}) for each in ids]


def stored_deletions(requests: Iterable[DeletionRequest]) -> StoredDeletions:
    """The records as a session or an asset stores them. Requests that are ``not_asked`` have no record."""
    return {
        each.id: {name: value for name, value in to_values(each).items() if value is not None}
        for each in requests
        if each.status is not DeletionStatus.NOT_ASKED
    }


def group_deletions(session: Session) -> list[DeletionRequest]:
    """The requests for the groups of an erased session."""
    return deletions(DeletionKind.GROUP, session.group_ids, session.deletion_requests)


def asset_deletions(asset: Asset) -> list[DeletionRequest]:
    """The requests for the AssetIds of an erased asset."""
    return deletions(DeletionKind.ASSET, asset.crun_asset_ids, asset.deletion_requests)


def session_deletions(session: Session, assets: Sequence[Asset]) -> list[DeletionRequest]:
    """The requests for all ids of an erased session: the groups, then the assets by id."""
    return [*group_deletions(session), *newest(each for asset in assets for each in asset_deletions(asset))]


def newest(requests: Iterable[DeletionRequest]) -> list[DeletionRequest]:
    """One request for each id, sorted by id: the one that was recorded last. Duplicates of a file share an AssetId."""
    found: dict[str, DeletionRequest] = {}
    for each in requests:
        known = found.get(each.id)
        if known is None or (each.recorded_at or 0) > (known.recorded_at or 0):
            found[each.id] = each
    return [found[each] for each in sorted(found)]


def merged(one: StoredDeletions, other: StoredDeletions) -> StoredDeletions:
    """The records of both; of two for one id, the one that was recorded last, or that of ``one``."""
    kind = DeletionKind.ASSET  # is not stored
    both = [*deletions(kind, one, one), *deletions(kind, other, other)]
    return stored_deletions(newest(both))


def are_readable(stored: Mapping[str, object]) -> bool:
    """Whether these are records of requests, for example in a line of an export."""
    try:
        found = deletions(DeletionKind.ASSET, stored, stored)  # type: ignore[arg-type]
        return all(
            isinstance(value, kind) or value is None
            for each in found
            for kind, values in (
                ((int, float), (each.asked_at, each.refused_at, each.refused_until, each.done_at, each.recorded_at)),
                (str, (each.ticket,)),
            )
            for value in values
        )
    except (ValueError, TypeError, AttributeError):
        return False
