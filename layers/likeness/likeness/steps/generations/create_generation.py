"""POST /generations and …/estimate: a video under the consent of the people in it.

The guard, the estimate where there is a budget, the transaction that stores the generation with its uses, then the
execution. An execution that cannot be started is not an error: ``reconcile`` starts it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.generation_views import estimate_view, generation_view
from likeness.domain.generation import Generation, GenerationStatus, generation_id
from likeness.errors import (
    BudgetExhausted,
    ConditionFailed,
    Conflict,
    GenerationDisabled,
    InvalidRequest,
    StorageUnavailable,
)
from likeness.steps.generations.executions import execution_input

if TYPE_CHECKING:
    from likeness.contracts.generation import NewGeneration
    from likeness.domain.caller import Caller
    from likeness.domain.generation import Media
    from likeness.ports.generations import CrunTasks, GenerationStore
    from likeness.ports.onboarding import Workflows
    from likeness.ports.system import Clock
    from likeness.steps.generations.guard import Guard

KEY_HEADER = "Idempotency-Key"
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came to: the API's URL, and the names by which the API is reached."""

    base_url: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateGeneration:
    """Creates generations for a client.

    ``daily_credits`` is the budget of clients whose key has none; 0 is no budget. ``url_of`` returns the URL of saved
    media. ``unstarted(error)`` reports an execution that could not be started.
    """

    generations: GenerationStore
    guard: Guard
    crun: CrunTasks
    workflows: Workflows
    clock: Clock
    url_of: Callable[[Media], str]
    is_enabled: bool
    daily_credits: float = 0.0
    unstarted: Callable[[StorageUnavailable], None] = lambda _: None

    def __call__(
        self,
        caller: Caller,
        key: str | None,
        body: NewGeneration,
        origin: Origin,
        correlation_id: str | None = None,
    ) -> dict[str, Any]:
        """Returns the view of the generation with this Idempotency-Key, which is new or was made by the same body.

        Raises Forbidden for a person, GenerationDisabled, InvalidRequest, AssetNotFound, BudgetExhausted, UpstreamError
        for the estimate, and Conflict: for a use that is not permitted, for a key that was used with another body, and
        for something that has changed at the same time.
        """
        self._require_enabled(caller)
        wanted, digest = generation_id(caller.client_id, _required(key)), body_digest(body)
        existing = self.generations.get(wanted)
        if existing is None:
            existing = self._created(caller, wanted, digest, body, origin, correlation_id)
        if existing.body_sha256 != digest:
            raise Conflict("This Idempotency-Key was used with a different request body", code="idempotency_key_reused")
        if existing.status is GenerationStatus.QUEUED and existing.intended_at is None:
            self._start(existing)
        return generation_view(existing, self.url_of)

    def estimate(
        self, caller: Caller, body: NewGeneration, origin: Origin, correlation_id: str | None = None
    ) -> dict[str, Any]:
        """Returns crun's estimate and what is left of the budget. Stores nothing. Raises as a creation does."""
        self._require_enabled(caller)
        guarded = self.guard(caller, body.model, body.input, body.purpose, origin.hosts)
        estimated = self.crun.estimate(body.model, guarded.content, correlation_id, caller.client_id)
        budget = self._budget(caller)
        spending = None if budget is None else self.generations.spending(caller.client_id, self.clock.now())
        return estimate_view(estimated, budget, spending)

    def _require_enabled(self, caller: Caller) -> None:
        caller.require_client()
        if not self.is_enabled:
            raise GenerationDisabled

    def _budget(self, caller: Caller) -> float | None:
        """The client's credits of a UTC day, None without a limit. A key's own come before the deployment's."""
        return caller.daily_credits if caller.daily_credits is not None else self.daily_credits or None

    def _created(
        self,
        caller: Caller,
        wanted: str,
        digest: str,
        body: NewGeneration,
        origin: Origin,
        correlation_id: str | None,
    ) -> Generation:
        """Returns the new generation, or the one that another request has stored at the same time."""
        guarded = self.guard(caller, body.model, body.input, body.purpose, origin.hosts)
        budget = self._budget(caller)
        reserved = 0.0
        if budget is not None:
            reserved = self.crun.estimate(body.model, guarded.content, correlation_id, caller.client_id)
        now = self.clock.now()
        generation = Generation(
            id=wanted,
            client_id=caller.client_id,
            status=GenerationStatus.QUEUED,
            model=body.model,
            created_at=now,
            updated_at=now,
            body_sha256=digest,
            input=canonical(guarded.content),
            people=guarded.people,
            purpose=guarded.purpose,
            reference=body.reference,
            correlation_id=correlation_id,
            base_url=origin.base_url,
            reserved=reserved,
        )
        try:
            self.generations.create(generation, budget)
        except ConditionFailed:
            return self._stored_by_another(caller, generation, body, origin.hosts, budget)
        return generation

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
                raise BudgetExhausted
        raise Conflict("A person or an asset was changed at the same time", retry_after=1)

    def _start(self, generation: Generation) -> None:
        try:
            self.workflows.start(generation.execution, execution_input(generation))
        except StorageUnavailable as error:
            self.unstarted(error)


def canonical(value: object) -> str:
    """A value as JSON text that does not depend on the order of its fields."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def body_digest(body: NewGeneration) -> str:
    """The SHA-256 digest, in hex, by which the same request is recognized."""
    asked = {"model": body.model, "input": body.input, "purpose": body.purpose, "reference": body.reference}
    return hashlib.sha256(canonical(asked).encode()).hexdigest()


def _required(key: str | None) -> str:
    if not key:
        raise InvalidRequest(f"{KEY_HEADER}: field required", field=KEY_HEADER)
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest(f"{KEY_HEADER}: must be 1 to {LONGEST_KEY} printable ASCII characters", field=KEY_HEADER)
    return key
