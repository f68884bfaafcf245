"""Structured logs of facts: ids, codes, durations. Never events, URLs, tokens, names or faces."""

from __future__ import annotations

import traceback

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from likeness.errors import ACCOUNT_REFUSALS, LikenessError, RequestError, UpstreamError

#: One logger for a function; POWERTOOLS_SERVICE_NAME and LOG_LEVEL come from the template.
logger = Logger(log_uncaught_exceptions=False)


#: crun refused our key, credits or feature: somebody has to act (docs/operations.md).
ACCOUNT_REFUSED = "CrunAccountRefused"


def count(name: str) -> None:
    """Adds one to metric ``name`` of namespace POWERTOOLS_METRICS_NAMESPACE by an EMF log line."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1):
        pass  # written when the block ends


#: An asset that was active and that crun has lost.
ASSET_LOST = "AssetLost"
#: The credits left at crun.
CREDITS_LEFT = "CrunCreditsLeft"


def gauge(name: str, value: float) -> None:
    """Sets metric ``name`` of namespace POWERTOOLS_METRICS_NAMESPACE to ``value`` by an EMF log line."""
    with single_metric(name=name, unit=MetricUnit.NoUnit, value=value):
        pass  # written when the block ends


def report(error: LikenessError) -> None:
    """Logs an error's facts and counts what an operator must know of."""
    upstream = error.upstream_code if isinstance(error, UpstreamError) else None
    level = logger.info if isinstance(error, RequestError) else logger.warning
    level("refused", extra={"code": error.code, "status": error.status, "upstream_code": upstream})
    if upstream in ACCOUNT_REFUSALS:
        count(ACCOUNT_REFUSED)


def report_unexpected(error: Exception, request_id: str | None) -> None:
    """Logs where a fault of ours was raised, not what it said: its words may quote a token, a URL or a name."""
    places = [f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_tb(error.__traceback__)]
    logger.error("unexpected", extra={"error": type(error).__name__, "places": places, "request_id": request_id})
