"""Reads CloudFormation templates as Python values: ``!GetAtt x`` becomes ``{"Fn::GetAtt": "x"}``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, Node, ScalarNode, SequenceNode
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

ROOT = Path(__file__).resolve().parent.parent

Template = Mapping[str, Any]


class _Constructor(SafeConstructor):
    """Reads the short forms of CloudFormation's functions as their long ones."""


def _short_form(constructor: Any, suffix: str, node: Node) -> dict[str, Any]:
    if isinstance(node, ScalarNode):
        value: Any = constructor.construct_scalar(node)
    elif isinstance(node, SequenceNode):
        value = constructor.construct_sequence(node, deep=True)
    else:
        value = constructor.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Constructor.add_multi_constructor("!", _short_form)


def parse_template(text: str) -> Template:
    """Returns the template in ``text``, YAML or JSON. Raises ValueError when it is not a template."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        found = yaml.load(text)
    except YAMLError as exc:
        raise ValueError("the template cannot be read") from exc
    if not isinstance(found, dict) or "Resources" not in found:
        raise ValueError("the template has no resources")
    return found


@functools.cache
def product_template() -> Template:
    """Returns template.yaml of this checkout."""
    return parse_template((ROOT / "template.yaml").read_text())


def deployed_template(cloudformation: Any, stack_name: str) -> Template:
    """Returns the template of a stack's deployment, before transforms.

    ``stack_name`` may be the id of a deleted stack. Raises ClientError, or ValueError when the template cannot be read.
    """
    body = cloudformation.get_template(StackName=stack_name, TemplateStage="Original")["TemplateBody"]
    return parse_template(body) if isinstance(body, str) else dict(body)
