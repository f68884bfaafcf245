"""State PollTask: asks crun for the task, and stores its final report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from likeness.domain.generation import Generation, GenerationStatus, TaskReport
from likeness.domain.polling import observed
from likeness.domain.session import Problem
from likeness.errors import ACCOUNT_REFUSALS, ConditionFailed, UpstreamError, UpstreamRefused
from likeness.steps.files.next_action import HAND_OVER_SECONDS, LONGEST_SECONDS, MAX_POLLS
from likeness.steps.generations.task_action import TaskAction, TaskPolicy, age_of, done, end, settle, wait

if TYPE_CHECKING:
    from likeness.ports.generations import CrunTasks, GenerationStore
    from likeness.ports.system import Clock

#: The longest wait when crun defers without a time. The schedule's pauses grow with the age and cover the rest.
_SHORT_PAUSE_SECONDS = 15
#: The pause while crun refuses the account: an operator has to act.
_ACCOUNT_PAUSE_SECONDS = 300
_UNKNOWN = Problem("outcome_unknown", "crun has not reported the end of the task in time")


@dataclass(frozen=True, slots=True)
class PollTask:
    """Asks for one task. ``refused()`` counts the polls in which crun refused the account."""

    store: GenerationStore
    crun: CrunTasks
    clock: Clock
    policy: TaskPolicy
    refused: Callable[[], None]

    def __call__(
        self,
        generation_id: str,
        polls: int,
        *,
        task_id: str | None = None,
        asked_at: float | None = None,
        started_at: float | None = None,
    ) -> TaskAction:
        """Returns the next action. Raises StorageUnavailable alone: what crun answers leads to another poll.

        ``task_id`` and ``asked_at`` come from the previous action: CreateTask may not have been able to store the
        task's id. ``started_at`` is when the execution started (epoch seconds): an old one ends, and reconcile starts
        the next.
        """
        now = self.clock.now()
        generation = self.store.get(generation_id)
        if generation is not None and task_id is not None and generation.task_id is None:
            generation = self._recorded(generation, task_id, now)
        if generation is None or generation.status is not GenerationStatus.RUNNING or generation.task_id is None:
            return done(polls + 1, task_id)
        if generation.report is not None:
            return settle(self.store, generation, now, polls + 1)
        report = self._ask(generation, generation.task_id)
        if isinstance(report, TaskReport) and report.is_over:
            return self._over(generation, report, now, polls, asked_at)
        if self.policy.is_given_up(generation, now):
            end(self.store, generation.ended(GenerationStatus.UNCERTAIN, now, _UNKNOWN), generation)
            return done(polls + 1, generation.task_id)
        # Without an answer, the previous poll stays the last one that saw the task running.
        known_at = now if isinstance(report, TaskReport) else asked_at
        pause = self.policy.pause(generation, now, self._asked_to_wait(report))
        age = 0.0 if started_at is None else now - started_at
        if polls + 1 > MAX_POLLS or age >= HAND_OVER_SECONDS or age + pause >= LONGEST_SECONDS:
            return done(polls + 1, generation.task_id)
        return wait(pause, polls + 1, generation.task_id, known_at)

    def _recorded(self, generation: Generation, task_id: str, now: float) -> Generation:
        """Stores the task that CreateTask has created, also of a generation that became uncertain in the meantime."""
        try:
            return self.store.record_task(generation, task_id, now)
        except ConditionFailed:
            return self.store.get(generation.id) or generation

    def _ask(self, generation: Generation, task_id: str) -> TaskReport | UpstreamError | None:
        try:
            return self.crun.task(task_id, generation.correlation_id, generation.client_id)
        except UpstreamError as problem:
            return problem

    def _over(
        self, generation: Generation, report: TaskReport, now: float, polls: int, asked_at: float | None
    ) -> TaskAction:
        seen = None
        if asked_at is not None:
            age = age_of(generation, now)
            seen = observed(age - (now - asked_at), age, self.policy.history.of(generation.model, now))
        self.store.record_report(generation, report, now, seen)
        return settle(self.store, replace(generation, report=report), now, polls + 1)

    def _asked_to_wait(self, report: TaskReport | UpstreamError | None) -> int:
        if not isinstance(report, UpstreamError):
            return 0
        if isinstance(report, UpstreamRefused) and report.upstream_code in ACCOUNT_REFUSALS:
            self.refused()
            return _ACCOUNT_PAUSE_SECONDS
        return report.asked_to_wait or min(report.retry_after or 0, _SHORT_PAUSE_SECONDS)
