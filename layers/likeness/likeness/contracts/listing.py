"""GET /sessions: the filters in its query."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from likeness.domain.ids import newest_ulid, oldest_ulid
from likeness.domain.session import SessionFilter, SessionStatus
from likeness.errors import InvalidRequest

#: The filters of the query, in the order of openapi.yaml.
FILTERS = ("status", "reference", "reference_contains", "asset_id", "group_id", "created_from", "created_to")
#: The longest text to look for in a reference, and the longest id, in characters.
_LONGEST_PART, _LONGEST_ID = 128, 200
# The patterns in openapi.yaml. datetime.fromisoformat accepts other formats too.
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_LARGEST_PAGE = 100
_PAGE_SIZE = re.compile("[1-9][0-9]?|100")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def read_filter(
    *,
    status: str | None = None,
    reference: str | None = None,
    reference_contains: str | None = None,
    asset_id: str | None = None,
    group_id: str | None = None,
    created_from: str | None = None,
    created_to: str | None = None,
) -> SessionFilter:
    """Returns the filter that raw query values describe; an absent or empty ``reference`` is no filter.

    A date without a time is the whole UTC day. Raises InvalidRequest, which names the parameter.
    """
    if status is not None and status not in list(SessionStatus):
        raise InvalidRequest(f"status: must be one of {', '.join(SessionStatus)}", field="status")
    _require_length("reference_contains", reference_contains, _LONGEST_PART)
    _require_length("asset_id", asset_id, _LONGEST_ID)
    _require_length("group_id", group_id, _LONGEST_ID)
    oldest = None if created_from is None else _milliseconds("created_from", created_from, end=False)
    newest = None if created_to is None else _milliseconds("created_to", created_to, end=True)
    if oldest is not None and newest is not None and oldest > newest:
        raise InvalidRequest("created_to: must not be before created_from", field="created_to")
    return SessionFilter(
        status=status,
        reference=reference or None,
        reference_contains=reference_contains,
        asset_id=asset_id,
        group_id=group_id,
        oldest=None if oldest is None else oldest_ulid(oldest),
        newest=None if newest is None else newest_ulid(newest),
    )


def page_size(limit: str | None) -> int:
    """Returns the number of items on a page for a raw query value. Raises InvalidRequest."""
    if limit is not None and not _PAGE_SIZE.fullmatch(limit):
        raise InvalidRequest(f"limit: must be an integer from 1 to {_LARGEST_PAGE}", field="limit")
    return int(limit or 20)


def _require_length(field: str, text: str | None, most: int) -> None:
    if text is not None and not 1 <= len(text) <= most:
        raise InvalidRequest(f"{field}: must have 1 to {most} characters", field=field)


def _milliseconds(field: str, text: str, *, end: bool) -> int:
    """Returns the time as milliseconds since the epoch: of a day its first one or, for ``end``, its last one."""
    try:
        if _DAY.fullmatch(text):
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            moment = day + timedelta(days=1) - _MILLISECOND if end else day
        elif _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text)
        else:
            raise ValueError
        if not _EPOCH <= moment <= _LAST:
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{field}: must be a date (YYYY-MM-DD), or a time with its offset (2026-11-29T08:00:00Z), from 1970 on",
            field=field,
        ) from None
    return (moment - _EPOCH) // _MILLISECOND
