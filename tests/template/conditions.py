"""Evaluates the template's conditions as CloudFormation does, and finds references to conditional resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.template_file import TEMPLATE

CONDITIONS: dict[str, Any] = TEMPLATE["Conditions"]


def holds(condition: str | None, parameters: Mapping[str, Any]) -> bool:
    """Returns whether the named condition is true for these parameters. None is always true."""
    return condition is None or _value(CONDITIONS[condition], parameters)


def _value(node: Any, parameters: Mapping[str, Any]) -> Any:
    if not isinstance(node, dict):
        return node
    ((function, argument),) = node.items()
    if function == "Ref":
        return parameters[argument]
    if function in ("Condition", "Fn::Condition"):
        return holds(argument, parameters)
    values = [_value(each, parameters) for each in argument]
    if function == "Fn::Equals":
        return str(values[0]) == str(values[1])
    return {"Fn::Not": lambda: not values[0], "Fn::And": lambda: all(values), "Fn::Or": lambda: any(values)}[function]()


def implied(condition: str) -> set[str]:
    """Returns the conditions that are true whenever this one is, including itself."""
    parts = CONDITIONS[condition].get("Fn::And", []) if condition in CONDITIONS else []
    named = [name for each in parts for key, name in each.items() if key in ("Condition", "Fn::Condition")]
    return {condition}.union(*map(implied, named))


def references(node: Any, under: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the names that ``node`` refers to, each with the conditions that must be true for the reference."""
    if isinstance(node, list):
        for each in node:
            yield from references(each, under)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value, under
            elif key == "Fn::GetAtt":
                yield (value if isinstance(value, str) else value[0]).partition(".")[0], under
            elif key == "Fn::If":
                yield from references(value[1], (*under, value[0]))
                yield from references(value[2], under)
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from ((name.partition(".")[0], under) for name in re.findall(r"\$\{([^!}]+)\}", text))
                yield from references([] if isinstance(value, str) else value[1], under)
            else:
                yield from references(value, under)
