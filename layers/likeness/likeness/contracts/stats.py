"""GET /stats: its query, its cursor, its answer."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from likeness.domain.ids import ULID
from likeness.domain.stats import DEFAULT_DAYS, FIRST_DAY, MAX_DAYS, Day, Period
from likeness.errors import InvalidRequest

# As openapi.yaml has it. date.fromisoformat takes more forms than this one.
_DATE = re.compile("(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


def parse_period(first: str | None, last: str | None, today: date) -> Period:
    """The days from ``first`` to ``last`` (YYYY-MM-DD), by default the last 14 up to today. InvalidRequest names

    ``from`` or ``to``.
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
    """Where the answer after this one goes on: at the ULID ``rest`` of this client and period, and of no other.

    The digest tells foreign cursors; it keeps nobody from making one, who gets no further than their own sessions.
    """
    place = [period.first.isoformat(), period.last.isoformat(), rest]
    digest = hashlib.sha256(json.dumps([client_id, *place]).encode()).hexdigest()[:16]
    return base64.urlsafe_b64encode(json.dumps([*place, digest]).encode()).decode()


def read_cursor(cursor: str, client_id: str, first: str | None, last: str | None) -> tuple[Period, str]:
    """The period of a cursor and the ULID to go on at. InvalidRequest unless ``make_cursor`` made exactly this one for

    the client, and for the days that are given (what is not given is as the cursor has it).
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
    """The answer. A day that two answers share is in both: add up by date."""
    return {"days": [_day_view(each) for each in days], "next_cursor": cursor}


def _day_view(day: Day) -> dict[str, Any]:
    return {
        "date": day.date.isoformat(),
        "sessions": day.sessions,
        "statuses": dict(day.statuses),
        "failures": dict(day.failures),
        "assets": dict(day.assets),
        "asset_failures": dict(day.asset_failures),
        "seconds_to_active": {"buckets": [list(each) for each in sorted(day.seconds_to_active.items())]},
    }
