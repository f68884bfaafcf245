"""Starts the next execution of a generation that makes no progress, for any reason. Called by the function reconcile.

It decides nothing about the outcome: CreateTask refuses what is too late and leaves an interrupted call uncertain,
PollTask ends what crun does not report, and SaveMedia what cannot be saved. Only a task that an execution's history
names, and the row does not, is recorded here, so that no other execution creates it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from likeness.domain.due import DueItem, next_look_at
from likeness.domain.executions import BEYOND, ExecutionStatus, generation_names
from likeness.domain.generation import INTENT_LEASE_SECONDS, Generation
from likeness.errors import ConditionFailed, WorkInProgress
from likeness.steps.generations.executions import execution_input
from likeness.steps.onboarding.start_onboarding import Cause, cause_of

if TYPE_CHECKING:
    from likeness.ports.generations import GenerationStore
    from likeness.ports.onboarding import Workflows
    from likeness.ports.system import Clock


class DueItems(Protocol):
    """The due times of generations."""

    def set(self, item: DueItem, due_at: float | None) -> None:
        """Sets or removes the item's due time. Does nothing when the item has changed in the meantime."""
        ...


@dataclass(frozen=True, slots=True)
class ReconcileGenerations:
    """Checks one due generation. ``workflows`` has the executions of ``make_generation``."""

    generations: GenerationStore
    due: DueItems
    workflows: Workflows
    clock: Clock

    def __call__(self, item: DueItem) -> list[Cause]:
        """Returns the cause of each restart: one or none. Safe to repeat, and to stop anywhere."""
        generation = self.generations.get(str(item.generation_id))
        now = self.clock.now()
        if generation is None or generation.is_over:
            self.due.set(item, None)
            return []
        later = next_look_at(generation.created_at, now)
        states = self._states(generation)
        if any(not status.ended for status in states.values()):
            self.due.set(item, later)
            return []
        lease = (generation.intended_at or 0.0) + INTENT_LEASE_SECONDS
        if generation.was_intended and now < lease:
            self.due.set(item, lease)  # a request of crun's own route creates the task without an execution
            return []
        # Its row may be older than its executions: restored from a backup, or the task's id could not be stored.
        generation = self._recovered(generation)
        if generation.is_over:
            self.due.set(item, None)
            return []
        self._start(generation, states)
        self.due.set(item, later)
        return [cause_of(next(reversed(states.values()), None))]

    def _states(self, generation: Generation) -> dict[str, ExecutionStatus]:
        """The newest executions that exist, oldest first; up to one that is running."""
        found = {}
        for name in generation_names(generation)[max(0, generation.executions - 1) :]:
            status = self.workflows.status(name)
            if status is not None:
                found[name] = status
                if not status.ended:
                    break
        return found

    def _recovered(self, generation: Generation) -> Generation:
        """Returns the generation, with the task that one of its executions has created."""
        if generation.task_id is not None:
            return generation
        for name in generation_names(generation):
            for task_id in self.workflows.results(name).tasks:
                try:
                    return self.generations.record_task(generation, task_id, self.clock.now())
                except ConditionFailed:  # a callback has named the task
                    return self.generations.get(generation.id) or generation
        return generation

    def _start(self, generation: Generation, states: dict[str, ExecutionStatus]) -> None:
        """Starts an execution under the first name that was not used. Raises WorkInProgress if there is none."""
        for _ in range(BEYOND + 1):
            used = generation.execution in states
            if not used and self.workflows.start(generation.execution, execution_input(generation)):
                return
            generation = self.generations.next_execution(generation)
        raise WorkInProgress("Too many executions have ended without an outcome")
