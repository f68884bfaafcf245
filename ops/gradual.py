"""Makes the template of a gradual rollout: each function behind an alias, moved by CodeDeploy, watched by alarms.

``python -m ops.gradual > template-gradual.yaml`` adds ops/gradual.yaml to template.yaml, and whoever called a function
calls its alias. It is no parameter of the template: SAM makes versions and aliases before parameters are known.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar
from ruamel.yaml.tag import Tag

ROOT = Path(__file__).resolve().parent.parent
#: A hiccup of crun or AWS raises in a task now and then, and is retried.
_ERRORS_PER_MINUTE = 5

_yaml = YAML()
_yaml.width = 4096


def gradual(template: Any) -> Any:
    """``template``, as ruamel.yaml reads it, changed in place: its functions behind aliases."""
    more = _yaml.load(ROOT / "ops" / "gradual.yaml")
    functions = [name for name, each in template["Resources"].items() if each["Type"] == "AWS::Serverless::Function"]
    for reference in _references(template["Resources"]):
        name, _, attribute = reference.value.partition(".")
        if attribute == "Arn" and name in functions:
            reference.yaml_set_ctag(Tag(suffix="!Ref"))
            reference.value = f"{name}.Alias"
    template["Parameters"].update(more["Parameters"])
    template["Globals"]["Function"].update(more["Globals"]["Function"])
    template["Resources"].update(more["Resources"])
    for name in functions:
        alarm = f"{name}RolloutAlarm"
        template["Resources"][name]["Properties"] |= {
            "AutoPublishCodeSha256": _short("Ref", "Revision"),
            "DeploymentPreference": {"Alarms": [_short("Ref", alarm)]},
        }
        template["Resources"][alarm] = _errors_alarm(name)
    return template


def _references(node: Any) -> Iterator[TaggedScalar]:
    """Every !GetAtt below ``node``."""
    if isinstance(node, TaggedScalar):
        if node.tag.value == "!GetAtt":
            yield node
    elif isinstance(node, dict):
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def _errors_alarm(function: str) -> dict[str, Any]:
    """The errors of one function, whatever version they came from.

    Each function has an alarm of its own: one for all would make the functions that know the state machine wait for it,
    and it for them.
    """
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": "A function fails while a new version is being tried. See docs/deploying.md.",
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [{"Name": "FunctionName", "Value": _short("Ref", function)}],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": _ERRORS_PER_MINUTE,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        },
    }


def _short(tag: str, value: str) -> TaggedScalar:
    return TaggedScalar(value=value, tag=f"!{tag}")


if __name__ == "__main__":
    _yaml.dump(gradual(_yaml.load(ROOT / "template.yaml")), sys.stdout)
