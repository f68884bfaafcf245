"""Cursors of listings: where the next page begins. Opaque to callers, and without anything of another client."""

from __future__ import annotations

import base64
import binascii
import json
import re

from likeness.errors import InvalidRequest


def cursor_after(position: str | None) -> str | None:
    """Returns the cursor of the page that continues after ``position``; None, at the end of a list, has none."""
    return None if position is None else base64.urlsafe_b64encode(json.dumps([position]).encode()).decode()


def position_of(cursor: str | None, pattern: re.Pattern[str]) -> str | None:
    """Returns the position after which a page begins, None for the first one.

    Raises InvalidRequest for a cursor whose position does not match ``pattern``.
    """
    if not cursor:
        return None
    try:
        (position,) = json.loads(base64.urlsafe_b64decode(cursor))
        if not (isinstance(position, str) and pattern.fullmatch(position)):
            raise ValueError
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise InvalidRequest("cursor: not valid", field="cursor") from None
    return position
