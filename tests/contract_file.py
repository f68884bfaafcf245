"""The contract of the HTTP API as Python values, for tests that compare something with it."""

from __future__ import annotations

from typing import Any

from build_openapi import read

#: The document as the API serves it.
CONTRACT: dict[str, Any] = read()
SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]
EXAMPLES: dict[str, Any] = CONTRACT["components"]["examples"]
_SHARED = tuple(f"#/components/{each}/" for each in ("parameters", "headers", "responses"))


def resolved(reference: str) -> Any:
    """Returns the target of a ``$ref``. Raises KeyError when it does not exist."""
    found: Any = CONTRACT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _inlined(node: Any) -> Any:
    if isinstance(node, list):
        return [_inlined(each) for each in node]
    if not isinstance(node, dict):
        return node
    if str(node.get("$ref", "")).startswith(_SHARED):
        return _inlined(resolved(node["$ref"]))
    return {name: _inlined(each) for name, each in node.items()}


#: The operations by path and method. Shared parameters, headers and responses are inlined.
PATHS: dict[str, dict[str, Any]] = _inlined(CONTRACT["paths"])
