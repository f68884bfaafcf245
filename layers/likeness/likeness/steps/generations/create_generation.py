"""POST /generations and …/estimate: a video under the consent of the people in it.

The generation is stored, then its execution is started. An execution that cannot be started is not an error:
``reconcile`` starts it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.generation_views import estimate_view, generation_view
from likeness.domain.generation import GenerationStatus, generation_id
from likeness.errors import Conflict, GenerationDisabled, InvalidRequest, StorageUnavailable
from likeness.steps.generations.executions import start
from likeness.steps.generations.store_generation import body_digest

if TYPE_CHECKING:
    from likeness.contracts.generation import NewGeneration
    from likeness.domain.caller import Caller
    from likeness.domain.generation import Media
    from likeness.ports.onboarding import Workflows
    from likeness.steps.generations.store_generation import Origin, StoreGeneration

KEY_HEADER = "Idempotency-Key"
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class CreateGeneration:
    """Creates generations for a client.

    ``url_of`` returns the URL of saved media. ``unstarted(error)`` reports an execution that could not be started.
    """

    store: StoreGeneration
    workflows: Workflows
    url_of: Callable[[Media], str]
    is_enabled: bool
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
        existing = self.store.generations.get(wanted)
        if existing is None:
            existing = self.store(caller, wanted, body, origin, correlation_id)
        if existing.body_sha256 != digest:
            raise Conflict("This Idempotency-Key was used with a different request body", code="idempotency_key_reused")
        if existing.status is GenerationStatus.QUEUED and existing.intended_at is None:
            start(self.workflows, existing, self.unstarted)
        return generation_view(existing, self.url_of)

    def estimate(
        self, caller: Caller, body: NewGeneration, origin: Origin, correlation_id: str | None = None
    ) -> dict[str, Any]:
        """Returns crun's estimate and what is left of the budget. Stores nothing. Raises as a creation does."""
        self._require_enabled(caller)
        return estimate_view(*self.store.estimate(caller, body, origin, correlation_id))

    def _require_enabled(self, caller: Caller) -> None:
        caller.require_client()
        if not self.is_enabled:
            raise GenerationDisabled


def _required(key: str | None) -> str:
    if not key:
        raise InvalidRequest(f"{KEY_HEADER}: field required", field=KEY_HEADER)
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest(f"{KEY_HEADER}: must be 1 to {LONGEST_KEY} printable ASCII characters", field=KEY_HEADER)
    return key
