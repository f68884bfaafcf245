"""Evaluates alarms as CloudWatch does: periods, statistics, missing data, M out of N, metric math.

Follows the CloudWatch guide ("Using Amazon CloudWatch alarms") for what the template's alarms use. Anything else is an
error, so that no alarm seems tested without an evaluation.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: The values of one metric in each period, oldest first. An empty list is a period without data.
Series = Sequence[Sequence[float]]
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {"Maximum": max, "Minimum": min, "Sum": sum}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}


def state(alarm: Mapping[str, Any], data: Mapping[str, Series], threshold: float, before: str = "OK") -> str:
    """Returns ``OK`` or ``ALARM`` after the periods in ``data`` (by metric name); ``before`` is the previous state."""
    points = _points(alarm, data)[-alarm["EvaluationPeriods"] :]
    treatment = alarm["TreatMissingData"]
    if all(point is None for point in points) and treatment == "ignore":
        return before
    breaches = _COMPARISONS[alarm["ComparisonOperator"]]
    assert treatment in ("ignore", "notBreaching"), treatment
    breaching = sum(point is not None and breaches(point, threshold) for point in points)
    return "ALARM" if breaching >= alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) else "OK"


def _points(alarm: Mapping[str, Any], data: Mapping[str, Series]) -> list[float | None]:
    if "Metrics" not in alarm:
        return _aggregated(data[alarm["MetricName"]], alarm["Statistic"])
    stats = {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}
    assert len({each["Period"] for each in stats.values()}) == 1
    series = {name: _aggregated(data[each["Metric"]["MetricName"]], each["Stat"]) for name, each in stats.items()}
    (expression,) = [each["Expression"] for each in alarm["Metrics"] if each.get("ReturnData")]
    length = max(map(len, series.values()))
    return [evaluate(expression, {name: each[index] for name, each in series.items()}) for index in range(length)]


def _aggregated(series: Series, statistic: str) -> list[float | None]:
    return [_STATISTICS[statistic](values) if values else None for values in series]


def evaluate(expression: str, values: Mapping[str, float | None]) -> float | None:
    """Returns the value of a metric math expression at one time, or None when a metric that it needs has no data."""
    tree = ast.parse(expression.replace(" AND ", " and ").replace(" OR ", " or ").replace("IF(", "IF_("), mode="eval")
    return _value(tree.body, values)


def _value(node: ast.expr, values: Mapping[str, float | None]) -> float | None:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        assert node.func.id == "IF_", node.func.id  # FILL has no effect on a metric without any value
        condition, yes, no = (_value(each, values) for each in node.args)
        return None if condition is None else (yes if condition else no)
    if isinstance(node, ast.BoolOp):
        parts = [_value(each, values) for each in node.values]
        whole = all if isinstance(node.op, ast.And) else any
        return None if None in parts else float(whole(parts))
    assert isinstance(node, ast.Compare), ast.dump(node)
    (comparison,), left, right = node.ops, _value(node.left, values), _value(node.comparators[0], values)
    compare = {ast.GtE: operator.ge, ast.Gt: operator.gt, ast.Eq: operator.eq, ast.Lt: operator.lt}[type(comparison)]
    return None if left is None or right is None else float(compare(left, right))
