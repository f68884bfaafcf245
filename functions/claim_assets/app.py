"""State ClaimAssets."""

from __future__ import annotations

from typing import Any

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger

claim_assets = bootstrap.claim_assets()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """Claims the session's open work."""
    logger.append_keys(session_id=event["session_id"], execution=event["execution"])
    return claim_assets(event["session_id"], event["execution"], takes_over=event.get("takes_over") or None)
