"""POST /api/v1/client/job/CreateTask, EstimateTask and estimate-credits: a video, behind the guard of generations.

The caller waits for crun's task_id, so the task is created in the request: the row, then the step CreateTask with its
intent, then the execution, which waits for the video and saves it. Nothing else creates such a task. A caller that gets
an error asks again with a new request, so what crun has not accepted by then is canceled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likeness.domain.drop_in import TaskEstimate
from likeness.domain.generation import Generation, GenerationStatus, generation_id
from likeness.domain.session import Problem
from likeness.domain.webhooks import fault_of_url
from likeness.errors import (
    ConditionFailed,
    Conflict,
    GenerationDisabled,
    InvalidRequest,
    LikenessError,
    StorageUnavailable,
    TaskRefused,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamError,
    WorkInProgress,
)
from likeness.steps.generations.despite_outage import despite_outage
from likeness.steps.generations.executions import start

if TYPE_CHECKING:
    from likeness.contracts.generation import NewGeneration
    from likeness.domain.caller import Caller
    from likeness.ports.generations import GenerationStore
    from likeness.ports.onboarding import Workflows
    from likeness.ports.system import Clock
    from likeness.steps.crun_routes.retry_policy import RetryPolicy
    from likeness.steps.generations.store_generation import Origin, StoreGeneration
    from likeness.steps.generations.task_action import TaskAction

#: When the last call to crun may start, after the request began. The slowest call then ends within 29 s.
_TRIES_SECONDS = 12.0
_PAUSE_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class RelayTask:
    """Creates and estimates tasks. ``create_task(generation_id, request)`` is the step CreateTask, for a caller.

    ``account()`` returns the credits of our account at crun. ``private`` also allows callback URLs with http and
    private addresses. ``unstarted(error)`` reports an execution that could not be started.
    """

    store: StoreGeneration
    generations: GenerationStore
    create_task: Callable[[str, str], TaskAction]
    account: Callable[[], float]
    workflows: Workflows
    retry: RetryPolicy
    clock: Clock
    is_enabled: bool
    private: bool = False
    unstarted: Callable[[StorageUnavailable], None] = lambda _: None

    def __call__(
        self,
        caller: Caller,
        body: NewGeneration,
        callback_url: str | None,
        origin: Origin,
        request_id: str,
        correlation_id: str | None = None,
    ) -> Generation:
        """Returns the generation, whose task crun has.

        ``request_id`` is API Gateway's: the same request never creates a second task. Raises GenerationDisabled, and
        InvalidRequest, AssetNotFound, Conflict and BudgetExhausted of the guard; UpstreamRefused for crun's refusals;
        UpstreamDeferred and StorageUnavailable when crun has no task, and the generation is canceled;
        UpstreamAmbiguous, whose message names the generation, when crun may have one.
        """
        self._require_enabled()
        fault = fault_of_url(callback_url, private=self.private) if callback_url is not None else None
        if fault:
            raise InvalidRequest(f"callback_url: {fault}", field="callback_url")
        until = self.clock.now() + _TRIES_SECONDS
        # A line break, because no Idempotency-Key of our own route contains one.
        wanted = generation_id(caller.client_id, f"CreateTask\n{request_id}")

        def stored() -> Generation:
            try:
                return self.store(caller, wanted, body, origin, correlation_id, drop_in=True, callback_url=callback_url)
            except Conflict as conflict:
                if conflict.retry_after is None:
                    raise
                raise UpstreamDeferred(conflict.message, retry_after=conflict.retry_after) from None

        # Until the row is stored, only the estimate is asked for, which may be repeated.
        generation = self.retry(stored, until, ambiguous=True)
        generation = self._with_task(generation, until)
        start(self.workflows, generation, self.unstarted)
        return generation

    def estimate(
        self, caller: Caller, body: NewGeneration, origin: Origin, correlation_id: str | None = None
    ) -> TaskEstimate:
        """Returns crun's estimate, after the same checks. The balance is what is left of the client's budget.

        Without a budget, it is that of the account, which is returned only if the operator allows it.
        """
        self._require_enabled()
        until = self.clock.now() + _TRIES_SECONDS
        estimated, budget, spending = self.retry(
            lambda: self.store.estimate(caller, body, origin, correlation_id), until, ambiguous=True
        )
        if budget is not None and spending is not None:
            left = spending.left(budget)
            return TaskEstimate(estimated, left, estimated <= left)
        left = self.retry(self.account, until, ambiguous=True)
        return TaskEstimate(estimated, left if caller.sees_balance else None, estimated <= left)

    def _require_enabled(self) -> None:
        if not self.is_enabled:
            raise GenerationDisabled

    def _with_task(self, generation: Generation, until: float) -> Generation:
        """Returns the generation with its task. Otherwise raises the reason why there is none, or none is known."""
        request = f"request-{self.clock.entropy().hex()}"
        try:
            action = self._created(generation, request, until)
        except (UpstreamError, StorageUnavailable, WorkInProgress) as error:
            current = self._given_up(generation, request, error)
        else:
            try:
                current = self._known(generation, action["task_id"])
            except (StorageUnavailable, ConditionFailed):
                raise _uncertain(generation) from None
        if current.task_id is not None:
            return current
        if current.status is GenerationStatus.REFUSED and current.error is not None:
            raise _refusal(current.error)
        if current.status is GenerationStatus.CANCELED:
            raise Conflict("The generation was canceled", code="canceled", field="input")
        raise _uncertain(generation)

    def _created(self, generation: Generation, request: str, until: float) -> TaskAction:
        while True:
            if self.clock.now() > until:  # the estimate took all the time
                raise UpstreamDeferred("crun did not respond in time", retry_after=5)
            try:
                return self.retry(lambda: self.create_task(generation.id, request), until)
            except WorkInProgress:  # something has changed at the same time
                if self.clock.now() + _PAUSE_SECONDS > until:
                    raise
            self.retry.sleep(_PAUSE_SECONDS)

    def _known(self, generation: Generation, task_id: str | None) -> Generation:
        """Returns the generation as it is stored, with the task that was created. CreateTask may not have stored it."""
        current = despite_outage(lambda: self.generations.get(generation.id), self.retry.sleep) or generation
        if task_id is None or current.task_id is not None:
            return current
        return despite_outage(
            lambda: self.generations.record_task(current, task_id, self.clock.now()), self.retry.sleep
        )

    def _given_up(self, generation: Generation, request: str, error: LikenessError) -> Generation:
        """Cancels the generation after an error, and raises it. Returns the generation if it has a task, or has ended.

        An intent of this request is one of a call that did not happen, except after an error of the table: then the
        result of the call may be what could not be stored.
        """
        try:
            current = despite_outage(lambda: self.generations.get(generation.id), self.retry.sleep) or generation
            if current.status is not GenerationStatus.QUEUED:
                return current
            is_ours = (current.intended_by or "").startswith(f"{request}/")
            if current.was_intended and (not is_ours or isinstance(error, StorageUnavailable)):
                raise _uncertain(generation) from None
            problem = Problem(error.code, "crun did not accept the request in time", retryable=True)
            ended = current.ended(GenerationStatus.CANCELED, self.clock.now(), problem)
            despite_outage(lambda: self.generations.end(ended, current), self.retry.sleep)
        except ConditionFailed:
            raise _uncertain(generation) from None
        except StorageUnavailable:
            # Without an intent, the execution that reconcile starts cancels it. With one, it becomes uncertain.
            if isinstance(error, StorageUnavailable):
                raise _uncertain(generation) from None
        if isinstance(error, WorkInProgress):
            raise UpstreamDeferred(error.message, retry_after=1) from None
        raise error


def _uncertain(generation: Generation) -> UpstreamAmbiguous:
    return UpstreamAmbiguous(f"It is not known whether crun has the task of {generation.id}")


def _refusal(problem: Problem) -> LikenessError:
    """The refusal of crun, or of the check of the people directly before the call."""
    if problem.upstream_code is not None and problem.upstream_code.isdecimal():
        return TaskRefused(int(problem.upstream_code), problem.upstream_message)
    return Conflict(problem.message, code=problem.code, field="input")
