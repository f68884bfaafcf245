"""Problem documents (RFC 9457)."""

from __future__ import annotations

import json
from typing import Any

from likeness.errors import LikenessError, UpstreamRefused

PROBLEM = "application/problem+json"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def problem(error: LikenessError, request_id: str | None = None) -> dict[str, Any]:
    """The problem document of an error, as an API Gateway proxy response.

    ``request_id`` identifies the request in our logs, for internal errors.
    """
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.field:
        document["field"] = error.field
    if error.asset_id:
        document["asset_id"] = error.asset_id
    if isinstance(error, UpstreamRefused) and error.errors:
        document["upstream_errors"] = list(error.errors)
    if request_id:
        document["request_id"] = request_id
    headers = {**HEADERS, "Content-Type": PROBLEM}
    if error.retry_after:
        headers["Retry-After"] = str(error.retry_after)
    return {"statusCode": error.status, "headers": headers, "body": json.dumps(document, ensure_ascii=False)}
