"""State LookUpResult."""

from __future__ import annotations

from typing import Any

from likeness.errors import LikenessError
from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, report

look_up_result = bootstrap.look_up_result()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """Looks up the attempt that the execution is about."""
    logger.append_keys(session_id=event["session_id"], execution=event["execution"])
    try:
        return look_up_result(
            event["session_id"], event["attempt"], event["execution"], last_chance=event["last_chance"]
        )
    except LikenessError as error:
        report(error)
        raise
