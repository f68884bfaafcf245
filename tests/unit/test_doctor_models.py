"""The doctor compares crun's schema of a model with the limits that Likeness checks."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.domain.generation_models import GENERATION_MODELS, Field, Files, Flag, GenerationModel, OneOf, Text, Whole
from likeness.domain.media.types import AssetType
from ops.doctor.models import differences, find_schema, unknown_fields

MODEL = GenerationModel(
    {
        "prompt": Text(5000),
        "duration": Whole(4, 15),
        "resolution": OneOf(("480p", "720p")),
        "audio": Flag(),
        "img_urls": Files(AssetType.IMAGE, 2),
    },
    2,
)
SAME: dict[str, Any] = {
    "prompt": {"type": "string", "maxLength": 5000},
    "duration": {"type": "integer", "minimum": 4, "maximum": 15},
    "resolution": {"enum": ["720p", "480p"]},
    "audio": {"type": "boolean"},
    "img_urls": {"type": "array", "maxItems": 2},
}


def schema(**changes: Any) -> dict[str, Any]:
    return {"properties": SAME | changes}


def test_equal_limits_agree_in_any_order() -> None:
    assert list(differences(MODEL, schema())) == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"prompt": {"maxLength": 2000}}, "prompt: maxLength 5000 here, 2000 at crun"),
        ({"duration": {"minimum": 4, "maximum": 30}}, "duration: maximum 15 here, 30 at crun"),
        ({"resolution": {"enum": ["480p", "720p", "4k"]}}, "resolution: enum 2 values here, 3 values at crun"),
        ({"resolution": {"const": "480p"}}, "resolution: enum 2 values here, 1 values at crun"),
        ({"img_urls": {"anyOf": [{"maxItems": 3}, {"type": "null"}]}}, "img_urls: maxItems 2 here, 3 at crun"),
    ],
)
def test_a_different_limit_is_named_with_both_values(changes: dict[str, Any], difference: str) -> None:
    assert list(differences(MODEL, schema(**changes))) == [difference]


def test_a_reference_into_the_schema_is_followed() -> None:
    whole = schema(prompt={"$ref": "#/$defs/Prompt"}) | {"$defs": {"Prompt": {"maxLength": 10}}}
    assert list(differences(MODEL, whole)) == ["prompt: maxLength 5000 here, 10 at crun"]


@pytest.mark.parametrize(
    "odd",
    [None, [], "x", 5, {}, {"maxLength": "5000"}, {"maxLength": True}, {"enum": "abc"}, {"enum": [1, None]},
     {"$ref": "#/$defs/Missing"}, {"anyOf": "x"}, {"anyOf": [{"maxLength": 1}, {"maxLength": 2}]}],
    ids=str,
)  # fmt: skip
def test_what_crun_does_not_state_is_not_compared(odd: object) -> None:
    for name in SAME:
        assert list(differences(MODEL, schema(**{name: odd}))) == []


def test_fields_of_one_side_alone_are_named() -> None:
    found = schema(seed={"type": "integer"})
    del found["properties"]["audio"]
    assert list(differences(MODEL, found)) == ["audio: not at crun"]
    assert unknown_fields(MODEL, found) == ["seed"]


def test_a_schema_is_found_wherever_it_is_in_the_data() -> None:
    for data in (schema(), {"input_schema": schema()}, {"model": {"name": "x", "input": schema()}}):
        assert find_schema(data) == schema()
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": {"e": {"f": schema()}}}}}}
    others: list[object] = [None, [], {"properties": []}, deep]
    for other in others:
        assert find_schema(other) is None


def test_every_kind_of_field_of_the_shipped_models_is_compared() -> None:
    kinds = {type(each) for model in GENERATION_MODELS.values() for each in model.fields.values()}
    assert kinds <= set(Field.__args__)
    for model in GENERATION_MODELS.values():
        other = {"maxLength": 1, "maximum": 1, "maxItems": 0, "enum": ["x"]}
        stated = {"properties": dict.fromkeys(model.fields, other)}
        compared = {each.partition(":")[0] for each in differences(model, stated)}
        assert compared == {name for name, each in model.fields.items() if not isinstance(each, Flag)}
