"""The permissions of the roles that SAM deploys, and the permissions that calls to AWS need.

Resources are named by their logical ids: ``Table``, ``Table/stream``, ``Table/index/ClientSessions``,
``UploadBucket/inbox/*``, ``OnboardPerson:execution:*``. A grant must equal its use: a pattern
that is wider than needed is as wrong as a missing one.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.aws import isolated_aws_environment
from tests.template_file import MACHINES, RESOURCES, ROOT

# The translator imports jsonschema, which builds grammars of international addresses for a second; no template has one.
with pytest.MonkeyPatch.context() as _without:
    _without.setitem(sys.modules, "rfc3987_syntax", None)
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

#: The types with an ARN as Ref. The Ref of any other type is a name, which allows nothing in a policy.
_REF_IS_ARN = ("AWS::SecretsManager::Secret", "AWS::Serverless::StateMachine")
_ROLE_OF = {"AWS::Lambda::Function": "Role", "AWS::StepFunctions::StateMachine": "RoleArn"}
_EXECUTIONS = re.compile(
    r"arn:\$\{AWS::Partition\}:states:\$\{AWS::Region\}:\$\{AWS::AccountId\}:execution:\$\{(\w+)\.Name\}:\*"
)
_IN_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_LOG_DELIVERY = (
    "CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies", "GetLogDelivery",
    "ListLogDeliveries", "PutResourcePolicy", "UpdateLogDelivery",
)  # fmt: skip
_READING_A_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_READING_A_STREAM = (
    "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",
)  # fmt: skip


class Permission(NamedTuple):
    """A permission of a function or state machine; ``role`` is its logical id."""

    role: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.role}: {self.action} on {self.resource}"


def template() -> dict[str, Any]:
    """Returns a new copy of the template, as SAM reads it."""
    return parsed((ROOT / "template.yaml").read_text())


def parsed(text: str) -> dict[str, Any]:
    """Returns a template as SAM reads it. SAM changes PyYAML's loader for the whole process; this undoes it."""
    before = {name: dict(getattr(yaml.SafeLoader, name)) for name in ("yaml_constructors", "yaml_multi_constructors")}
    try:
        read: dict[str, Any] = yaml_parse(text)
    finally:
        for name, constructors in before.items():
            setattr(yaml.SafeLoader, name, constructors)
    return read


def deployed(source: Mapping[str, Any], **parameters: str) -> dict[str, Any]:
    """Returns the resources that SAM generates from a template, including implicit roles."""
    resources: dict[str, Any] = transformed(source, **parameters)["Resources"]
    return resources


