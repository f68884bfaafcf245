"""The deployment from GitHub may change only its stack and stage, and cannot create a role beyond the boundary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.roles import deployed
from tests.template.test_gradual import REVISION, _transformed
from tests.template_file import ROOT, TEMPLATE, read

ACCOUNT = "123456789012"
ROLES: dict[str, Any] = read(ROOT / "ops/github_role.yaml")["Resources"]
SERVICES = ("apigateway", "codedeploy", "lambda", "states")
#: The ARNs of the stack's resources, which have the stack's name or only the logical id.
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:eu-west-1:{account}:table/{stack}-{id}-1A2B",
    "AWS::Lambda::Function": "arn:aws:lambda:eu-west-1:{account}:function:{stack}-{id}-1A2B",
    "AWS::S3::Bucket": "arn:aws:s3:::{stack}-{lower}-1a2b",
    "AWS::SQS::Queue": "arn:aws:sqs:eu-west-1:{account}:{stack}-{id}-1A2B",
    "AWS::Events::EventBus": "arn:aws:events:eu-west-1:{account}:event-bus/{stack}-events",
    "AWS::Events::Rule": "arn:aws:events:eu-west-1:{account}:rule/{stack}-{id}-1A2B",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{stack}-{id}-1A2B",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:eu-west-1:{account}:secret:{id}-1A2B-3C",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:eu-west-1:{account}:stateMachine:{id}-1A2B",
}
#: Permissions in the resources' schemas that this template does not need.
_NOT_USED = re.compile(
    "(amplify|apprunner|appsync|bedrock-agentcore|cognito-idp|ec2|elasticfilesystem|elasticloadbalancing|firehose|kinesis"
    "|s3files|s3tables):.+|s3:(REST|GetObject$|GetObjectVersion$|GetObjectMetadata).*|iam:(ListRoles|PassRole"
    "|CreateServiceLinkedRole|.*Boundary|CreateRole|PutRolePolicy|AttachRolePolicy)|.+:List(Tables|Functions|Queues"
    "|Buses|EventBuses|AllMyBuckets|StateMachines|Secrets|Rules)|lambda:(PassCapacityProvider|GetCodeSigningConfig)"
)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gradual"])
def resources(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The resources that CloudFormation creates."""
    return _transformed(REVISION) if request.param else deployed(TEMPLATE)


