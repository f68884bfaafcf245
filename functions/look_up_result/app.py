"""State LookUpResult."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_task, reported

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import LookUpResultEvent
    from likeness.steps.onboarding.look_up_result import LookUp

look_up_result = bootstrap.look_up_result()


@observed(of_task)
def handler(event: LookUpResultEvent, context: LambdaContext) -> LookUp:
    """Gets the result of the execution's attempt from crun."""
    with reported():
        found = look_up_result(
            event["session_id"], event["attempt"], event["execution"], last_chance=event["last_chance"]
        )
    logger.info("result looked up", extra={"outcome": found["outcome"]})
    return found
