"""Stores a generation for our own route and for crun's: the guard, the estimate where there is a budget, the row.

The row, its place in the client's list, the uses of its people and the reserved credits are one transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from likeness.domain.generation import Generation, GenerationStatus
from likeness.errors import BudgetExhausted, ConditionFailed, Conflict, InputRejected, UpstreamRefused

if TYPE_CHECKING:
    from likeness.contracts.generation import NewGeneration
    from likeness.domain.caller import Caller
    from likeness.domain.generation import Spending
    from likeness.ports.generations import CrunTasks, GenerationStore
    from likeness.ports.system import Clock
    from likeness.steps.generations.guard import Guard, Guarded


class Origin(NamedTuple):
    """Where a request came to: the API's URL, and the names by which the API is reached."""

    base_url: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoreGeneration:
    """Stores and estimates generations. ``daily_credits`` is the budget of clients whose key has none; 0 is none."""

    generations: GenerationStore
    guard: Guard
    crun: CrunTasks
    clock: Clock
    daily_credits: float = 0.0

    def __call__(
        self,
        caller: Caller,
        wanted: str,
        body: NewGeneration,
        origin: Origin,
        correlation_id: str | None = None,
        *,
        drop_in: bool = False,
        callback_url: str | None = None,
    ) -> Generation:
        """Returns the new generation with the id ``wanted``, or the one that another request stored at the same time.

        ``drop_in``: crun's own route was called, and ``callback_url`` is its caller's. Raises InvalidRequest,
        AssetNotFound, BudgetExhausted, UpstreamError for the estimate (InputRejected for crun's 422), and Conflict: for
        a use that is not permitted, and for something that has changed at the same time.
        """
        guarded = self.guard(caller, body.model, body.input, body.purpose, origin.hosts)
        budget = budget_of(caller, self.daily_credits)
        reserved = 0.0
        if budget is not None:
            reserved = self._estimate(caller, body, guarded, correlation_id)
        now, sent, given = self.clock.now(), canonical(guarded.content), canonical(body.input)
        generation = Generation(
            id=wanted,
            client_id=caller.client_id,
            status=GenerationStatus.QUEUED,
            model=body.model,
            created_at=now,
            updated_at=now,
            body_sha256=body_digest(body),
            input=sent,
            given=given if drop_in and given != sent else None,
            people=guarded.people,
            purpose=guarded.purpose,
            reference=body.reference,
            correlation_id=correlation_id,
            base_url=origin.base_url,
            drop_in=drop_in,
            callback_url=callback_url,
            reserved=reserved,
        )
        try:
            self.generations.create(generation, budget)
        except ConditionFailed:
            return self._stored_by_another(caller, generation, body, origin.hosts, budget)
        return generation

    def estimate(
        self, caller: Caller, body: NewGeneration, origin: Origin, correlation_id: str | None = None
    ) -> tuple[float, float | None, Spending | None]:
        """Returns crun's estimate, and the client's budget with what counts against it on this day, if it has one.

        Stores nothing. Raises as a creation does.
        """
        guarded = self.guard(caller, body.model, body.input, body.purpose, origin.hosts)
        estimated = self._estimate(caller, body, guarded, correlation_id)
        budget = budget_of(caller, self.daily_credits)
        spending = None if budget is None else self.generations.spending(caller.client_id, self.clock.now())
        return estimated, budget, spending

    def _estimate(self, caller: Caller, body: NewGeneration, guarded: Guarded, correlation_id: str | None) -> float:
        try:
            return self.crun.estimate(body.model, guarded.content, correlation_id, caller.client_id)
        except UpstreamRefused as refusal:
            if refusal.upstream_code != 422:
                raise
            raise InputRejected(refusal.errors) from None

    def _stored_by_another(
        self,
        caller: Caller,
        generation: Generation,
        body: NewGeneration,
        hosts: Sequence[str],
        budget: float | None,
    ) -> Generation:
        """Returns the generation that another request has stored. Otherwise raises the reason why none was stored."""
        found = self.generations.get(generation.id)
        if found is not None:
            return found
        self.guard(caller, body.model, body.input, body.purpose, hosts)
        if budget is not None:
            spending = self.generations.spending(caller.client_id, generation.created_at)
            if spending.committed + generation.reserved > budget:
                raise BudgetExhausted(generation.reserved, spending.left(budget))
        raise Conflict("A person or an asset was changed at the same time", retry_after=1)


def budget_of(caller: Caller, daily_credits: float) -> float | None:
    """The client's credits of a UTC day, None without a limit. A key's own come before the deployment's."""
    return caller.daily_credits if caller.daily_credits is not None else daily_credits or None


def canonical(value: object) -> str:
    """A value as JSON text that does not depend on the order of its fields."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def body_digest(body: NewGeneration) -> str:
    """The SHA-256 digest, in hex, by which the same request is recognized."""
    asked = {"model": body.model, "input": body.input, "purpose": body.purpose, "reference": body.reference}
    return hashlib.sha256(canonical(asked).encode()).hexdigest()
