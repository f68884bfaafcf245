"""GET /stats: counts a client's sessions and assets by day. Reads the indexes, never scans the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from likeness.contracts.stats import make_cursor, parse_period, read_cursor, stats_view
from likeness.domain.caller import Caller
from likeness.domain.stats import tally
from likeness.ports.system import Clock
from likeness.ports.upkeep import UpkeepStore


@dataclass(frozen=True, slots=True)
class GetStats:
    """Counts the caller's sessions and assets. ``page_size`` is the number of items per index query."""

    store: UpkeepStore
    clock: Clock
    page_size: int = 1000

    def __call__(
        self, caller: Caller, *, first: str | None = None, last: str | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """Returns ``{"days": […], "next_cursor": …}``, newest first.

        ``first``, ``last`` and ``cursor`` are the raw query values ``from``, ``to`` and ``cursor``. Raises Forbidden
        for a person, and InvalidRequest, which names the field.
        """
        caller.require_client()
        if cursor is None:
            period = parse_period(first, last, datetime.fromtimestamp(self.clock.now(), UTC).date())
            newest = period.newest
        else:
            period, newest = read_cursor(cursor, caller.client_id, first, last)
        found = self.store.read_facts(caller.client_id, oldest=period.oldest, newest=newest, page_size=self.page_size)
        following = make_cursor(caller.client_id, period, found.rest) if found.rest else None
        return stats_view(tally(found.sessions, found.assets), following)
