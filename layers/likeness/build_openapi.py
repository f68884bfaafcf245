"""Builds the OpenAPI document (JSON) from the contract's source (YAML).

Run by the layer's Makefile: ``python build_openapi.py <openapi.yaml> <openapi.json>``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).with_name("openapi.yaml")


class _Loader(yaml.CSafeLoader):
    """Loads YAML with the types of JSON, so a date is a string. Raises ValueError for duplicate keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ValueError(f"line {line}: the key {key!r} is not a string; put it in quotes")
        if key in made:
            raise ValueError(f"line {line}: the key {key!r} is a duplicate")
        made[key] = loader.construct_object(value_node, deep=True)
    return made


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read(source: Path = SOURCE) -> dict[str, Any]:
    """Returns the contract in ``source``. Raises ValueError when a key is not a string, or is a duplicate."""
    made: dict[str, Any] = yaml.load(source.read_text("utf-8"), _Loader)  # noqa: S506
    return made


def built(source: Path = SOURCE) -> str:
    """Returns the text of openapi.json."""
    return json.dumps(read(source), separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(built(Path(sys.argv[1])), "utf-8")
