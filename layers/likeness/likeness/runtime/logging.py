"""Structured logs of facts: ids, codes, durations. Never events, URLs, tokens, names or faces."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aws_lambda_powertools import Logger

from likeness.domain.ids import ASSET_ID, GENERATION_ID, SESSION_ID, known_correlation_id
from likeness.domain.metrics import Metric
from likeness.errors import ACCOUNT_REFUSALS, LikenessError, RequestError, UpstreamError, UpstreamRefused
from likeness.runtime import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

#: The function's logger; POWERTOOLS_SERVICE_NAME and LOG_LEVEL come from the template.
logger = Logger(log_uncaught_exceptions=False)

Event = Mapping[str, Any]
#: The event and the response of a handler.
Given = TypeVar("Given", bound=Event)
Answer = TypeVar("Answer")
#: The ids that metrics share with the log lines of the same invocation.
_IDS = ("session_id", "asset_id", "generation_id", "execution", "correlation_id", "request_id", "function_request_id")
#: The new objects after which a warm process collects garbage.
_WARM_OBJECTS = 50_000


@cache
def _started() -> None:
    """Excludes everything that the start has loaded from later garbage collections, once."""
    gc.freeze()
    gc.set_threshold(_WARM_OBJECTS, 20, 20)


def observed(
    ids: Callable[[Event], Mapping[str, str | None]],
) -> Callable[[Callable[[Given, LambdaContext], Answer]], Callable[[Given, LambdaContext], Answer]]:
    """Decorates a handler with log keys and metrics.

    Each log line has Lambda's request id and the ids that ``ids`` returns for the event. Metrics are written when the
    handler ends, also after an error.
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
                _started()

        return cast("Callable[[Given, LambdaContext], Answer]", run)

    return frame


def of_request(event: Event) -> dict[str, str | None]:
    """The ids of an HTTP request: API Gateway's, and those in the path. The rest of the path is not logged."""
    path = event.get("pathParameters") or {}
    session_id, asset_id = path.get("session_id") or "", path.get("asset_id") or ""
    generation_id = path.get("generation_id") or ""
    return {
        "request_id": (event.get("requestContext") or {}).get("requestId"),
        "session_id": session_id if SESSION_ID.fullmatch(session_id) else None,
        "asset_id": asset_id if ASSET_ID.fullmatch(asset_id) else None,
        "generation_id": generation_id if GENERATION_ID.fullmatch(generation_id) else None,
    }


def of_task(event: Event) -> dict[str, str | None]:
    """The ids of a state's task. The execution's input may lack fields, because another version may have started it."""
    return {
        "session_id": event.get("session_id"),
        "asset_id": event.get("asset_id"),
        "generation_id": event.get("generation_id"),
        "execution": event["execution"],
        "correlation_id": known_correlation_id((event.get("input") or {}).get("correlation_id")),
    }


def of_upload(event: Event) -> dict[str, str | None]:
    """The event's id, and those in the key (``uploads/<session>/<asset>/file``, ``inbox/<session>/<name>``)."""
    _, session_id, asset_id = (*event["detail"]["object"]["key"].split("/"), "", "")[:3]
    return {
        "event_id": event.get("id"),
        "session_id": session_id if SESSION_ID.fullmatch(session_id) else None,
        "asset_id": asset_id if ASSET_ID.fullmatch(asset_id) else None,
    }


def of_batch(_: Event) -> dict[str, str | None]:
    """No ids for a batch: the log lines about its records have their ids."""
    return {}


def of_schedule(event: Event) -> dict[str, str | None]:
    """The id of a schedule's event."""
    return {"event_id": event.get("id")}


def of_detail(detail: Mapping[str, Any]) -> dict[str, str]:
    """The ids in the detail of one of our events."""
    return {name: detail[name] for name in ("session_id", "asset_id", "generation_id") if name in detail}


def session_created(session_id: str, correlation_id: str | None) -> None:
    """Logs the creation of a session, and adds its ids to the following lines."""
    logger.append_keys(session_id=session_id, correlation_id=correlation_id)
    logger.info("session created")


def report(error: LikenessError) -> None:
    """Logs an error's codes and counts the errors that an operator must act on."""
    upstream = error.upstream_code if isinstance(error, UpstreamError) else None
    level = logger.info if isinstance(error, RequestError) else logger.warning
    level("refused", extra={"code": error.code, "status": error.status, "upstream_code": upstream})
    # The code alone is not enough: a proxy's page with 402 does not concern our account.
    if isinstance(error, UpstreamRefused) and upstream in ACCOUNT_REFUSALS:
        metrics.measure(Metric.CRUN_ACCOUNT_REFUSED)


@contextmanager
def reported() -> Iterator[None]:
    """Reports a LikenessError that is raised in the block, and raises it again."""
    try:
        yield
    except LikenessError as error:
        report(error)
        raise


def report_unexpected(error: Exception, **ids: str | None) -> None:
    """Logs the type and place of a defect, not its message, which may contain a token, a URL or a name."""
    places = [f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_tb(error.__traceback__)]
    logger.error("unexpected", extra={"error": type(error).__name__, "places": places, **ids})


def report_of_one(error: Exception, identifier: str) -> None:
    """Logs the error of one of many sessions or generations: the codes of a LikenessError, or the place of a defect."""
    of = "generation_id" if identifier.startswith("gen_") else "session_id"
    with logger.append_context_keys(**{of: identifier}):
        if isinstance(error, LikenessError):
            report(error)
        else:
            report_unexpected(error)
