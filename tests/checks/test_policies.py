"""parliament finds nothing in the policies of the roles, and finds the mistakes in changed copies of them.

Part of ``make check``, which installs parliament and sets its path (``PARLIAMENT``). moto creates the roles of the
transformed template, so that each policy has complete ARNs.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.aws import isolated_aws_environment
from tests.moto_stack import inline_policies, moto_stack
from tests.template_file import ROOT

Policy = dict[str, Any]
#: Actions for which parliament's finding is wrong, with the reason.
MISTAKEN = {
    "states:DescribeExecution": "the ARN of an execution is enough: it also requires one of an Express workflow",
    # The label in the stream's ARN has colons, which parliament reads as separators of the ARN.
    "dynamodb:DescribeStream": "the stream's ARN matches",
    "dynamodb:GetRecords": "the stream's ARN matches",
    "dynamodb:GetShardIterator": "the stream's ARN matches",
    "dynamodb:ListStreams": "AWS's examples use the stream's ARN",
}

#: What the role of a deployment is reported for, and why that is intended. A service is allowed as a whole on the names
#: of one stack (`dynamodb:*`), so parliament lists the actions that know no such names.
OF_WHOLE_SERVICES = {
    "RESOURCE_MISMATCH",
    "RESOURCE_STAR",
    "MISMATCHED_TYPE_BUT_USABLE",  # AWS' own examples compare iam:PermissionsBoundary by StringEquals
}

MISTAKES: dict[str, tuple[Callable[[Policy], Any], str]] = {
    "an action that does not exist": (lambda policy: policy.update(Action=["dynamodb:FetchItem"]), "UNKNOWN_ACTION"),
    "a service that does not exist": (lambda policy: policy.update(Action=["dynamo:GetItem"]), "UNKNOWN_PREFIX"),
    "an action on another service's resource": (
        lambda policy: policy.update(Action=["sqs:SendMessage"]),
        "RESOURCE_MISMATCH",
    ),
    "a resource that is not an ARN": (lambda policy: policy.update(Resource="likeness-Table"), "INVALID_ARN"),
    "a condition on a key that the action does not have": (
        lambda policy: policy.update(Condition={"StringEquals": {"s3:prefix": "inbox"}}),
        "UNKNOWN_CONDITION_FOR_ACTION",
    ),
}


def _issues(policies: Mapping[str, Policy], folder: Path) -> dict[str, set[str]]:
    """Runs parliament once for all policies. Returns its findings by policy, as "issue detail"."""
    names = {}
    for index, (name, policy) in enumerate(policies.items()):
        file = folder / f"{index}.json"
        # A policy without variables has the same meaning with and without a version (another test checks for them).
        file.write_text(json.dumps({"Version": "2012-10-17"} | policy))
        names[str(file)] = name
    parliament = Path(os.environ.get("PARLIAMENT", ROOT / ".venv-checkov/bin/parliament")).absolute()
    command = [str(parliament), "--directory", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    found: dict[str, set[str]] = {}
    for finding in map(json.loads, done.stdout.splitlines()):
        if not _is_mistaken(finding):
            text = f"{finding['issue']} {finding['detail']}"
            found.setdefault(names[finding["location"]["filepath"]], set()).add(text)
    assert found or "Traceback" not in done.stderr, done.stderr
    return found


def _is_mistaken(finding: Mapping[str, Any]) -> bool:
    actions = [each["action"] for each in finding["detail"]] if finding["issue"] == "RESOURCE_MISMATCH" else []
    return bool(actions) and set(actions) <= set(MISTAKEN)


@pytest.fixture(scope="module")
def policies() -> dict[str, Policy]:
    with moto_stack():
        found = inline_policies()
    assert len(found) > 20
    return found


def test_nothing_is_found_in_the_roles_of_the_stack(policies: dict[str, Policy], tmp_path: Path) -> None:
    assert _issues(policies, tmp_path) == {}


def test_no_policy_needs_a_version(policies: dict[str, Policy]) -> None:
    assert "${" not in json.dumps([each for each in policies.values() if "Version" not in each])


def test_nothing_is_found_in_the_roles_of_a_deployment(tmp_path: Path) -> None:
    provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    names = {"Repository": "you/likeness", "Environment": "prod", "StackName": "likeness"}
    parameters = names | {"ProviderArn": provider}  # moto's CloudFormation does not create one
    with isolated_aws_environment(), mock_aws():
        boto3.client("cloudformation").create_stack(
            StackName="github",
            TemplateBody=(ROOT / "ops/github_role.yaml").read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        found = inline_policies()
    assert len(found) >= 2
    text = json.dumps(found)
    assert ":aws:transform/" in text
    # parliament requires a number as the account, but a transform is in the account "aws".
    owned = json.loads(text.replace(":aws:transform/", ":123456789012:transform/"))
    found_issues = {each for issues in _issues(owned, tmp_path).values() for each in issues}
    assert {each for each in found_issues if each.partition(" ")[0] not in OF_WHOLE_SERVICES} == set()


def test_a_mistake_is_found(policies: dict[str, Policy], tmp_path: Path) -> None:
    (sound,) = (each for name, each in policies.items() if "AuthorizeFunction" in name)
    broken = {}
    for name, (spoil, _) in MISTAKES.items():
        broken[name] = copy.deepcopy(sound)
        spoil(broken[name]["Statement"][0])
    found = _issues(broken, tmp_path)
    assert {name: [each.split()[0] for each in issues] for name, issues in found.items()} == {
        name: [issue] for name, (_, issue) in MISTAKES.items()
    }
