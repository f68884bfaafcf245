"""Compares the limits that Likeness checks before a video with the schema that crun publishes of a model.

crun's schema is JSON Schema. Only limits that both state are compared, because crun decides about all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from likeness.domain.generation_models import Field, Files, GenerationModel, OneOf, Text, Whole

#: The deepest place of a schema in the data of a response.
_DEEPEST = 4


def find_schema(data: object, depth: int = 0) -> Mapping[str, Any] | None:
    """Returns the first schema of an object in ``data``, None when there is none."""
    if not isinstance(data, Mapping) or depth > _DEEPEST:
        return None
    if isinstance(data.get("properties"), Mapping):
        return data
    return next((found for each in data.values() if (found := find_schema(each, depth + 1))), None)


def differences(model: GenerationModel, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yields where a schema differs from the limits of ``model``: the field, our limit and crun's."""
    theirs = schema["properties"]
    for name, ours in model.fields.items():
        if name not in theirs:
            yield f"{name}: not at crun"
            continue
        found = _plain(theirs[name], schema)
        for keyword, limit in _limits(ours):
            other = _limit(found, keyword)
            if other is not None and other != limit:
                yield f"{name}: {keyword} {_shown(limit)} here, {_shown(other)} at crun"


def unknown_fields(model: GenerationModel, schema: Mapping[str, Any]) -> list[str]:
    """Returns the fields of a schema that Likeness refuses for this model."""
    return [str(name) for name in schema["properties"] if name not in model.fields]


def _limits(field: Field) -> list[tuple[str, object]]:
    """Returns what a schema would say of a field, by JSON Schema's keywords."""
    if isinstance(field, Text):
        return [("maxLength", field.most)]
    if isinstance(field, Whole):
        return [("minimum", field.least), ("maximum", field.most)]
    if isinstance(field, Files):
        return [("maxItems", field.most)]
    return [("enum", sorted(field.words))] if isinstance(field, OneOf) else []


def _limit(schema: Mapping[str, Any], keyword: str) -> object:
    """Returns a limit of a schema in a form that can be compared; None when it states none."""
    found = schema.get(keyword)
    if keyword == "enum":
        if isinstance(found, Sequence) and not isinstance(found, str) and all(isinstance(each, str) for each in found):
            return sorted(found)
        return [schema["const"]] if isinstance(schema.get("const"), str) else None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _plain(schema: object, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a field's schema without a reference into ``$defs`` and without "or null"."""
    if not isinstance(schema, Mapping):
        return {}
    given = schema.get("$ref")
    if isinstance(given, str):
        definitions = whole.get("$defs")
        found = definitions.get(given.rpartition("/")[2]) if isinstance(definitions, Mapping) else None
        return found if isinstance(found, Mapping) else {}
    for keyword in ("anyOf", "oneOf"):
        choices = schema.get(keyword)
        if isinstance(choices, Sequence):
            others = [each for each in choices if isinstance(each, Mapping) and each.get("type") != "null"]
            return others[0] if len(others) == 1 else {}
    return schema


def _shown(limit: object) -> str:
    """Returns a limit as text. An enumeration is shown by its length, since crun's words may be long."""
    return f"{len(limit)} values" if isinstance(limit, list) else str(limit)
