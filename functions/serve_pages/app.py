"""GET /invite, /docs and /openapi.json: static files of the product itself."""

from __future__ import annotations

from typing import Any

from likeness.runtime.logging import logger
from likeness.runtime.pages import page

FILES = {
    "/invite": "invite.html",
    "/invite.js": "invite.js",
    "/style.css": "style.css",
    "/docs": "docs.html",
    "/docs.js": "docs.js",
    "/openapi.json": "openapi.json",
}


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serves one file by the route's name."""
    return page(FILES[event["resource"]])
