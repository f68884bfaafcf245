"""Structured logs of facts: ids, codes, durations. Never events, URLs, tokens, names or faces."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aws_lambda_powertools import Logger

from likeness.domain.ids import ASSET_ID, SESSION_ID, known_correlation_id
from likeness.domain.metrics import Metric
from likeness.errors import ACCOUNT_REFUSALS, LikenessError, RequestError, UpstreamError, UpstreamRefused
from likeness.runtime import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

#: One logger for a function; POWERTOOLS_SERVICE_NAME and LOG_LEVEL come from the template.
logger = Logger(log_uncaught_exceptions=False)

Event = Mapping[str, Any]
#: What a handler is given, and what it answers.
Given = TypeVar("Given", bound=Event)
Answer = TypeVar("Answer")
#: What a line of metrics has in common with the other lines of its invocation.
_IDS = ("session_id", "asset_id", "execution", "correlation_id", "request_id", "function_request_id")


def observed(
    ids: Callable[[Event], Mapping[str, str | None]],
) -> Callable[[Callable[[Given, LambdaContext], Answer]], Callable[[Given, LambdaContext], Answer]]:
    """The frame of every handler: each line carries Lambda's request id and what ``ids`` finds in the event,

    and what was measured is written when the handler ends, however it ends.
    """

    def frame(handler: Callable[[Given, LambdaContext], Answer]) -> Callable[[Given, LambdaContext], Answer]:
        @logger.inject_lambda_context(clear_state=True)
        @wraps(handler)
        def run(event: Given, context: LambdaContext) -> Answer:
            logger.append_keys(**{name: each for name, each in ids(event).items() if each})
            try:
                return handler(event, context)
            finally:
                keys = logger.get_current_keys()
                metrics.write({name: keys[name] for name in _IDS if name in keys})

        return cast("Callable[[Given, LambdaContext], Answer]", run)

    return frame


def of_request(event: Event) -> dict[str, str | None]:
    """The ids of an HTTP request: API Gateway's, and the path's. What the path holds besides ids is not logged."""
    path = event.get("pathParameters") or {}
    session_id, asset_id = path.get("session_id") or "", path.get("asset_id") or ""
    return {
        "request_id": (event.get("requestContext") or {}).get("requestId"),
        "session_id": session_id if SESSION_ID.fullmatch(session_id) else None,
        "asset_id": asset_id if ASSET_ID.fullmatch(asset_id) else None,
    }


def of_task(event: Event) -> dict[str, str | None]:
    """The ids of a state's task. The execution's whole input travels: one of another version may hold less."""
    return {
        "session_id": event["session_id"],
        "asset_id": event.get("asset_id"),
        "execution": event["execution"],
        "correlation_id": known_correlation_id((event.get("input") or {}).get("correlation_id")),
    }


def of_upload(event: Event) -> dict[str, str | None]:
    """The ids in an object's key (``uploads/<session>/<asset>/file``, ``inbox/<session>/<name>``), and the event's."""
    _, session_id, asset_id = (*event["detail"]["object"]["key"].split("/"), "", "")[:3]
    return {
        "event_id": event.get("id"),
        "session_id": session_id if SESSION_ID.fullmatch(session_id) else None,
        "asset_id": asset_id if ASSET_ID.fullmatch(asset_id) else None,
    }


def of_batch(_: Event) -> dict[str, str | None]:
    """A batch has no ids of its own: its records' stand in the lines about them."""
    return {}


def of_schedule(event: Event) -> dict[str, str | None]:
    """The id of a tick of the clock."""
    return {"event_id": event.get("id")}


def of_detail(detail: Mapping[str, Any]) -> dict[str, str]:
    """The ids in the detail of an event of ours."""
    return {name: detail[name] for name in ("session_id", "asset_id") if name in detail}


def session_created(session_id: str, correlation_id: str | None) -> None:
    """Logs a session's first line, and adds its ids to the lines that follow."""
    logger.append_keys(session_id=session_id, correlation_id=correlation_id)
    logger.info("session created")


def report(error: LikenessError) -> None:
    """Logs an error's facts and counts what an operator must know of."""
    upstream = error.upstream_code if isinstance(error, UpstreamError) else None
    level = logger.info if isinstance(error, RequestError) else logger.warning
    level("refused", extra={"code": error.code, "status": error.status, "upstream_code": upstream})
    # Not by the code alone: a proxy's page with 402 says nothing of our account.
    if isinstance(error, UpstreamRefused) and upstream in ACCOUNT_REFUSALS:
        metrics.measure(Metric.CRUN_ACCOUNT_REFUSED)


@contextmanager
def reported() -> Iterator[None]:
    """Reports a LikenessError that is raised within, and lets it go on."""
    try:
        yield
    except LikenessError as error:
        report(error)
        raise


def report_unexpected(error: Exception, **ids: str | None) -> None:
    """Logs where a fault of ours was raised, not what it said: its words may quote a token, a URL or a name."""
    places = [f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_tb(error.__traceback__)]
    logger.error("unexpected", extra={"error": type(error).__name__, "places": places, **ids})


def report_of_session(error: Exception, session_id: str) -> None:
    """Logs what went wrong with one of many sessions: a known error's facts, or where an unknown one was raised."""
    with logger.append_context_keys(session_id=session_id):
        if isinstance(error, LikenessError):
            report(error)
        else:
            report_unexpected(error)
