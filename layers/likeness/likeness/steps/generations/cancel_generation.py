"""POST /generations/{id}/cancel and DELETE /generations/{id}: cancels before crun is asked, and erases afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.generation_views import generation_view
from likeness.domain.generation import Generation, GenerationStatus
from likeness.errors import ConditionFailed, Conflict
from likeness.steps.generations.get_generation import own_generation

if TYPE_CHECKING:
    from likeness.domain.caller import Caller
    from likeness.ports.generations import GenerationStore, MediaFiles
    from likeness.ports.system import Clock

#: How often a change is tried again that another one has overtaken.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class CancelGeneration:
    """Cancels and erases a client's generations. A repetition changes nothing."""

    generations: GenerationStore
    media: MediaFiles
    clock: Clock

    def __call__(self, caller: Caller, generation_id: str) -> dict[str, Any]:
        """Returns the view of the generation, which is canceled.

        Raises NotFound, Forbidden for a person, and Conflict when crun may have been asked for it.
        """
        generation = self._canceled(own_generation(self.generations, caller, generation_id))
        if generation.status is not GenerationStatus.CANCELED:
            raise Conflict("The generation cannot be canceled anymore", code="already_created")
        return generation_view(generation)

    def erase(self, caller: Caller, generation_id: str) -> dict[str, Any]:
        """Deletes media, input and reference, and returns the view of what remains.

        One that crun was not asked for is canceled first. Raises NotFound, Forbidden for a person, and Conflict while
        crun may be making it.
        """
        generation = self._canceled(own_generation(self.generations, caller, generation_id))
        if not generation.is_over:
            message = "The generation is being made; it can be erased when it has ended"
            raise Conflict(message, code="generation_running", retry_after=30)
        if not generation.is_erased:
            # The files first: as long as the row names them, a repetition finds them.
            self.media.erase(generation.media_prefix)
            self.generations.erase(generation, self.clock.now())
            generation = own_generation(self.generations, caller, generation_id)
        return generation_view(generation)

    def _canceled(self, generation: Generation) -> Generation:
        """Returns the generation, canceled if crun was not asked for it."""
        for _ in range(_TRIES):
            if generation.status is not GenerationStatus.QUEUED or generation.intended_at is not None:
                return generation
            canceled = generation.ended(GenerationStatus.CANCELED, self.clock.now())
            try:
                self.generations.end(canceled, generation)
            except ConditionFailed:
                generation = self.generations.get(generation.id) or generation
            else:
                return canceled
        raise Conflict("The generation was changed at the same time", retry_after=1)