def transformed(source: Mapping[str, Any], **parameters: str) -> dict[str, Any]:
    """Returns the document that SAM generates from a template, with all code at s3://bucket/key."""
    document = copy.deepcopy(dict(source))
    for resource in document["Resources"].values():
        for place in ("CodeUri", "ContentUri", "DefinitionUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://bucket/key"  # what `sam package` puts there
    # The translator gets the managed policies as an argument, so it does not call AWS.
    with isolated_aws_environment():
        made: dict[str, Any] = Translator({}, Parser()).translate(document, {"CrunApiKey": "key"} | parameters)
    return made


def holders(resources: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields each function and state machine, with its role's logical id."""
    for name, resource in resources.items():
        place = _ROLE_OF.get(resource["Type"])
        if place:
            yield name, resource["Properties"][place]["Fn::GetAtt"][0]


def roles(resources: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each function and state machine, with its role's properties."""
    for name, role in holders(resources):
        yield name, resources[role]["Properties"]


def granted(resources: Mapping[str, Any]) -> list[Permission]:
    """Returns every permission of every role, with duplicates. Managed policies have a separate test."""
    found = []
    for name, role in roles(resources):
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow", name
                found += [
                    Permission(name, action, symbol(resource))
                    for action in _listed(statement["Action"])
                    for resource in _listed(statement["Resource"])
                ]
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def symbol(resource: Any) -> str:
    """Returns a policy's resource, named by its logical id."""
    if resource == "*":
        return "*"
    ((function, value),) = resource.items()
    if function == "Ref":
        assert RESOURCES[value]["Type"] in _REF_IS_ARN, value
        return str(value)
    if function == "Fn::GetAtt":
        name, attribute = value
        assert attribute in ("Arn", "StreamArn"), value
        return f"{name}/stream" if attribute == "StreamArn" else str(name)
    assert function == "Fn::Sub", resource
    executions = _EXECUTIONS.fullmatch(value)
    if executions:
        return f"{executions[1]}:execution:*"
    named = re.fullmatch(r"\$\{(\w+)\.Arn\}(/[\w/*]+|:live)", value)
    assert named, value
    return named[1] + named[2]


def used_by_the_platform(resources: Mapping[str, Any]) -> set[Permission]:
    """Returns what AWS does with a role: Lambda reads queues and streams and reports failures, Step Functions logs."""
    found = set()
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            function, source = properties["FunctionName"]["Ref"], symbol(properties["EventSourceArn"])
            actions = _READING_A_STREAM if source.endswith("/stream") else _READING_A_QUEUE
            found |= {Permission(function, action, source) for action in actions}
            if "DestinationConfig" in properties:
                queue = symbol(properties["DestinationConfig"]["OnFailure"]["Destination"])
                found.add(Permission(function, "sqs:SendMessage", queue))
        elif resource["Type"] == "AWS::Lambda::EventInvokeConfig":
            queue = symbol(properties["DestinationConfig"]["OnFailure"]["Destination"])
            found.add(Permission(properties["FunctionName"]["Ref"], "sqs:SendMessage", queue))
        elif "LoggingConfiguration" in properties and resource["Type"] == "AWS::StepFunctions::StateMachine":
            found |= {Permission(name, f"logs:{action}", "*") for action in _LOG_DELIVERY}
    return found


def used_by_the_machines(resources: Mapping[str, Any]) -> set[Permission]:
    """Returns what the states of the state machines call."""
    return {each for name in MACHINES for each in _used_by_the_machine(name, resources)}


def _used_by_the_machine(name: str, resources: Mapping[str, Any]) -> Iterator[Permission]:
    meant = resources[name]["Properties"]["DefinitionSubstitutions"]
    for state in _states(MACHINES[name]):
        if state.get("Resource") == "arn:${Partition}:states:::dynamodb:updateItem":
            placeholder, action = state["Parameters"]["TableName"], "dynamodb:UpdateItem"
        elif state.get("Resource") == "arn:${Partition}:states:::lambda:invoke":
            placeholder, action = state["Parameters"]["FunctionName"], "lambda:InvokeFunction"
        else:
            assert state["Type"] != "Task", state
            continue
        ((_, value),) = meant[placeholder.strip("${}")].items()
        called = value[0] if isinstance(value, list) else value
        yield Permission(name, action, called)
        if action == "lambda:InvokeFunction":  # for executions that started before or after a gradual deployment
            yield Permission(name, action, f"{called}:live")


def _states(machine: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for state in machine["States"].values():
        yield state
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"])


# -- what calls need ---------------------------------------------------------------------------------------------


@dataclass
class Usage:
    """The permissions that calls needed. ``names`` maps values of the functions' variables to logical ids."""

    names: Mapping[str, str]
    seen: set[Permission] = field(default_factory=set)

    def note(self, function: str, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Records a call, or the signing of a call for somebody else: S3 checks the signer's role, not the caller's."""
        role = "".join(part.capitalize() for part in function.split("_")) + "Function"
        for action, resource in _NEEDS[service](self.names, operation, parameters):
            self.seen.add(Permission(role, action, resource))

    def note_preview(self, function: str, response: Any) -> None:
        """Records the presigned URL of a preview: the signer needs to read that version."""
        if isinstance(response, dict) and "url" in response:
            url = urlsplit(response["url"])
            bucket, _, key = url.path.removeprefix("/").partition("/")
            (version,) = parse_qs(url.query)["versionId"]
            self.note(function, "s3", "GetObject", {"Bucket": bucket, "Key": key, "VersionId": version})

    def note_media(self, function: str, response: Any) -> None:
        """Records the presigned URLs of a generation's media, in our own form or in crun's."""
        data = (response.get("data") or response) if isinstance(response, dict) else {}
        result = data.get("result") or {}
        for url in [*(each["url"] for each in result.get("media", ())), *result.get("media_urls", ())]:
            bucket, _, key = urlsplit(url).path.removeprefix("/").partition("/")
            if key.startswith("generations/"):  # otherwise it is crun's
                self.note(function, "s3", "GetObject", {"Bucket": bucket, "Key": key})

    def note_forms(self, function: str, response: Any) -> None:
        """Records the upload forms in a response: the signer needs what the form's policy allows."""
        views = response.get("assets", [response]) if isinstance(response, dict) else []
        for form in filter(None, (view.get("upload") for view in views)):
            conditions = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
            bound = {name: each[name] for each in conditions if isinstance(each, dict) for name in each}
            self.note(function, "s3", "PutObject", {"Bucket": bound["bucket"], "Key": bound["key"]})


def names_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Maps the value of each variable to its resource in the template: the value of ``TABLE_NAME`` to ``Table``."""
    found = {}
    for resource in RESOURCES.values():
        environment = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        for variable, value in environment.items():
            if isinstance(value, dict) and value.get("Ref") in RESOURCES:
                found[variables[variable]] = value["Ref"]
    return found


Needs = Iterator[tuple[str, str]]


def _dynamodb(names: Mapping[str, str], operation: str, parameters: Mapping[str, Any]) -> Needs:
    if operation == "TransactWriteItems":
        for item in parameters["TransactItems"]:
            ((kind, part),) = item.items()
            yield f"dynamodb:{_IN_TRANSACTION[kind]}", names[part["TableName"]]
        return
    if operation == "BatchGetItem":
        yield from (("dynamodb:BatchGetItem", names[table]) for table in parameters["RequestItems"])
        return
    assert operation in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"), operation
    index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
    yield f"dynamodb:{operation}", names[parameters["TableName"]] + index


def _s3(names: Mapping[str, str], operation: str, parameters: Mapping[str, Any]) -> Needs:
    if operation == "ListObjectVersions":
        yield "s3:ListBucketVersions", names[parameters["Bucket"]]
        return
    assert operation in ("GetObject", "PutObject", "DeleteObject"), operation
    # A request for a version needs only the version's action (S3 API reference, GetObject).
    version = "Version" if "VersionId" in parameters else ""
    yield f"s3:{operation}{version}", f"{names[parameters['Bucket']]}/{parameters['Key'].partition('/')[0]}/*"


def _stepfunctions(names: Mapping[str, str], operation: str, parameters: Mapping[str, Any]) -> Needs:
    if operation == "StartExecution":
        yield "states:StartExecution", names[parameters["stateMachineArn"]]
        return
    assert operation in ("DescribeExecution", "GetExecutionHistory", "StopExecution"), operation
    machine = parameters["executionArn"].replace(":execution:", ":stateMachine:").rpartition(":")[0]
    yield f"states:{operation}", f"{names[machine]}:execution:*"


def _sqs(names: Mapping[str, str], operation: str, parameters: Mapping[str, Any]) -> Needs:
    yield f"sqs:{operation}", names[parameters["QueueUrl"]]


def _events(names: Mapping[str, str], operation: str, parameters: Mapping[str, Any]) -> Needs:
    yield from ((f"events:{operation}", names[entry["EventBusName"]]) for entry in parameters["Entries"])


def _secretsmanager(names: Mapping[str, str], operation: str, parameters: Mapping[str, Any]) -> Needs:
    yield f"secretsmanager:{operation}", names[parameters["SecretId"]]


_NEEDS = {
    "dynamodb": _dynamodb,
    "events": _events,
    "s3": _s3,
    "sqs": _sqs,
    "stepfunctions": _stepfunctions,
    "secretsmanager": _secretsmanager,
}
