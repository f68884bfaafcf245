"""Whether a person's likeness may be used: the first reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from likeness.domain.session import Session, SessionStatus
from likeness.domain.terms import ConsentStatus

if TYPE_CHECKING:
    from likeness.domain.asset import Asset

#: A message for each code of ``use_refusal``.
USE_REFUSALS = {
    "not_verified": "The session is not verified",
    "consent_missing": "The person has not given a consent",
    "consent_withdrawn": "The consent was withdrawn",
    "consent_expired": "The consent has expired",
    "purpose_not_covered": "The consent does not cover this purpose",
    "no_active_asset": "No asset is active",
}
_BY_STATUS = {
    ConsentStatus.MISSING: "consent_missing",
    ConsentStatus.WITHDRAWN: "consent_withdrawn",
    ConsentStatus.EXPIRED: "consent_expired",
}


def use_refusal(session: Session, active: Sequence[Asset], purpose: str | None, now: float) -> str | None:
    """Returns the first reason why the likeness may not be used for ``purpose``, None when it may be.

    Without a purpose, the likeness may be used only when its consent names none.
    """
    if session.status is not SessionStatus.VERIFIED or session.group_id is None:
        return "not_verified"
    status = session.consent_status(now)
    if status is not ConsentStatus.GIVEN:
        return _BY_STATUS[status]
    covered = session.consent.purposes if session.consent else ()
    if covered and purpose not in covered:
        return "purpose_not_covered"
    return None if active else "no_active_asset"
