"""The template of a gradual deployment, as SAM transforms it: callers, and dependencies between resources."""

from __future__ import annotations

import io
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

import pytest
from ruamel.yaml import YAML

from ops.gradual import gradual, new_revision
from tests.roles import deployed, parsed
from tests.template_file import ROOT

REVISION = "r12a1"


def _transformed(revision: str) -> dict[str, dict[str, Any]]:
    """Returns the resources that CloudFormation receives."""
    yaml, text = YAML(), io.StringIO()
    yaml.dump(gradual(yaml.load(ROOT / "template.yaml"), revision), text)
    return deployed(parsed(text.getvalue()))


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    return _transformed(REVISION)


def _functions(resources: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Function"]


def _mentions(node: Any) -> Iterator[str]:
    """Yields the resources that ``node`` refers to."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.partition(".")[0]
            elif key == "Fn::Sub":
                text = value[0] if isinstance(value, list) else value
                yield from (part.partition("}")[0].partition(".")[0] for part in text.split("${")[1:])
                yield from _mentions(value[1:] if isinstance(value, list) else None)
            else:
                yield from _mentions(value)
    elif isinstance(node, list):
        for each in node:
            yield from _mentions(each)


def test_every_function_has_an_alias_that_codedeploy_updates(resources: dict[str, dict[str, Any]]) -> None:
    for name in _functions(resources):
        alias = resources[f"{name}Aliaslive"]
        policy = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": f"{name}DeploymentGroup"}
        group = resources[f"{name}DeploymentGroup"]["Properties"]
        assert group["AlarmConfiguration"] == {"Enabled": True, "Alarms": [{"Name": {"Ref": f"{name}RolloutAlarm"}}]}
        assert group["AutoRollbackConfiguration"]["Enabled"]
        assert "Canary10Percent5Minutes" in str(group["DeploymentConfigName"])
        (dimension,) = resources[f"{name}RolloutAlarm"]["Properties"]["Dimensions"]
        assert dimension == {"Name": "FunctionName", "Value": {"Ref": name}}


def test_every_caller_uses_the_alias_of_a_function(resources: dict[str, dict[str, Any]]) -> None:
    functions = set(_functions(resources))
    watching = ("AWS::CloudWatch::Alarm", "AWS::Lambda::Version", "AWS::Lambda::Alias", "AWS::CloudWatch::Dashboard")
    aside = (*watching, "AWS::Lambda::Permission", "AWS::Lambda::EventInvokeConfig", "AWS::CodeDeploy::DeploymentGroup")
    for name, each in resources.items():
        if name in ("OnboardPersonRole", "MakeGenerationRole"):
            continue  # running executions may still call functions (see below)
        if each["Type"] not in aside:
            assert not functions & set(_mentions(each.get("Properties"))), f"{name} calls $LATEST"
        if each["Type"] == "AWS::Lambda::Permission":
            assert "Alias" in str(each["Properties"]["FunctionName"]), name
        if each["Type"] == "AWS::Lambda::EventInvokeConfig":
            assert each["Properties"]["Qualifier"] == "live", name


def test_resources_have_no_circular_dependencies(resources: dict[str, dict[str, Any]]) -> None:
    waits_for = {
        name: set(_mentions([each.get("Properties"), each.get("UpdatePolicy")])) & set(resources)
        for name, each in resources.items()
    }
    assert len(list(TopologicalSorter(waits_for).static_order())) == len(resources)


def test_only_a_new_revision_is_a_new_version(resources: dict[str, dict[str, Any]]) -> None:
    def versions(found: dict[str, dict[str, Any]]) -> set[str]:
        return {name for name, each in found.items() if each["Type"] == "AWS::Lambda::Version"}

    assert versions(_transformed(REVISION)) == versions(resources)
    assert not versions(_transformed("off")) & versions(resources)  # YAML reads some words as other types
    assert len(versions(resources)) == len(_functions(resources))


def test_a_gradual_template_has_no_additional_parameters() -> None:
    """`sam deploy` uses the last deployment's value for a missing parameter: the old revision."""
    plain, made = (YAML().load(ROOT / "template.yaml") for _ in range(2))
    assert set(gradual(made, REVISION)["Parameters"]) == set(plain["Parameters"])


@pytest.mark.parametrize("revision", ["", "r12-a1", "r1234567890", "a b"])
def test_a_revision_that_sam_would_truncate_or_refuse_is_refused(revision: str) -> None:
    with pytest.raises(ValueError, match="revision"):
        gradual(YAML().load(ROOT / "template.yaml"), revision)


def test_a_build_without_a_given_revision_has_a_new_one() -> None:
    first, second = new_revision(1_800_000_000.0), new_revision(1_800_000_001.0)
    assert first != second
    for each in (first, second):
        gradual(YAML().load(ROOT / "template.yaml"), each)


@pytest.mark.parametrize(("machine", "tasks"), [("OnboardPerson", 4), ("MakeGeneration", 3)])
def test_earlier_executions_may_call_the_functions_that_they_started_with(
    resources: dict[str, dict[str, Any]], machine: str, tasks: int
) -> None:
    """The role is the same with and without gradual deployments: it allows functions and their aliases."""
    plain = deployed(parsed((ROOT / "template.yaml").read_text()))
    assert resources[f"{machine}Role"] == plain[f"{machine}Role"]
    (policy,) = resources[f"{machine}Role"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    (invoked,) = [each["Resource"] for each in statements if each["Action"] == ["lambda:InvokeFunction"]]
    called = [value["Fn::GetAtt"][0] for value in _arns(plain[machine])]
    assert len(called) == tasks
    wanted = [{"Fn::GetAtt": [name, "Arn"]} for name in called]
    assert invoked == [*wanted, *({"Fn::Sub": f"${{{name}.Arn}}:live"} for name in called)]
    aliases = [value["Ref"] for value in _arns(resources[machine])]
    assert {resources[each]["Properties"]["Name"] for each in aliases} == {"live"}


def _arns(machine: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the ARNs that the state machine calls."""
    given = machine["Properties"]["DefinitionSubstitutions"]
    return [value for name, value in given.items() if name.endswith("FunctionArn")]


def test_the_workflow_builds_a_new_revision_in_each_run() -> None:
    workflows = ROOT / ".github/workflows"
    build = 'make build-gradual "REVISION=r${GITHUB_RUN_NUMBER}a${GITHUB_RUN_ATTEMPT}"'
    assert build in (workflows / "deploy.yml").read_text()
    assert "Revision" not in (workflows / "stage.yml").read_text()
