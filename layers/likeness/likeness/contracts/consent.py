"""The bodies of the routes that are about a consent, and the parameters of GET /consent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationInfo

from likeness.contracts.body import PRINTABLE, Body, in_utc, whole
from likeness.domain.terms import MAX_PURPOSES, ConsentTerms, TermsPolicy
from likeness.errors import InvalidRequest

#: Beyond this, no end of a consent can be computed. ConsentLongestDays is lower.
_MOST_DAYS = 36_500
_PURPOSE = re.compile("[a-z][a-z0-9_]{0,39}")


class ConsentAgreed(Body):
    """The body: the text that the person has read, as GET /consent returned it."""

    text_version: Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
    language: Literal["zh", "en", "zh-Hant"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _different(purposes: list[str]) -> list[str]:
    if len(set(purposes)) < len(purposes):
        raise ValueError("each purpose can occur once")
    return purposes


def _alone(days: int | None, info: ValidationInfo) -> int | None:
    if days is not None and info.data.get("valid_until") is not None:
        raise ValueError("cannot be combined with valid_until")
    return days


class Terms(Body):
    """The terms of a consent. The operator's defaults replace what is left out."""

    purposes: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=40, pattern=PRINTABLE)]],
            Field(min_length=1, max_length=MAX_PURPOSES),
            AfterValidator(_different),
        ]
        | None
    ) = None
    valid_until: Annotated[AwareDatetime, Field(strict=False), AfterValidator(in_utc)] | None = None
    #: From the consent on.
    valid_days: Annotated[
        Annotated[int, BeforeValidator(whole), Field(ge=1, le=_MOST_DAYS)] | None, AfterValidator(_alone)
    ] = None


class UseChecks(Body):
    """The body of POST /use-checks. Each id is of a session, of an asset, or crun's id of an asset."""

    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]], Field(min_length=1, max_length=50)
    ]
    purpose: Annotated[str, Field(min_length=1, max_length=40, pattern=PRINTABLE)] | None = None


def asked_terms(policy: TermsPolicy, body: Terms | None, now: float, at: str = "") -> ConsentTerms | None:
    """The terms to ask for by the body of a request, None when nothing is named. Raises InvalidRequest.

    ``at`` precedes the names of the body's fields.
    """
    if body is None:
        return policy.terms(now, at=at)
    until = None if body.valid_until is None else body.valid_until.timestamp()
    return policy.terms(now, purposes=body.purposes, valid_until=until, valid_days=body.valid_days, at=at)


def terms_of_query(query: Mapping[str, str]) -> ConsentTerms | None:
    """The terms in the parameters of GET /consent, None without any. Raises InvalidRequest."""
    purposes, until, days = (query.get(name) for name in ("purposes", "valid_until", "valid_days"))
    if purposes is None and until is None and days is None:
        return None
    named = tuple(purposes.split(",")) if purposes else ()
    if len(named) > MAX_PURPOSES or not all(map(_PURPOSE.fullmatch, named)):
        raise InvalidRequest(f"purposes: must be 1 to {MAX_PURPOSES} purposes, with commas", field="purposes")
    if until is not None and days is not None:
        raise InvalidRequest("valid_days: cannot be combined with valid_until", field="valid_days")
    if days is not None and not (re.fullmatch("[0-9]{1,5}", days) and 1 <= int(days) <= _MOST_DAYS):
        raise InvalidRequest(f"valid_days: must be an integer from 1 to {_MOST_DAYS}", field="valid_days")
    return ConsentTerms(named, _time(until), None if days is None else int(days))


def _time(given: str | None) -> float | None:
    if given is None:
        return None
    try:
        return float(int(in_utc(datetime.fromisoformat(given)).timestamp()))
    except ValueError:
        raise InvalidRequest("valid_until: must be a time in ISO 8601", field="valid_until") from None
