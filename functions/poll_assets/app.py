"""State PollAssets."""

from __future__ import annotations

from typing import Any

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger

poll_assets = bootstrap.poll_assets()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """One round."""
    logger.append_keys(session_id=event["session_id"], execution=event["execution"])
    # The whole plan travels, so that an execution of another version, whose plan holds less, finds its path.
    asked_at = event.get("plan", {}).get("asked_at")
    return poll_assets(event["session_id"], event["execution"], event["round"], asked_at)
