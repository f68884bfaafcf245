"""Problem documents (RFC 9457), and the base URL of a request."""

from __future__ import annotations

import json
from typing import Any

from likeness.errors import LikenessError

PROBLEM = "application/problem+json"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def problem(error: LikenessError) -> dict[str, Any]:
    """The problem document of an error, as an API Gateway proxy answer."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.field:
        document["field"] = error.field
    headers = {**HEADERS, "Content-Type": PROBLEM}
    if error.retry_after:
        headers["Retry-After"] = str(error.retry_after)
    return {"statusCode": error.status, "headers": headers, "body": json.dumps(document, ensure_ascii=False)}


def base_url(event: dict[str, Any], configured: str) -> str:
    """PublicBaseUrl, or what the request itself came to."""
    if configured:
        return configured.rstrip("/")
    context = event["requestContext"]
    return f"https://{context['domainName']}/{context['stage']}"
