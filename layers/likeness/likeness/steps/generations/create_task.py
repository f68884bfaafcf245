"""State CreateTask: creates the task at crun, once.

crun's CreateTask costs credits, has no idempotency key, and crun lists no tasks. The intent is therefore stored first,
under the conditions that the people still permit it. A call that may have happened is never repeated: its generation is
``uncertain``, until a callback of crun names the task.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from likeness.domain.generation import INTENT_LEASE_SECONDS, Generation, GenerationStatus, rejected
from likeness.domain.session import Problem
from likeness.domain.signing import sign_task
from likeness.errors import (
    ACCOUNT_REFUSALS,
    ConditionFailed,
    StorageUnavailable,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamRefused,
    WorkInProgress,
)
from likeness.steps.generations.despite_outage import despite_outage
from likeness.steps.generations.recheck import places_of, refusal_of, under_current_consent
from likeness.steps.generations.task_action import TaskAction, TaskPolicy, done, end, settle, wait

if TYPE_CHECKING:
    from likeness.ports.generations import CrunTasks, GenerationStore
    from likeness.ports.system import Clock, SigningKeys

_UNKNOWN = Problem("task_unknown", "It is not known whether crun has the task, so it is not created again")
_TOO_LATE = Problem("upstream_unavailable", "crun did not accept the request in time", retryable=True)


@dataclass(frozen=True, slots=True)
class CreateTask:
    """Creates the task of one generation. ``sleep(seconds)`` is called between the tries of a write.

    ``for_caller``: the caller of crun's own route waits for the task. Nobody else creates it, because a caller that got
    an error asks again.
    """

    store: GenerationStore
    crun: CrunTasks
    keys: SigningKeys
    clock: Clock
    policy: TaskPolicy
    sleep: Callable[[float], None]
    for_caller: bool = False

    def __call__(self, generation_id: str, execution: str) -> TaskAction:
        """Returns the next action. Raises an error that is worth a retry: the call has certainly not happened.

        ``execution`` names the execution or request. Each invocation stores an intent of its own, because Lambda and
        Step Functions may run a second one while the first is still running.
        """
        generation = self.store.get(generation_id)
        if generation is None:
            return done()
        if generation.status is not GenerationStatus.QUEUED:
            return self._created(generation)
        now = self.clock.now()
        if generation.was_intended:
            return self._intended_by_another(generation, now)
        if generation.drop_in and not self.for_caller and now < generation.created_at + INTENT_LEASE_SECONDS:
            raise WorkInProgress("A request is creating this task")
        if generation.erased_at is not None or (generation.drop_in and not self.for_caller):
            return self._end(generation, generation.ended(GenerationStatus.CANCELED, now))
        if self.policy.may_not_start(generation, now):
            return self._refuse(generation, _TOO_LATE)
        sessions, assets = self.store.load_assets(places_of(generation.people))
        refusal = refusal_of(generation.people, sessions, assets, generation.purpose, now)
        if refusal is not None:
            return self._refuse(generation, refusal)
        permitted = replace(generation, people=under_current_consent(generation.people, sessions))
        try:
            intent = self._intend(permitted, f"{execution}/{self.clock.entropy().hex()}", now)
        except ConditionFailed:
            raise WorkInProgress("The generation or a person's consent has just changed") from None
        return self._create(intent)

    def _create(self, intent: Generation) -> TaskAction:
        try:
            task_id = self.crun.create_task(
                intent.model,
                json.loads(intent.input),
                intent.task_url(sign_task(self.keys.current(), intent.id)),
                intent.correlation_id,
                intent.client_id,
            )
        except UpstreamAmbiguous:
            return self._uncertain(intent)
        except (UpstreamDeferred, StorageUnavailable):
            self._release(intent)
            raise
        except UpstreamRefused as refusal:
            if refusal.upstream_code in ACCOUNT_REFUSALS:
                self._release(intent)
                raise
            return self._refuse(intent, rejected(refusal))
        now = self.clock.now()
        # Without this write, PollTask records the task: its id is in the execution's state.
        with suppress(StorageUnavailable):
            try:
                intent = self.store.record_task(intent, task_id, now)
            except ConditionFailed:
                # Another task was adopted, or the generation has ended in another way: that outcome stays.
                return done(task_id=task_id)
        return wait(self.policy.pause(replace(intent, submitted_at=now), now), task_id=task_id, asked_at=now)

    def _created(self, generation: Generation) -> TaskAction:
        """Returns the action for a generation that another execution, or a callback, has taken further."""
        now = self.clock.now()
        if generation.is_over:
            return done(task_id=generation.task_id)
        if generation.report is not None:
            return settle(self.store, generation, now)
        return wait(self.policy.pause(generation, now), task_id=generation.task_id)

    def _intended_by_another(self, generation: Generation, now: float) -> TaskAction:
        if now < (generation.intended_at or 0.0) + INTENT_LEASE_SECONDS:
            raise WorkInProgress("Another invocation is creating this task")
        return self._uncertain(generation)

    def _uncertain(self, generation: Generation) -> TaskAction:
        ended = generation.ended(GenerationStatus.UNCERTAIN, self.clock.now(), _UNKNOWN)
        if end(self.store, ended, generation):
            return done()
        current = self.store.get(generation.id)  # a callback has named the task in the meantime
        return self._created(current) if current and current.status is not GenerationStatus.QUEUED else done()

    def _refuse(self, generation: Generation, problem: Problem) -> TaskAction:
        return self._end(generation, generation.ended(GenerationStatus.REFUSED, self.clock.now(), problem))

    def _end(self, generation: Generation, ended: Generation) -> TaskAction:
        if not end(self.store, ended, generation):
            raise WorkInProgress("The generation has just changed")
        return done()

    def _intend(self, generation: Generation, by: str, now: float) -> Generation:
        """Stores the intent. Without an answer of the table, it is removed again: no call has happened."""
        try:
            return despite_outage(lambda: self.store.intend(generation, by, now), self.sleep)
        except StorageUnavailable:
            self._release(replace(generation, intended_by=by, intended_at=now))
            raise

    def _release(self, intent: Generation) -> None:
        """Removes the intent of a call that has not happened. If this fails, the generation becomes uncertain."""
        with suppress(StorageUnavailable):
            despite_outage(lambda: self.store.release_intent(intent, self.clock.now()), self.sleep)
