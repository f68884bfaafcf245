"""The stack that moto's CloudFormation creates from the transformed template, to compare with the emulator's."""

from __future__ import annotations

import ast
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID

from tests.aws import isolated_aws_environment
from tests.roles import template, transformed
from tests.template_file import MACHINES

STACK_NAME = "likeness"
REGION = "us-east-1"
#: The types that moto's CloudFormation does not support, and those of an API's stage: moto creates an API without its
#: body, and refuses to deploy an API without methods.
LEFT_OUT = {
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::Secret",
}
_SECRET = "AWS::SecretsManager::Secret"


@dataclass(frozen=True)
class MotoStack:
    """A stack in moto: the transformed template, its physical ids by logical id, and its outputs."""

    template: Mapping[str, Any]
    ids: Mapping[str, str]
    outputs: Mapping[str, str]

    def settings(self, function: str) -> dict[str, str]:
        """Returns the environment of the function with this logical id."""
        found = boto3.client("lambda").get_function(FunctionName=self.ids[function])["Configuration"]
        variables: dict[str, str] = found["Environment"]["Variables"]
        return variables

    def expected(self) -> dict[str, Mapping[str, Any]]:
        """Returns the unconditional resources that moto creates, by logical id."""
        resources = self.template["Resources"].items()
        return {name: each for name, each in resources if "Condition" not in each and each["Type"] not in LEFT_OUT}


@contextmanager
def moto_stack() -> Iterator[MotoStack]:
    """Creates the stack with the template's defaults in a separate account, which the block can query."""
    document = transformed(template())
    with isolated_aws_environment(), mock_aws():
        s3, cloudformation = boto3.client("s3"), boto3.client("cloudformation")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=_code())
        s3.put_object(Bucket="bucket", Key="template", Body=json.dumps(_loadable(document)))
        cloudformation.create_stack(
            StackName=STACK_NAME,
            TemplateURL="https://bucket.s3.amazonaws.com/template",
            Parameters=[{"ParameterKey": "CrunApiKey", "ParameterValue": "key"}],
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
        yield MotoStack(
            document,
            {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in found},
            {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
        )


def inline_policies() -> dict[str, dict[str, Any]]:
    """Returns every inline policy of every role in the account, by "role/policy", with resolved ARNs."""
    iam = boto3.client("iam")
    found = {}
    for role in (each["RoleName"] for page in iam.get_paginator("list_roles").paginate() for each in page["Roles"]):
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            found[f"{role}/{name}"] = document if isinstance(document, dict) else ast.literal_eval(document)
    return found


def _code() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", "")
    return file.getvalue()


def _loadable(document: Mapping[str, Any]) -> Any:
    """Returns ``document`` in a form that moto accepts: references to unsupported resources become names."""
    resources = document["Resources"]
    kept = {name: dict(each) for name, each in resources.items() if each["Type"] not in LEFT_OUT}
    for name, each in kept.items():
        waits_for = each.get("DependsOn", [])
        each["DependsOn"] = [one for one in ([waits_for] if isinstance(waits_for, str) else waits_for) if one in kept]
        if each["Type"] == "AWS::StepFunctions::StateMachine":
            # moto supports neither DefinitionS3Location nor DefinitionSubstitutions
            properties = dict(each["Properties"])
            del properties["DefinitionS3Location"]
            definition = {"Fn::Sub": [json.dumps(MACHINES[name]), properties.pop("DefinitionSubstitutions")]}
            each["Properties"] = properties | {"DefinitionString": definition}
        if each["Type"] == "AWS::CloudWatch::Dashboard":
            each["Properties"] = dict(each["Properties"], DashboardBody="{}")  # tests/template/test_alarms.py reads it
    return _named(dict(document, Resources=kept), {name: each["Type"] for name, each in resources.items()})


def _named(node: Any, types: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_named(each, types) for each in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((function, value),) = node.items()
        target = value[0] if isinstance(value, list) and value else value
        if function in ("Ref", "Fn::GetAtt") and isinstance(target, str) and types.get(target) in LEFT_OUT:
            name = f"{STACK_NAME}-{target}"
            return (
                f"arn:aws:secretsmanager:{REGION}:{DEFAULT_ACCOUNT_ID}:secret:{name}-AbCdEf"
                if types[target] == _SECRET
                else name
            )
        if function == "Ref" and types.get(value) == "AWS::Events::EventBus":
            return {"Fn::GetAtt": [value, "Name"]}  # moto resolves the Ref to the bus object
    return {key: _named(value, types) for key, value in node.items()}
