"""The rate governor: all functions together keep to ``CrunRequestsPer10s``, and nobody starves.

Each line of callers is one item of the table (a leaky bucket, GCRA): ``free_at`` is when the next call may go out if
nobody else comes. crun's allowance is shared by two lines, one for people who wait before a page and one for
workflows; a line that is idle lends its places to the other. So a flood in one never stops the other.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from likeness.adapters.aws import translated
from likeness.adapters.items import Item, encode, encode_item
from likeness.errors import ConditionFailed, RateLimited

#: How often a caller that loses a race for its place tries again.
_RACES = 5


class Lane(StrEnum):
    """Whose calls: of people and callers who wait for an answer, or of workflows that can come back."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


class Line:
    """One line of callers that lets at most ``per_10s`` calls go in any ten seconds.

    Two fifths of the allowance may burst, so that one person's files go at once; the rest is spread evenly: burst plus
    spread never exceed the allowance.
    """

    def __init__(self, client: Any, table: str, name: str, per_10s: int, now: Callable[[], float]) -> None:
        self._client, self._table, self._now = client, table, now
        self._key = encode_item({"pk": "GOVERNOR", "sk": name})
        self.burst = max(1, per_10s * 2 // 5)
        # A millisecond more than the even spread: times are stored in whole milliseconds.
        self._interval = 10 / max(1, per_10s - self.burst) + 0.001
        self._span = (self.burst - 1) * self._interval
        self._known = 0.0

    def take(self, calls: int, patience: float) -> float | None:
        """Takes places for ``calls`` calls (at most ``burst``); the seconds until they may go out.

        None, and no place is taken, when that is more than ``patience`` seconds.
        """
        cost = calls * self._interval
        for _ in range(_RACES):
            now = self._now()
            # What this process saw last tells which of the two writes is likely to succeed.
            if self._known < now and self._restart(now, cost):
                return 0.0
            free_at = self._reserve(now, cost, now + self._span + patience)
            if free_at is not None:
                # The last of the batch has to wait the longest; the others go with it.
                return max(0.0, free_at - self._interval - self._span - now)
            if self._known > now + self._span + patience:
                return None
        return None

    def _reserve(self, now: float, cost: float, latest: float) -> float | None:
        """Takes the next place in a line that is not empty; when the place ends, or None."""
        condition = "free_at >= :now AND free_at <= :latest"
        answer = self._write("SET free_at = free_at + :cost", condition, cost=cost, now=now, latest=latest)
        if answer is None:
            return None
        self._known = float(answer["free_at"]["N"])
        return self._known

    def _restart(self, now: float, cost: float) -> bool:
        """Opens a new line when the old one has run empty."""
        condition = "attribute_not_exists(free_at) OR free_at < :now"
        return self._write("SET free_at = :next", condition, next=now + cost, now=now) is not None

    def _write(self, update: str, condition: str, **values: float) -> Item | None:
        """The item's attributes afterwards; None when the condition failed, and ``_known`` is what it holds then."""
        try:
            with translated():
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=self._key,
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues={f":{name}": encode(float(value)) for name, value in values.items()},
                    ReturnValues="UPDATED_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ConditionFailed as failed:
            old = getattr(failed.__cause__, "response", {}).get("Item", {})
            # An emulator that does not tell leaves it open: the next turn tries both writes.
            self._known = float(old["free_at"]["N"]) if "free_at" in old else 0.0
            return None
        attributes: Item = answer["Attributes"]
        return attributes


class Governor:
    """The allowance of all functions, as the callers of one lane see it. ``max_wait`` in seconds."""

    def __init__(
        self,
        client: Any,
        table: str,
        per_10s: int,
        lane: Lane,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        max_wait: float,
    ) -> None:
        self._sleep, self._max_wait = sleep, max_wait
        background = per_10s // 2
        shares = {Lane.INTERACTIVE: per_10s - background, Lane.BACKGROUND: background}
        # An allowance of one cannot be shared: everybody stands in the same line.
        mine = lane if background else Lane.INTERACTIVE
        lines = {each: Line(client, table, f"crun#{each}", share, now) for each, share in shares.items() if share}
        self._own = lines.pop(mine)
        self._others = list(lines.values())

    def admit(self, calls: int) -> int:
        """Returns how many of ``calls`` calls may go out now: at most one burst, so ask again for the rest.

        Waits for its place in the line; RateLimited when that is more than ``max_wait`` seconds away.
        """
        for line, patience in [(self._own, 0.0), *((each, 0.0) for each in self._others), (self._own, self._max_wait)]:
            admitted = min(calls, line.burst)
            wait = line.take(admitted, patience)
            if wait is not None:
                self._sleep(wait)
                return admitted
        raise RateLimited(retry_after=max(2, round(self._max_wait)))


class ClientThrottle:
    """No client takes more than three quarters of the allowance: the rest is for the others."""

    def __init__(
        self,
        client: Any,
        table: str,
        per_10s: int,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        max_wait: float,
    ) -> None:
        self._sleep, self._max_wait = sleep, max_wait
        self._client, self._table, self._now = client, table, now
        self._share = max(1, per_10s * 3 // 4)

    def __call__(self, client_id: str) -> None:
        """Waits for this client's turn; RateLimited when that is more than ``max_wait`` seconds away."""
        line = Line(self._client, self._table, f"client#{client_id}", self._share, self._now)
        wait = line.take(1, self._max_wait)
        if wait is None:
            raise RateLimited(retry_after=max(2, round(self._max_wait)))
        self._sleep(wait)
