"""Requirements that a real account has and an emulator does not: transforms, partitions, stages, limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import traffic
from tests.roles import deployed, template
from tests.template_file import ASL, RESOURCES, ROOT, TEMPLATE, read

ROLE = read(ROOT / "ops/github_role.yaml")["Resources"]["DeployRole"]["Properties"]


def _values(node: Any, key: str) -> Iterator[Any]:
    """Yields the values of ``key`` at any depth of ``node``."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, each in children:
        if name == key:
            yield each
        yield from _values(each, key)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# -- the role of GitHub's jobs -------------------------------------------------------------------------------------


def test_the_deploy_role_may_use_every_transform_of_the_template() -> None:
    """A change set needs CreateChangeSet on each transform in addition to the stack."""
    included = yaml.safe_load((ROOT / "dashboard/body.yaml").read_text("utf-8"))
    embedded = [each["Name"] for each in _values([TEMPLATE, included], "Fn::Transform")]
    used = {name.removeprefix("AWS::") for name in [*_listed(TEMPLATE["Transform"]), *embedded]}
    (policy,) = ROLE["Policies"]
    allowed = {
        resource["Fn::Sub"].partition(":aws:transform/")[2]
        for statement in policy["PolicyDocument"]["Statement"]
        if "cloudformation:CreateChangeSet" in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }
    assert used == allowed - {""}
    assert len(used) == 2


# -- partitions: aws, aws-cn, aws-us-gov ---------------------------------------------------------------------------


def _deployed_files() -> list[Path]:
    folders = [ROOT / each for each in ("dashboard", "docs", "functions", "layers", "ops", "statemachine")]
    found = [file for folder in folders for file in sorted(folder.rglob("*"))]
    endings = (".json", ".md", ".py", ".yaml", ".js")
    return [ROOT / "template.yaml", ROOT / "README.md", *(each for each in found if each.suffix in endings)]


def test_no_arn_names_its_partition() -> None:
    files = _deployed_files()
    assert {ROOT / "statemachine/onboard_person.asl.json", ROOT / "ops/github_role.yaml"} < set(files)
    found = [str(each.relative_to(ROOT)) for each in files if re.search(r"arn:aws\b", each.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_state_machine_calls_the_integrations_of_its_own_partition(partition: str) -> None:
    substitutions = RESOURCES["OnboardPerson"]["Properties"]["DefinitionSubstitutions"]
    pseudo = {"AWS::Partition": partition}
    values = {name: pseudo.get(each.get("Ref"), name) for name, each in substitutions.items()}
    called = {re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], each) for each in _values(ASL, "Resource")}
    assert called == {f"arn:{partition}:states:::lambda:invoke", f"arn:{partition}:states:::dynamodb:updateItem"}


def test_the_linter_knows_every_partition() -> None:
    regions = yaml.safe_load((ROOT / ".cfnlintrc").read_text("utf-8"))["regions"]
    assert {re.sub(r"^(cn|us-gov)?.*", r"\1", each) for each in regions} == {"", "cn", "us-gov"}


# -- one stage -----------------------------------------------------------------------------------------------------


def test_the_api_has_one_stage_and_it_is_the_one_with_throttle_and_log() -> None:
    made = deployed(template())
    (stage,) = [each["Properties"] for each in made.values() if each["Type"] == "AWS::ApiGateway::Stage"]
    assert stage["StageName"] == "v1"
    assert stage["AccessLogSetting"]
    assert stage["MethodSettings"]
    named = [each["Properties"] for each in made.values() if each["Type"] == "AWS::ApiGateway::Deployment"]
    assert len(named) == 1
    assert "StageName" not in named[0], "a deployment with a stage's name creates that stage"


# -- the firewall --------------------------------------------------------------------------------------------------


def test_a_hundred_persons_behind_one_address_use_at_most_half_of_the_limit() -> None:
    rule, (stage,) = traffic.rule(), RESOURCES["Api"]["Properties"]["MethodSettings"]
    assert (rule["AggregateKeyType"], rule["EvaluationWindowSec"]) == ("IP", traffic.WINDOW_SECONDS)
    assert rule["Limit"] == 100 * traffic.REQUESTS_OF_A_PERSON
    assert rule["Limit"] <= stage["ThrottlingRateLimit"] * traffic.WINDOW_SECONDS / 2


@pytest.mark.parametrize(
    "before", ["https://a1.execute-api.eu-west-1.amazonaws.com/v1", "https://likeness.example.com"]
)
def test_only_static_pages_are_excluded_from_the_count(before: str) -> None:
    static: set[str] = set()
    others: set[str] = set()
    for name, resource in RESOURCES.items():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "Api":
                # "invite" is the value that is most likely to match by mistake
                path = re.sub(r"\{\w+\+?\}", "invite", event["Properties"]["Path"])
                page = name == "ServePagesFunction" and event["Properties"]["Method"] == "GET"
                (static if page else others).add(path)
    static.remove("/invite")
    static.add("/invite?status=processing")
    assert len(static) == 6
    assert {each for each in static if traffic.is_counted(before + each)} == set()
    assert {each for each in others if not traffic.is_counted(before + each)} == set()
    assert len(others) > 10


# -- an account with low concurrency -------------------------------------------------------------------------------


def test_every_consumer_of_a_queue_is_bounded_by_one_parameter() -> None:
    """A new account allows 10 concurrent runs; a mapping allows 2 to 1,000 (Lambda guide, "Maximum concurrency")."""
    parameter = TEMPLATE["Parameters"]["BackgroundConcurrency"]
    assert (parameter["MinValue"], parameter["MaxValue"], parameter["Default"]) == (2, 1000, 100)
    events = [event for each in RESOURCES.values() for event in each.get("Properties", {}).get("Events", {}).values()]
    readers = [event["Properties"] for event in events if event["Type"] == "SQS"]
    assert len(readers) == 2
    for each in readers:
        assert each["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "BackgroundConcurrency"}}


def test_all_background_consumers_together_leave_runs_for_people_in_a_new_account() -> None:
    smallest = TEMPLATE["Parameters"]["BackgroundConcurrency"]["MinValue"]
    mappings = [each["Properties"] for each in deployed(template()).values() if "EventSourceMapping" in each["Type"]]
    bounded = sum(smallest if "ScalingConfig" in each else each.get("ParallelizationFactor", 1) for each in mappings)
    assert bounded == 5 <= 10 / 2
