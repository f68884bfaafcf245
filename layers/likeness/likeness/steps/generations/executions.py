"""Executions of ``make_generation``: their input, and the start of the next one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from likeness.domain.generation import Generation
from likeness.errors import StorageUnavailable

if TYPE_CHECKING:
    from likeness.ports.generations import GenerationStore
    from likeness.ports.onboarding import Workflows


def execution_input(generation: Generation) -> str:
    """The input of a generation's executions. It follows from the row: a start is repeated with the same bytes."""
    document = {"generation_id": generation.id, "correlation_id": generation.correlation_id}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def start(workflows: Workflows, generation: Generation, unstarted: Callable[[StorageUnavailable], None]) -> None:
    """Starts the generation's execution. One that cannot be started is reported: ``reconcile`` starts it."""
    try:
        workflows.start(generation.execution, execution_input(generation))
    except StorageUnavailable as error:
        unstarted(error)


def ensure_running(store: GenerationStore, workflows: Workflows, generation: Generation) -> Generation:
    """Starts an execution, unless the current one is running; returns the generation with that execution's name.

    A name cannot be used again, so the next one follows an execution that has ended without an outcome.
    """
    if not workflows.is_running(generation.execution) and not workflows.start(
        generation.execution, execution_input(generation)
    ):
        generation = store.next_execution(generation)
        workflows.start(generation.execution, execution_input(generation))
    return generation
