"""GET /api/v1/client/job/TaskInfo and …/account/balance: returns crun's responses from our table.

TaskInfo does not call crun: the execution does, and crun's callback. A task is a success once its media are saved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likeness.contracts.drop_in_tasks import task_info
from likeness.errors import GenerationDisabled, NotFound
from likeness.steps.crun_routes.get_result import find_in_index
from likeness.steps.generations.store_generation import budget_of

if TYPE_CHECKING:
    from likeness.domain.caller import Caller
    from likeness.domain.generation import Media
    from likeness.ports.generations import GenerationStore
    from likeness.ports.system import Clock
    from likeness.steps.crun_routes.retry_policy import RetryPolicy

#: When the last call to crun may start, after the request began.
_TRIES_SECONDS = 11.0


@dataclass(frozen=True, slots=True)
class GetTask:
    """Returns tasks and balances as crun does.

    ``url_of`` returns the URL of saved media, ``account()`` the credits of our account at crun. ``daily_credits`` is
    the budget of clients whose key has none; 0 is none.
    """

    generations: GenerationStore
    url_of: Callable[[Media], str]
    account: Callable[[], float]
    retry: RetryPolicy
    clock: Clock
    is_enabled: bool
    daily_credits: float = 0.0

    def info(self, caller: Caller, task_id: str) -> dict[str, Any]:
        """Returns TaskInfo's data, with new URLs of the media.

        Raises NotFound for a task that is nobody's or another client's.
        """
        found = find_in_index(lambda: self.generations.of_task(task_id), self.retry.sleep)
        generation = self.generations.get(found) if found else None
        if generation is None or generation.client_id != caller.client_id:
            raise NotFound("task not found")
        return task_info(generation, self.url_of)

    def balance(self, caller: Caller) -> float:
        """Returns what is left of the client's budget; without one, the account's credits at crun.

        Raises GenerationDisabled for a client that must not see the account's, and UpstreamError.
        """
        if not self.is_enabled:
            raise GenerationDisabled
        budget = budget_of(caller, self.daily_credits)
        if budget is not None:
            return self.generations.spending(caller.client_id, self.clock.now()).left(budget)
        if not caller.sees_balance:
            raise GenerationDisabled("The balance is not shown to this client")
        return self.retry(self.account, self.clock.now() + _TRIES_SECONDS, ambiguous=True)
