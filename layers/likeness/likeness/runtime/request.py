"""Functions that read an API Gateway event, without a router."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from likeness.domain.caller import Caller
from likeness.domain.ids import known_correlation_id, trace_root
from likeness.domain.receipt import Holder
from likeness.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from likeness.runtime.invocations import ApiEvent, AuthorizerAnswer, AuthorizerEvent


def headers_of(event: Mapping[str, Any]) -> dict[str, str]:
    """The headers, with names in lower case."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def body_of(event: Mapping[str, Any]) -> str:
    """The body as text; "" when it is missing or not text."""
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def required_query_parameter(event: ApiEvent, name: str) -> str:
    """The query parameter ``name``. Raises InvalidRequest when it is missing or empty."""
    value = (event.get("queryStringParameters") or {}).get(name)
    if not value:
        raise InvalidRequest(f"{name}: field required", field=name)
    return value


def authorization_of(event: AuthorizerEvent, caller: Caller | None) -> AuthorizerAnswer:
    """The authorizer's response: a policy for the whole stage, which is cached, and the context for ``caller_of``.

    Denies access without a caller. The steps decide which sessions and assets a caller may see.
    """
    api, stage = event["methodArn"].split("/")[:2]
    found = {}
    if caller:
        found = {
            "client_id": caller.client_id,
            "session_id": caller.session_id or "",
            "return_origins": " ".join(caller.return_origins),
        }
        if caller.invite:
            found["invite"] = str(caller.invite)
        if caller.purpose:
            found["purpose"] = caller.purpose
        if caller.daily_credits is not None:
            found["daily_credits"] = repr(caller.daily_credits)
        if caller.sees_balance:
            found["sees_balance"] = "true"
        if caller.receipt:
            found |= {"receipt": caller.receipt, "holder": caller.holder.value, "replaces": caller.replaces}
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if caller else "Deny",
        "Resource": f"{api}/{stage}/*",
    }
    return {
        # The access log has the principal: the client, or the session of the invite link or receipt.
        "principalId": (caller.session_id or caller.client_id) if caller else "unknown",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": found,
    }


def caller_of(event: Mapping[str, Any]) -> Caller:
    """The caller from the authorizer's context. Raises NotFound without it."""
    found = event.get("requestContext", {}).get("authorizer") or {}
    if not found.get("client_id"):
        raise NotFound("Not found")  # no authorizer ran: fail closed
    return Caller(
        client_id=found["client_id"],
        return_origins=tuple((found.get("return_origins") or "").split()),
        session_id=found.get("session_id") or None,
        invite=int(found.get("invite") or 0),
        purpose=found.get("purpose") or "",
        daily_credits=float(found["daily_credits"]) if found.get("daily_credits") else None,
        sees_balance=found.get("sees_balance") == "true",
        receipt=found.get("receipt") or "",
        holder=Holder(found.get("holder") or Holder.PERSON),
        replaces=found.get("replaces") or "",
    )


def request_id_of(event: Mapping[str, Any]) -> str | None:
    """API Gateway's id of the request, which is also in its access log."""
    found: str | None = (event.get("requestContext") or {}).get("requestId")
    return found


def correlation_id_of(event: Mapping[str, Any]) -> str | None:
    """The correlation id for a session that this request creates: the trace's root, else API Gateway's request id."""
    trace = headers_of(event).get("x-amzn-trace-id") or ""
    return trace_root(trace) or known_correlation_id(request_id_of(event))


def base_url(event: Mapping[str, Any], configured: str) -> str:
    """The URL of this API without a trailing slash: ``configured``, or the one that the request was sent to.

    The part of the request's path before its route is the stage, or the base path of a custom domain.
    """
    if configured:
        return configured.rstrip("/")
    context = event["requestContext"]
    path: str = context.get("path") or ""
    of_the_route = (event.get("resource") or "").strip("/").count("/") + 1
    before = path.strip("/").split("/")[:-of_the_route] if path else [context["stage"]]
    return "/".join([f"https://{context['domainName']}", *before])


def own_hosts(event: Mapping[str, Any], configured: str) -> tuple[str, ...]:
    """The names by which this API is reached, with their ports: of the request, of the stage, of ``configured``."""
    context = event.get("requestContext") or {}
    api_id = context.get("apiId")
    names = (
        context.get("domainName"),
        headers_of(event).get("host"),
        f"{api_id}.execute-api" if api_id else None,
        urlsplit(configured).netloc.rpartition("@")[2],
    )
    return tuple(dict.fromkeys(name.lower() for name in names if name))
