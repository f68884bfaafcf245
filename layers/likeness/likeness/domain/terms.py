"""The terms of a consent: what for and until when; and the end of a consent that was taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from likeness.domain.fields import about
from likeness.errors import InvalidRequest

MAX_PURPOSES = 10
_DAY_SECONDS = 86_400.0
#: How long before its end a consent is announced as expiring, in days, and the end itself. Longest first.
NOTICE_DAYS = (30, 7, 0)


class ConsentStatus(StrEnum):
    """Whether a person's likeness may be used.

    ``given``: by a recorded consent, or by the word of the client that created the link. ``missing``: the person has
    not been asked, or has not answered.
    """

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What a person is asked to agree to. Times are epoch seconds.

    Without ``purposes``, every purpose. At most one of ``valid_until`` and ``valid_days`` (from the consent) is set;
    without either, the consent is valid until it is withdrawn. ``set_at`` identifies the terms: a consent that was
    given to terms with another ``set_at`` is older than these terms.
    """

    purposes: tuple[str, ...] = field(default=(), metadata=about(tuple, sparse=True))
    valid_until: float | None = None
    valid_days: int | None = None
    set_at: float = 0.0

    def ends_at(self, given_at: float) -> float | None:
        """When a consent that was given at ``given_at`` ends, None when it does not end by itself."""
        return self.valid_until if self.valid_days is None else given_at + self.valid_days * _DAY_SECONDS

    @property
    def canonical(self) -> str:
        """The terms in one line, which the digest of a consent text covers."""
        until = "" if self.valid_until is None else datetime.fromtimestamp(self.valid_until, UTC).isoformat()
        return f"purposes={','.join(self.purposes)};valid_until={until};valid_days={self.valid_days or ''}"

    def asks_the_same_as(self, other: ConsentTerms | None) -> bool:
        """Whether a person would be asked for the same."""
        return other is not None and self.canonical == other.canonical


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A consent that was taken back at ``at`` (epoch seconds) by ``source``: ``person`` or ``client``.

    ``in_flight`` names what had been sent to crun and could not be recalled: ``attempt:<number>``, ``asset:<id>``,
    ``generation:<id>``. It is None until it was read, which happens after the withdrawal is stored.
    """

    at: float
    source: str
    credential: str | None = None
    in_flight: tuple[str, ...] | None = field(default=None, metadata=about(tuple))


@dataclass(frozen=True, slots=True)
class TermsPolicy:
    """The operator's rules for terms. ``known()`` returns the purposes of the deployment.

    ``default_days`` is 0 for a consent that is valid until it is withdrawn. ``longest_days`` limits what is asked for.
    """

    known: Callable[[], Collection[str]] = tuple
    default_purposes: tuple[str, ...] = ()
    default_days: int = 0
    longest_days: int = 3650

    def terms(
        self,
        now: float,
        *,
        purposes: Sequence[str] | None = None,
        valid_until: float | None = None,
        valid_days: int | None = None,
        at: str = "",
    ) -> ConsentTerms | None:
        """The terms to ask for; the operator's defaults replace what is None. None when there is nothing to name.

        Raises InvalidRequest, which names the field; ``at`` precedes its name.
        """
        wanted = self.default_purposes if purposes is None else tuple(purposes)
        if wanted:
            self.require_known(wanted, f"{at}purposes")
        if valid_days is not None and valid_days > self.longest_days:
            raise _invalid(f"{at}valid_days", f"must be at most {self.longest_days}")
        if valid_until is not None:
            valid_until = float(int(valid_until))
            if valid_until <= now:
                raise _invalid(f"{at}valid_until", "must be in the future")
            if valid_until > now + self.longest_days * _DAY_SECONDS:
                raise _invalid(f"{at}valid_until", f"must be at most {self.longest_days} days from now")
        elif valid_days is None:
            valid_days = self.default_days or None
        made = ConsentTerms(wanted, valid_until, valid_days, now)
        return None if made.asks_the_same_as(ConsentTerms()) else made

    def require_known(self, purposes: Sequence[str], field_name: str) -> None:
        """Raises InvalidRequest when one of ``purposes`` is not in the operator's list."""
        known = self.known()
        unknown = next((each for each in purposes if each not in known), None)
        if unknown is not None:
            listed = ", ".join(sorted(known)) or "none"
            raise _invalid(field_name, f"the purpose {unknown[:40]!r} is not known (known: {listed})")


def renewed_terms(terms: ConsentTerms, before: ConsentTerms | None, *, is_agreed: bool) -> ConsentTerms | None:
    """The terms to store in place of ``before``, None when they are already asked for.

    ``is_agreed``: a consent to ``before`` exists. The same number of days is then asked for again, because a new
    consent lasts longer; the same end is not.
    """
    if terms.asks_the_same_as(before) and not (is_agreed and terms.valid_days):
        return None
    later = max(terms.set_at, before.set_at + 0.001) if before else terms.set_at
    return replace(terms, set_at=round(later, 3))


def _invalid(field_name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{field_name}: {why}", field=field_name)


def notice_due_at(ends_at: float, sent: int | None) -> float | None:
    """When the next notice about the end of a consent is due; ``sent`` is the last one in NOTICE_DAYS, None before."""
    left = [days for days in NOTICE_DAYS if sent is None or days < sent]
    return ends_at - left[0] * _DAY_SECONDS if left else None


def notice_at(ends_at: float, now: float) -> int | None:
    """The notice that applies at ``now``: the shortest of NOTICE_DAYS that has begun, None before the first."""
    begun = [days for days in NOTICE_DAYS if now >= ends_at - days * _DAY_SECONDS]
    return begun[-1] if begun else None
