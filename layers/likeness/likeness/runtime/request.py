"""What a function reads off an API Gateway event, without a router."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from likeness.domain.ids import known_correlation_id, trace_root


def headers_of(event: Mapping[str, Any]) -> dict[str, str]:
    """The headers, their names in lower case."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def body_of(event: Mapping[str, Any]) -> str:
    """The body as text, "" when there is none, or none that is text."""
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def request_id_of(event: Mapping[str, Any]) -> str | None:
    """What API Gateway calls the request; its access log says the same."""
    found: str | None = (event.get("requestContext") or {}).get("requestId")
    return found


def correlation_id_of(event: Mapping[str, Any]) -> str | None:
    """What is to follow the session that this request makes: its trace's root, else API Gateway's request id."""
    trace = headers_of(event).get("x-amzn-trace-id") or ""
    return trace_root(trace) or known_correlation_id(request_id_of(event))


def base_url(event: Mapping[str, Any], configured: str) -> str:
    """PublicBaseUrl, or what the request itself came to."""
    if configured:
        return configured.rstrip("/")
    context = event["requestContext"]
    return f"https://{context['domainName']}/{context['stage']}"
