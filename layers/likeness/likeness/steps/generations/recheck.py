"""The check of stored people on fresh rows: whether a generation may still use their likeness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.generation import PersonUse
from likeness.domain.session import Problem, Session
from likeness.domain.uses import USE_REFUSALS, use_refusal

_NOT_ACTIVE = Problem("asset_not_active", "An asset is not active")


def places_of(people: Iterable[PersonUse]) -> list[tuple[str, str]]:
    """The (session id, asset id) of everything that ``people`` use."""
    return [(each.session_id, asset_id) for each in people for asset_id in each.asset_ids]


def refusal_of(
    people: Sequence[PersonUse],
    sessions: Mapping[str, Session],
    assets: Mapping[str, Asset],
    purpose: str | None,
    now: float,
) -> Problem | None:
    """The first reason why the likeness of ``people`` may not be used for ``purpose`` at ``now``, None when it may be.

    ``sessions`` and ``assets`` are their rows, by id. An asset must be active under the AssetId that was checked.
    """
    for person in people:
        session = sessions.get(person.session_id)
        if session is None:
            return Problem("not_verified", USE_REFUSALS["not_verified"])
        rows = [assets.get(each) for each in person.asset_ids]
        active = [
            row
            for row, crun_asset_id in zip(rows, person.crun_asset_ids, strict=True)
            if row is not None and row.status is AssetStatus.ACTIVE and row.crun_asset_id == crun_asset_id
        ]
        code = use_refusal(session, active, purpose, now)
        if code == "no_active_asset" or (code is None and len(active) < len(rows)):
            return _NOT_ACTIVE
        if code is not None:
            return Problem(code, USE_REFUSALS[code])
    return None


def under_current_consent(people: Iterable[PersonUse], sessions: Mapping[str, Session]) -> tuple[PersonUse, ...]:
    """``people`` with the consents of today: one that was renewed since the request is as good as the one before."""
    return tuple(replace(each, consent_given_at=_given_at(sessions[each.session_id])) for each in people)


def _given_at(session: Session) -> str | None:
    return session.consent.given_at if session.consent else None
