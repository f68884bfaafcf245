"""POST /task/{generation_id}/{signature}: crun reports that a task is over.

Nothing in the report is proof, because crun does not sign it: it only leads to a call of TaskInfo, at most one in
ASK_SECONDS for each generation, however often the URL is called. The stored report is found by the execution.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.crun import one_line, read_id
from likeness.domain.generation import ASK_SECONDS, GENERATION_ID, Generation, GenerationStatus
from likeness.domain.signing import task_is_authentic
from likeness.errors import ConditionFailed, NotFound, UpstreamAmbiguous, UpstreamDeferred
from likeness.steps.generations.executions import ensure_running

if TYPE_CHECKING:
    from likeness.ports.generations import CrunTasks, GenerationStore
    from likeness.ports.onboarding import Workflows
    from likeness.ports.system import Clock, SigningKeys

#: A longer body is not read.
LONGEST_BODY = 256 * 1024


@dataclass(frozen=True, slots=True)
class ReceiveTask:
    """Stores what TaskInfo says of the generation's task."""

    store: GenerationStore
    crun: CrunTasks
    workflows: Workflows
    keys: SigningKeys
    clock: Clock

    def __call__(self, generation_id: str, signature: str, body: str | None) -> None:
        """Accepts every body. Raises NotFound, always with the same message, for any forged URL, and UpstreamError.

        After an error, crun has to repeat the request.
        """
        generation = self.store.get(generation_id) if self._is_authentic(generation_id, signature) else None
        if generation is None:
            raise NotFound("This URL is not valid")
        if generation.report is not None or (generation.is_over and generation.status != GenerationStatus.UNCERTAIN):
            return
        task_id = generation.task_id or (_task_id(body) if _may_adopt(generation) else None)
        if task_id is None:
            return
        if not self.store.may_ask(generation_id, self.clock.now()):
            if generation.task_id is None:
                # No execution asks for a task that is not known, so crun has to repeat what names it.
                raise UpstreamDeferred("The task was asked for just now", retry_after=math.ceil(ASK_SECONDS))
            return
        report = self.crun.task(task_id, generation.correlation_id, generation.client_id)
        if report is None:
            return
        if generation.task_id is None and report.callback_url != generation.task_url(signature):
            return  # a task of somebody else
        if generation.task_id is not None and not report.is_over:
            return
        if generation.task_id is None or generation.is_over:
            try:
                generation = self.store.record_task(generation, task_id, self.clock.now())
            except ConditionFailed:
                return  # it has another task by now, or has ended
        if report.is_over:
            self.store.record_report(generation, report, self.clock.now())
        ensure_running(self.store, self.workflows, generation)

    def _is_authentic(self, generation_id: str, signature: str) -> bool:
        return GENERATION_ID.fullmatch(generation_id) is not None and (
            task_is_authentic(self.keys.current(), generation_id, signature)
            or task_is_authentic(self.keys.fresh(), generation_id, signature)
        )


def _may_adopt(generation: Generation) -> bool:
    """Whether crun may have a task of the generation that is not known."""
    return generation.was_intended or generation.status is GenerationStatus.UNCERTAIN


def _task_id(body: str | None) -> str | None:
    """The task's id in a body: in TaskInfo's ``data``, or in an envelope around it."""
    if body is None or len(body) > LONGEST_BODY:
        return None
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for holder in (given, given.get("data") if isinstance(given, dict) else None):
        if isinstance(holder, dict) and one_line(holder.get("task_id")):
            try:
                return read_id(holder, "task_id")
            except UpstreamAmbiguous:
                return None
    return None
