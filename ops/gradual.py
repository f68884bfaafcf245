"""Writes the template of a gradual rollout: each function has an alias, which CodeDeploy shifts while alarms watch it.

``python -m ops.gradual > template-gradual.yaml`` adds ops/gradual.yaml to template.yaml, and changes each call of a
function to a call of its alias. This cannot be a parameter: SAM creates versions and aliases before it has parameters.

SAM publishes a version of a function only when its revision changes. The revision is written into the template and is
not a parameter, because a parameter that `sam deploy` does not get keeps its last value.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.tag import Tag

ROOT = Path(__file__).resolve().parent.parent
#: A transient error of crun or AWS sometimes raises in a task, which is retried.
_ERRORS_PER_MINUTE = 5

_yaml = YAML()
_yaml.width = 4096


def new_revision(now: float) -> str:
    """Returns a revision that is unique for each second; ``now`` is in epoch seconds."""
    return f"{int(now):x}"


def gradual(template: Any, revision: str) -> Any:
    """Puts the functions behind aliases, in place; returns ``template``, as read by ruamel.yaml.

    ``revision`` identifies this build: each deployment to a stack needs a new one. Raises ValueError unless it has one
    to ten letters and digits, because SAM appends it to a logical id.
    """
    if not re.fullmatch(r"[A-Za-z0-9]{1,10}", revision):
        raise ValueError(f"a revision is one to ten letters and digits, not {revision!r}")
    more = _yaml.load(ROOT / "ops" / "gradual.yaml")
    functions = [name for name, each in template["Resources"].items() if each["Type"] == "AWS::Serverless::Function"]
    # Roles already name functions and their aliases: a running execution calls the function that it started with.
    callers = [each for each in template["Resources"].values() if each["Type"] != "AWS::IAM::Role"]
    for reference in _references(callers):
        name, _, attribute = reference.value.partition(".")
        if attribute == "Arn" and name in functions:
            reference.yaml_set_ctag(Tag(suffix="!Ref"))
            reference.value = f"{name}.Alias"
    template["Globals"]["Function"].update(more["Globals"]["Function"])
    template["Resources"].update(more["Resources"])
    for name in functions:
        alarm = f"{name}RolloutAlarm"
        template["Resources"][name]["Properties"] |= {
            "AutoPublishCodeSha256": DoubleQuotedScalarString(revision),
            "DeploymentPreference": {"Alarms": [_short("Ref", alarm)]},
        }
        template["Resources"][alarm] = _errors_alarm(name)
    return template


def _references(node: Any) -> Iterator[TaggedScalar]:
    """Yields every !GetAtt below ``node``."""
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
    """Returns an alarm on the errors of one function, in any version.

    One alarm for all functions would be a circular dependency: some functions depend on the state machine, which
    depends on others.
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


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.gradual", description="Prints the template of a rollout.")
    parser.add_argument("revision", nargs="?", default=new_revision(time.time()), help="default: the time, in seconds")
    try:
        _yaml.dump(gradual(_yaml.load(ROOT / "template.yaml"), parser.parse_args().revision), sys.stdout)
    except ValueError as exc:
        parser.error(str(exc))


if __name__ == "__main__":
    _main()
