"""The rate limiter: all functions together keep to ``CrunRequestsPer10s``, and nobody starves.

Each lane of callers is one item of the table, and its buckets are attributes (leaky buckets, GCRA): ``free_at`` is when
the next call may go out if nobody else comes. crun's allowance is shared by two lanes, one for people who wait before a
page and one for workflows; a lane that is idle lends its permits to the other. So a flood in one never stops the other.
Beside ``free_at`` a lane keeps a bucket for each client, of three quarters of the lane: the rest is for the others. One
write takes a permit from both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from likeness.adapters.aws import translated
from likeness.adapters.table.items import Item, encode, encode_item
from likeness.errors import ConditionFailed, RateLimited

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

#: How often a caller that loses a race for its permit tries again.
_WRITE_TRIES = 5
#: So many clients' buckets, that a lane's item stays below one write unit. Clients whose ids fall together share one.
_CLIENT_BUCKETS = 64


class Lane(StrEnum):
    """Whose calls: of people and callers who wait for an answer, or of workflows that can come back."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class _Bucket:
    """At most so many calls in any ten seconds: ``burst`` at once, the others ``interval`` seconds apart."""

    name: str
    burst: int
    interval: float

    @classmethod
    def of(cls, name: str, per_10s: int) -> _Bucket:
        # Two fifths of the allowance may burst, so that one person's files go at once; the rest is spread evenly: burst
        # plus spread never exceed the allowance. A millisecond more than the even spread, since times are stored in
        # whole milliseconds.
        burst = max(1, per_10s * 2 // 5)
        return cls(name, burst, 10 / max(1, per_10s - burst) + 0.001)

    @property
    def span(self) -> float:
        """How far ahead of now the bucket may be filled while a call still goes at once."""
        return (self.burst - 1) * self.interval


class LaneLimiter:
    """One lane of callers that lets at most ``per_10s`` calls go in any ten seconds."""

    def __init__(self, client: DynamoDBClient, table: str, name: str, per_10s: int, now: Callable[[], float]) -> None:
        self._client, self._table, self._now = client, table, now
        self._key = encode_item({"pk": "GOVERNOR", "sk": name})
        self._everybody = _Bucket.of("free_at", per_10s)
        self._per_client = max(1, per_10s * 3 // 4)
        self.burst = self._everybody.burst
        # What this process saw last tells which write is likely to succeed.
        self._known: dict[str, float] = {}

    def take(self, calls: int, max_wait: float, client_id: str | None = None) -> float | None:
        """Takes permits for ``calls`` calls (at most ``most(client_id)``); the seconds until they may go out.

        None, and no permit is taken, when that is more than ``max_wait`` seconds.
        """
        buckets = [self._everybody, *([self._client_bucket(client_id)] if client_id else [])]
        for _ in range(_WRITE_TRIES):
            now = self._now()
            if self._write(buckets, calls, now, max_wait):
                # The last of the batch has to wait the longest; the others go with it.
                return max(0.0, *(self._known[each.name] - each.interval - each.span - now for each in buckets))
            if any(self._known.get(each.name, 0.0) > now + each.span + max_wait for each in buckets):
                return None
        return None

    def most(self, client_id: str | None) -> int:
        """How many calls may be taken at a time: one burst, of a client that of its bucket."""
        return min(self.burst, self._client_bucket(client_id).burst) if client_id else self.burst

    def _client_bucket(self, client_id: str) -> _Bucket:
        digest = hashlib.sha256(client_id.encode()).digest()
        bucket = _Bucket.of(f"share_{digest[0] % _CLIENT_BUCKETS}", self._per_client)
        # In the long run, too: what is left after a burst is spread over the rest of the ten seconds, and a small burst
        # leaves more of it.
        return replace(bucket, interval=max(bucket.interval, self._everybody.interval * 4 / 3))

    def _write(self, buckets: Sequence[_Bucket], calls: int, now: float, max_wait: float) -> bool:
        """Puts ``calls`` into every bucket, or into none; ``_known`` is what they hold then."""
        updates, conditions = [], []
        values = {"now": now}
        found: Item = {}
        for index, each in enumerate(buckets):
            values[f"cost{index}"] = calls * each.interval
            if self._known.get(each.name, 0.0) < now:  # it has run empty: begin anew
                updates.append(f"{each.name} = :next{index}")
                conditions.append(f"(attribute_not_exists({each.name}) OR {each.name} < :now)")
                values[f"next{index}"] = now + values.pop(f"cost{index}")
            else:
                updates.append(f"{each.name} = {each.name} + :cost{index}")
                conditions.append(f"{each.name} BETWEEN :now AND :latest{index}")
                values[f"latest{index}"] = now + each.span + max_wait
        try:
            found = self._update(f"SET {', '.join(updates)}", " AND ".join(conditions), values)
        except ConditionFailed as failed:
            found = getattr(failed.__cause__, "response", {}).get("Item", {})
            return False
        finally:
            self._known |= {each.name: float(found[each.name]["N"]) for each in buckets if each.name in found}
        return True

    def _update(self, update: str, condition: str, values: dict[str, float]) -> Item:
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
        attributes: Item = answer["Attributes"]
        return attributes


class RateLimiter:
    """The allowance of all functions, as the callers of one lane see it. ``max_wait`` in seconds.

    ``waited`` is called with the seconds that callers had to wait for their permits, when they had to.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        per_10s: int,
        lane: Lane,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        max_wait: float,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._sleep, self._max_wait, self._waited = sleep, max_wait, waited
        background = per_10s // 2
        allowances = {Lane.INTERACTIVE: per_10s - background, Lane.BACKGROUND: background}
        # An allowance of one cannot be divided: everybody uses one lane.
        mine = lane if background else Lane.INTERACTIVE
        lanes = {
            each: LaneLimiter(client, table, f"crun#{each}", calls, now) for each, calls in allowances.items() if calls
        }
        self._own = lanes.pop(mine)
        self._others = list(lanes.values())

    def admit(self, calls: int, client_id: str | None = None) -> int:
        """Returns how many of ``calls`` calls may go out now: at most one burst, so ask again for the rest.

        ``client_id``: on whose behalf they are made, if on anybody's. Waits for a permit of the lane; RateLimited
        when that is more than ``max_wait`` seconds away.
        """
        for lane, max_wait in [(self._own, 0.0), *((each, 0.0) for each in self._others), (self._own, self._max_wait)]:
            admitted = min(calls, lane.most(client_id))
            wait = lane.take(admitted, max_wait, client_id)
            if wait is not None:
                self._sleep(wait)
                if wait > 0:
                    self._waited(wait)
                return admitted
        raise RateLimited(retry_after=max(2, round(self._max_wait)))
