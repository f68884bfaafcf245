"""GET /stats: its query, cursor and response."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from likeness.domain.ids import ULID
from likeness.domain.stats import DEFAULT_DAYS, FIRST_DAY, MAX_DAYS, STEPS, Day, Period
from likeness.errors import InvalidRequest

# The pattern in openapi.yaml. date.fromisoformat accepts other formats too.
_DATE = re.compile("(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


def parse_period(first: str | None, last: str | None, today: date) -> Period:
    """The days from ``first`` to ``last`` (YYYY-MM-DD), by default the last 14 up to today.

    Raises InvalidRequest with field ``from`` or ``to``.
    """
    end = today if last is None else _date(last, "to")
    start = max(FIRST_DAY, end - timedelta(DEFAULT_DAYS - 1)) if first is None else _date(first, "from")
    if start > end:
        raise InvalidRequest("from: must not be after to (default: today)", field="from")
    if (end - start).days >= MAX_DAYS:
        raise InvalidRequest(f"from: the period must have at most {MAX_DAYS} days, including from and to", field="from")
    return Period(start, end)


def _date(text: str, field: str) -> date:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{field}: must be a date (YYYY-MM-DD) on or after {FIRST_DAY}", field=field) from None


def make_cursor(client_id: str, period: Period, rest: str) -> str:
    """The cursor of the next page, which begins at the ULID ``rest``, for this client and period only.

    The digest detects cursors of other clients or periods. It is no protection, and needs none: a forged cursor only
    leads to the caller's own sessions.
    """
    place = [period.first.isoformat(), period.last.isoformat(), rest]
    digest = hashlib.sha256(json.dumps([client_id, *place]).encode()).hexdigest()[:16]
    return base64.urlsafe_b64encode(json.dumps([*place, digest]).encode()).decode()


def read_cursor(cursor: str, client_id: str, first: str | None, last: str | None) -> tuple[Period, str]:
    """The period of a cursor and the ULID at which the page begins.

    Raises InvalidRequest unless ``make_cursor`` created this cursor for the client and the given days. Days that are
    not given come from the cursor.
    """
    try:
        start, end, rest, _ = json.loads(base64.b64decode(cursor, b"-_", validate=True))
        period = parse_period(start, end, FIRST_DAY)
        fits = ULID.fullmatch(rest) and period.oldest <= rest < period.newest
        meant = first in (None, start) and last in (None, end)
        if not (fits and meant and make_cursor(client_id, period, rest) == cursor):
            raise ValueError
    except (ValueError, TypeError, RecursionError, InvalidRequest):
        raise InvalidRequest("cursor: not valid for this client and these days", field="cursor") from None
    return period, rest


def stats_view(days: Sequence[Day], cursor: str | None) -> dict[str, Any]:
    """The response. A day may be split over two pages: add up the counts of the same date."""
    return {"days": [_day_view(each) for each in days], "next_cursor": cursor}


def _day_view(day: Day) -> dict[str, Any]:
    return {
        "date": day.date.isoformat(),
        "sessions": day.sessions,
        "funnel": {"created": day.sessions} | {step: day.reached[step] for step in STEPS},
        "statuses": dict(day.statuses),
        "failures": dict(day.failures),
        "assets": dict(day.assets),
        "asset_failures": dict(day.asset_failures),
        "seconds_to_active": {"buckets": [list(each) for each in sorted(day.seconds_to_active.items())]},
    }
