"""GET /api/v1/client/job/TaskInfo and /api/v1/client/account/balance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.contracts.drop_in_tasks import account_balance
from likeness.domain.caller import Caller
from likeness.runtime import bootstrap
from likeness.runtime.drop_in import JOB, respond
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import required_query_parameter

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

get_task = bootstrap.get_task()
client_keys = bootstrap.client_keys()


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Returns a task, or a balance."""

    def work(caller: Caller) -> dict[str, Any]:
        if event["resource"] == f"{JOB}TaskInfo":
            return get_task.info(caller, required_query_parameter(event, "task_id"))
        return account_balance(get_task.balance(caller))

    return respond(event, client_keys, work)
