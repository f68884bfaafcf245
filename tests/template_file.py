"""The template and the state machine as Python values, for every tier that builds on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as {"Fn::…": value}."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read(file: Path) -> dict[str, Any]:
    """Returns a CloudFormation template with its short forms expanded."""
    found: dict[str, Any] = yaml.load(file.read_text(), _Loader)  # noqa: S506
    return found


TEMPLATE: dict[str, Any] = read(ROOT / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
ASL: dict[str, Any] = json.loads((ROOT / "statemachine/onboard_person.asl.json").read_text())
GENERATION_ASL: dict[str, Any] = json.loads((ROOT / "statemachine/make_generation.asl.json").read_text())
#: The definition of each state machine, by its logical id.
MACHINES = {"OnboardPerson": ASL, "MakeGeneration": GENERATION_ASL}
