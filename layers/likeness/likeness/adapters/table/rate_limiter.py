"""The rate limiter: all functions together stay below ``CrunRequestsPer10s``, and no caller starves.

Each lane of callers is one item of the table, and its buckets are attributes (leaky buckets, GCRA): ``free_at`` is when
the bucket is empty. crun's limit is divided between two lanes, one for people who wait for a page and one for
workflows. An idle lane lends its permits to the other, and a flood in one lane never stops the other. In addition to
``free_at``, a lane has a bucket per client, with three quarters of the lane's permits: the rest is for other clients.
One write acquires a permit from both buckets.
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

#: How often a caller that loses a race for a permit tries to write.
_WRITE_TRIES = 5
#: The number of client buckets keeps a lane's item below one write unit. Clients with the same hash share a bucket.
_CLIENT_BUCKETS = 64


class Lane(StrEnum):
    """The kind of caller: a person or client that waits for a response, or a workflow that can retry later."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A leaky bucket that admits ``burst`` calls immediately and the others ``interval`` seconds apart."""

    name: str
    burst: int
    interval: float

    @classmethod
    def of(cls, name: str, per_10s: int) -> _Bucket:
        # Two fifths of the limit may burst, so that one person's files are sent immediately. The rest is spread evenly
        # over ten seconds, so that both together never exceed the limit. The extra millisecond is there because times
        # are stored in whole milliseconds.
        burst = max(1, per_10s * 2 // 5)
        return cls(name, burst, 10 / max(1, per_10s - burst) + 0.001)

    @property
    def span(self) -> float:
        """How many seconds ahead of now the bucket may be filled while a call is still admitted immediately."""
        return (self.burst - 1) * self.interval


class LaneLimiter:
    """One lane of callers, which admits at most ``per_10s`` calls in any ten seconds."""

    def __init__(self, client: DynamoDBClient, table: str, name: str, per_10s: int, now: Callable[[], float]) -> None:
        self._client, self._table, self._now = client, table, now
        self._key = encode_item({"pk": "GOVERNOR", "sk": name})
        self._shared = _Bucket.of("free_at", per_10s)
        self._per_client = max(1, per_10s * 3 // 4)
        self.burst = self._shared.burst
        # The values that this process last read show which write is likely to succeed.
        self._known: dict[str, float] = {}

    def take(self, calls: int, max_wait: float, client_id: str | None = None) -> float | None:
        """Acquires permits for ``calls`` calls (at most ``most(client_id)``). Returns the seconds to wait for them.

        Returns None without acquiring a permit when the wait is longer than ``max_wait`` seconds.
        """
        buckets = [self._shared, *([self._client_bucket(client_id)] if client_id else [])]
        for _ in range(_WRITE_TRIES):
            now = self._now()
            if self._write(buckets, calls, now, max_wait):
                # The whole batch waits for its last permit.
                return max(0.0, *(self._known[each.name] - each.interval - each.span - now for each in buckets))
            if any(self._known.get(each.name, 0.0) > now + each.span + max_wait for each in buckets):
                return None
        return None

    def most(self, client_id: str | None) -> int:
        """Returns how many permits can be acquired at a time: one burst of the lane, and of the client's bucket."""
        return min(self.burst, self._client_bucket(client_id).burst) if client_id else self.burst

    def _client_bucket(self, client_id: str) -> _Bucket:
        digest = hashlib.sha256(client_id.encode()).digest()
        bucket = _Bucket.of(f"share_{digest[0] % _CLIENT_BUCKETS}", self._per_client)
        # Also limits a client to three quarters in the long run: the even spread alone, with its small burst, would
        # allow more.
        return replace(bucket, interval=max(bucket.interval, self._shared.interval * 4 / 3))

    def _write(self, buckets: Sequence[_Bucket], calls: int, now: float, max_wait: float) -> bool:
        """Adds ``calls`` to every bucket or to none, and updates ``_known``. Returns whether it added them."""
        updates, conditions = [], []
        values = {"now": now}
        found: Item = {}
        for index, each in enumerate(buckets):
            values[f"cost{index}"] = calls * each.interval
            if self._known.get(each.name, 0.0) < now:  # the bucket is empty: start from now
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
    """The rate limit of all functions, for the callers of one lane. ``max_wait`` is in seconds.

    ``waited`` is called with the seconds that a caller waits for its permits, if it has to wait.
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
        # A limit of one cannot be divided: all callers use one lane.
        mine = lane if background else Lane.INTERACTIVE
        lanes = {
            each: LaneLimiter(client, table, f"crun#{each}", calls, now) for each, calls in allowances.items() if calls
        }
        self._own = lanes.pop(mine)
        self._others = list(lanes.values())

    def admit(self, calls: int, client_id: str | None = None) -> int:
        """Returns how many of ``calls`` calls may be sent now: at most one burst, so call it again for the rest.

        ``client_id`` is the client on whose behalf they are made, if any. Waits for a permit of the lane. Raises
        RateLimited when the wait would be longer than ``max_wait`` seconds.
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
