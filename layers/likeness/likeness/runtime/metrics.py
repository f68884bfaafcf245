"""Metrics as EMF log lines: collected while the handler runs, written when it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from likeness.domain.metrics import Metric

_Dimensions = tuple[tuple[str, str], ...]
#: The values of this invocation, by their second set of dimensions; () without one.
_measured: dict[_Dimensions, list[tuple[Metric, float]]] = {}


def measure(metric: Metric, value: float = 1, **dimensions: str) -> None:
    """Adds a value to ``metric``, and to the same metric with ``dimensions`` (few values, never an id)."""
    _measured.setdefault(tuple(dimensions.items()), []).append((metric, value))


def measure_age(metric: Metric, attributes: Mapping[str, str]) -> None:
    """Measures how long an SQS message has been in its queue; ``attributes`` are the record's."""
    sent = attributes.get("SentTimestamp")
    if sent is not None:
        measure(metric, max(0.0, round(time.time() - int(sent) / 1000, 3)))


def write(ids: Mapping[str, object]) -> None:
    """Writes the collected values: one line for each set of dimensions, with arrays of values.

    ``ids`` are metadata of the lines, not dimensions.
    """
    while _measured:
        dimensions, values = _measured.popitem()
        line = AmazonCloudWatchEMFProvider()  # namespace and service are the environment's
        if dimensions:
            line.add_dimensions(service=str(line.service), **dict(dimensions))
        for name, each in ids.items():
            line.add_metadata(name, each)
        for metric, value in values:
            line.add_metric(metric.value, metric.unit, value)  # flushes itself when a line is full
        if line.metric_set:
            line.flush_metrics()