class Policies:
    """Evaluates the policies of ``ops/github_role.yaml`` for one stack, by IAM's rules: a Deny takes precedence."""

    def __init__(self, stack: str, environment: str = "dev") -> None:
        self.stack = stack
        self._given = {
            "StackName": stack, "Environment": environment, "AWS::Partition": "aws", "AWS::Region": "eu-west-1",
            "AWS::AccountId": ACCOUNT, "AWS::StackName": f"{stack}-github",
        }  # fmt: skip

    def arn(self, logical_id: str) -> str:
        """Returns the ARN of a resource of the role's own stack, likeness-dev-github."""
        kind = "policy" if ROLES[logical_id]["Type"] == "AWS::IAM::ManagedPolicy" else "role"
        return f"arn:aws:iam::{ACCOUNT}:{kind}/{self.stack}-github-{logical_id}-1A2B"

    def stack_role(self) -> list[dict[str, Any]]:
        """Returns the statements of the role that CloudFormation uses."""
        limits = ROLES["Limits"]["Properties"]
        assert limits["Roles"] == [{"Ref": "StackRole"}]
        own = ROLES["StackRole"]["Properties"]
        assert "ManagedPolicyArns" not in own
        return [each for policy in (*own["Policies"], limits) for each in policy["PolicyDocument"]["Statement"]]

    def boundary(self) -> list[dict[str, Any]]:
        """Returns the statements of the boundary."""
        statements: list[dict[str, Any]] = ROLES["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
        return statements

    def allow(self, statements: list[dict[str, Any]], action: str, resource: str, **context: str) -> bool:
        """Returns whether ``action`` is allowed on ``resource``. ``context``: condition keys, with __ for a colon."""
        found = {
            each["Effect"]
            for each in statements
            if self._matches(each["Action"], action, lower=True)
            and self._matches(each["Resource"], resource)
            and self._holds(each.get("Condition", {}), context)
        }
        return found == {"Allow"}

    def _matches(self, patterns: Any, value: str, *, lower: bool = False) -> bool:
        texts = [self._text(each) for each in (patterns if isinstance(patterns, list) else [patterns])]
        return any(fnmatchcase(value.lower() if lower else value, each.lower() if lower else each) for each in texts)

    def _holds(self, condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
        assert set(condition) <= {"StringEquals"}
        for key, wanted in condition.get("StringEquals", {}).items():
            texts = [self._text(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
            if context.get(key.replace(":", "__")) not in texts:
                return False
        return True

    def _text(self, node: Any) -> str:
        if isinstance(node, str):
            return node
        ((function, value),) = node.items()
        if function == "Fn::Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda match: self._given[match[1]], value)
        name = value[0] if isinstance(value, list) else value.partition(".")[0]
        return self._given.get(name) or self.arn(name)


def _arns(resources: Mapping[str, Any], stack: str) -> dict[str, str]:
    return {
        name: ARNS[each["Type"]].format(account=ACCOUNT, stack=stack, id=name, lower=name.lower())
        for name, each in resources.items()
        if each["Type"] in ARNS
    }


def _handlers(kind: str) -> set[str]:
    """Returns the permissions that CloudFormation needs to create, read, update and delete a resource of a type."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    return {each for verb, its in handlers.items() if verb != "list" for each in its.get("permissions", [])}


def test_cloudformation_may_do_what_the_stack_s_resources_need(resources: dict[str, Any]) -> None:
    """Each permission is allowed on everything, or on the stack's resources of its service."""
    policies = Policies("likeness-dev")
    named = {arn for kind, arn in ARNS.items() if any(each["Type"] == kind for each in resources.values())}
    own = [each.format(account=ACCOUNT, stack=policies.stack, id="Thing", lower="thing") for each in named]
    own += [
        each.replace("Thing", name)
        for each in own
        for name in ("CrunApiKeySecret", "SigningKeySecret", "OnboardPerson")
    ]
    missing = {
        (kind, action)
        for kind in {each["Type"] for each in resources.values()}
        for action in _handlers(kind)
        if not _NOT_USED.fullmatch(action)
        and not any(
            policies.allow(policies.stack_role(), action, resource)
            for resource in ("*", *(each for each in own if each.split(":")[2] == action.split(":")[0].lower()))
        )
    }
    assert missing == set()


def test_every_role_has_the_boundary_when_one_is_set(resources: dict[str, Any]) -> None:
    roles = {name: each["Properties"] for name, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    assert len(roles) > 20
    bounded = {"Fn::If": ["RolesAreBounded", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    assert [name for name, each in roles.items() if each.get("PermissionsBoundary") != bounded] == []
    assert TEMPLATE["Parameters"]["PermissionsBoundary"]["Default"] == ""
    arn = re.compile(TEMPLATE["Parameters"]["PermissionsBoundary"]["AllowedPattern"])
    assert arn.fullmatch("")
    assert arn.fullmatch(Policies("likeness-dev").arn("Boundary"))
    assert not arn.fullmatch(Policies("likeness-dev").arn("StackRole"))


@pytest.mark.parametrize("stack", ["likeness-dev", "likeness"])
def test_the_boundary_allows_everything_that_the_roles_are_granted(resources: dict[str, Any], stack: str) -> None:
    policies, arns = Policies(stack), _arns(resources, stack)
    refused, seen = set(), 0
    for each in resources.values():
        if each["Type"] == "AWS::IAM::Role":
            for action, resource in _granted(each["Properties"], arns):
                seen += 1
                if not policies.allow(policies.boundary(), action, resource):
                    refused.add((action, resource))
    assert refused == set()
    assert seen > 100


def _granted(role: Mapping[str, Any], arns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yields each action of a role with a resource for which it is granted, including AWS's managed policies."""
    for policy in role.get("ManagedPolicyArns", []):
        yield from ((each, "*") for each in _MANAGED[str(policy).rpartition("/")[2].rstrip("'}")])
    for policy in role.get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]:
                listed = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
                yield from ((action, _resolved(each, arns)) for each in listed)


#: The AWS managed policies that the stack uses (docs.aws.amazon.com/aws-managed-policy/latest/reference).
_LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
_READ_LOGS = ["logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"]
_MANAGED = {
    "AWSLambdaBasicExecutionRole": _LOGS,
    "AmazonAPIGatewayPushToCloudWatchLogs": [*_LOGS, *_READ_LOGS],
    "AWSCodeDeployRoleForLambda": ["cloudwatch:DescribeAlarms"],
}


def _resolved(resource: Any, arns: Mapping[str, str]) -> str:
    if isinstance(resource, str):
        return resource
    ((function, value),) = resource.items()
    if function == "Fn::Sub":
        made = re.sub(r"\$\{(\w+)\.(?:Arn|Name)\}", lambda match: arns[match[1]], value)
        if "stateMachine:" in made:  # …:execution:${OnboardPerson.Name}:*
            return f"arn:aws:states:eu-west-1:{ACCOUNT}:execution:{made.rpartition('stateMachine:')[2]}"
        return made
    name, _, attribute = (".".join(value) if isinstance(value, list) else value).partition(".")
    base = name.removesuffix("Aliaslive")  # an alias is a function with a qualifier
    return arns[base] + (":live" if base != name else "/stream/2026" if attribute == "StreamArn" else "")


def test_a_role_is_created_and_changed_only_with_the_boundary() -> None:
    policies = Policies("likeness-dev")
    statements, boundary = policies.stack_role(), policies.arn("Boundary")
    role = f"arn:aws:iam::{ACCOUNT}:role/likeness-dev-NewFunctionRole-1A2B"
    for action in ("CreateRole", "AttachRolePolicy", "PutRolePolicy", "PutRolePermissionsBoundary"):
        assert policies.allow(statements, f"iam:{action}", role, iam__PermissionsBoundary=boundary)
        assert not policies.allow(statements, f"iam:{action}", role)
        other = f"arn:aws:iam::{ACCOUNT}:policy/mine"
        assert not policies.allow(statements, f"iam:{action}", role, iam__PermissionsBoundary=other)
    assert not policies.allow(statements, "iam:DeleteRolePermissionsBoundary", role)
    for action in ("CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicy"):
        assert not policies.allow(statements, f"iam:{action}", boundary)
    assert not policies.allow(statements, "iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/likeness-dev-me")


def test_a_role_is_passed_only_to_the_services_of_the_stack(resources: dict[str, Any]) -> None:
    policies = Policies("likeness-dev")
    role = f"arn:aws:iam::{ACCOUNT}:role/likeness-dev-NewFunctionRole-1A2B"
    services = {f"{each}.amazonaws.com" for each in SERVICES}
    roles = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::IAM::Role"]
    trusted = set(
        re.findall(r"[a-z]+\.amazonaws\.com", json.dumps([each["AssumeRolePolicyDocument"] for each in roles]))
    )
    assert trusted <= services
    for each in services:
        assert policies.allow(policies.stack_role(), "iam:PassRole", role, iam__PassedToService=each)
    for each in ("ec2.amazonaws.com", "cloudformation.amazonaws.com"):
        assert not policies.allow(policies.stack_role(), "iam:PassRole", role, iam__PassedToService=each)


@pytest.mark.parametrize("stack", ["likeness-dev", "likeness"])
def test_its_own_roles_and_the_boundary_cannot_be_changed(stack: str) -> None:
    policies = Policies(stack)
    given = {"iam__PermissionsBoundary": policies.arn("Boundary"), "iam__PassedToService": "lambda.amazonaws.com"}
    for name in ("StackRole", "DeployRole", "Boundary"):
        for action in ("PutRolePolicy", "UpdateAssumeRolePolicy", "PassRole", "DeleteRole", "CreatePolicyVersion"):
            assert not policies.allow(policies.stack_role(), f"iam:{action}", policies.arn(name), **given)


@pytest.mark.parametrize(("stack", "other"), [("likeness", "likeness-dev"), ("likeness-dev", "likeness"),
                                              ("likeness-prod", "likeness-dev"), ("a-dev", "a-prod")])  # fmt: skip
def test_a_stage_has_no_access_to_another_stage(stack: str, other: str) -> None:
    policies = Policies(stack)
    given = {"iam__PermissionsBoundary": policies.arn("Boundary"), "iam__PassedToService": "lambda.amazonaws.com"}
    actions = {"AWS::IAM::Role": ["iam:PutRolePolicy", "iam:PassRole", "iam:DeleteRole", "iam:CreateRole"]}
    by_name = {kind: arn for kind, arn in ARNS.items() if "{stack}" in arn}
    assert len(by_name) == 7
    for kind, arn in by_name.items():
        resource = arn.format(account=ACCOUNT, stack=other, id="Thing", lower="thing")
        service = arn.split(":")[2]
        for action in actions.get(kind, [f"{service}:GetItem", f"{service}:InvokeFunction", f"{service}:PutEvents"]):
            assert not policies.allow(policies.stack_role(), action, resource, **given), resource
            assert not policies.allow(policies.boundary(), action, resource, **given), resource


def test_the_boundary_allows_no_action_of_iam() -> None:
    policies = Policies("likeness-dev")
    for action in (
        "iam:PutRolePolicy",
        "iam:PassRole",
        "sts:AssumeRole",
        "cloudformation:UpdateStack",
        "iam:CreateUser",
    ):
        role = f"arn:aws:iam::{ACCOUNT}:role/likeness-dev-AuthorizeFunctionRole-1A2B"
        assert not policies.allow(policies.boundary(), action, role, iam__PassedToService="lambda.amazonaws.com")


def test_the_role_of_production_has_no_access_to_the_table() -> None:
    assert "dynamodb" not in str(ROLES["DeployRole"])
    others = {
        name: each for name, each in ROLES.items() if {"Ref": "DeployRole"} in each["Properties"].get("Roles", [])
    }
    assert {name: each["Condition"] for name, each in others.items()} == {"ClientKeys": "IsTestedFromOutside"}
