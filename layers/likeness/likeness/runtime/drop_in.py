"""HTTP handling of crun's own routes: the client key, the envelope, and errors in crun's format.

These routes have no authorizer, because it responds with problem documents, but crun's callers expect 401 in an
envelope.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from likeness.contracts.drop_in import OK, envelope, refusal
from likeness.domain.caller import Caller
from likeness.errors import Forbidden, LikenessError
from likeness.runtime.logging import report, report_unexpected
from likeness.runtime.problems import HEADERS
from likeness.runtime.request import headers_of
from likeness.steps.onboarding.authorize import ClientKeys, client_of

#: The prefix of the routes (source: crun's documentation).
JOB = "/api/v1/client/job/"


def respond(event: Mapping[str, Any], keys: ClientKeys, work: Callable[[Caller], dict[str, Any]]) -> dict[str, Any]:
    """The proxy response: the result of ``work``, or an error, in crun's envelope."""
    try:
        return _answer(OK, envelope(work(_caller(event, keys))))
    except LikenessError as error:
        report(error)
        status, body = refusal(error)
        return _answer(status, body, error.retry_after)
    except Exception as error:
        report_unexpected(error)
        status, body = refusal(LikenessError())
        return _answer(status, body)


def _caller(event: Mapping[str, Any], keys: ClientKeys) -> Caller:
    caller = client_of(keys, headers_of(event).get("x-api-key") or "")
    if caller is None:
        raise Forbidden("invalid API key")
    return caller


def _answer(status: int, body: dict[str, Any], retry_after: int | None = None) -> dict[str, Any]:
    headers = {**HEADERS, "Content-Type": "application/json"}
    if retry_after:
        headers["Retry-After"] = str(retry_after)
    return {"statusCode": status, "headers": headers, "body": json.dumps(body, ensure_ascii=False)}
