"""POST /api/v1/client/job/CreateTask, EstimateTask and estimate-credits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.contracts.drop_in_bodies import read_body
from likeness.contracts.drop_in_task_body import TaskRequest
from likeness.contracts.drop_in_tasks import created_task, estimate_credits, estimate_task
from likeness.domain.caller import Caller
from likeness.runtime import bootstrap
from likeness.runtime.drop_in import JOB, respond
from likeness.runtime.logging import logger, observed, of_request
from likeness.runtime.request import body_of, correlation_id_of, request_id_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import ApiEvent

relay_task = bootstrap.relay_task()
client_keys = bootstrap.client_keys()
origin = bootstrap.origin()


@observed(of_request)
def handler(event: ApiEvent, context: LambdaContext) -> dict[str, Any]:
    """Creates a task and returns crun's task_id, or returns crun's estimate."""

    def work(caller: Caller) -> dict[str, Any]:
        asked, source, trace = read_body(TaskRequest, body_of(event)), origin(event), correlation_id_of(event)
        if event["resource"] == f"{JOB}CreateTask":
            request_id = request_id_of(event) or context.aws_request_id
            made = relay_task(caller, asked.wanted, asked.callback_url, source, request_id, trace)
            logger.info("task relayed", extra={"generation_id": made.id, "status": made.status})
            return created_task(made)
        found = relay_task.estimate(caller, asked.wanted, source, trace)
        return estimate_task(found) if event["resource"] == f"{JOB}EstimateTask" else estimate_credits(found)

    return respond(event, client_keys, work)
