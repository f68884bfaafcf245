"""Checks an account and a region before a deployment. It changes nothing and spends no credits.

Each check yields findings. When the caller lacks a permission, or AWS does not respond, the finding is *unknown*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import botocore.exceptions

from ops.doctor.judge import amount_of, code_of, envelope_of
from ops.doctor.transport import Budget, Call, NoAnswer, OutOfTime, Transport
from ops.stack import described
from ops.template import Template

#: With fewer concurrent runs, one page and its calls can exhaust the account. New accounts have 10.
ENOUGH_RUNS = 100
_CRUN_SECONDS = 20.0
#: The form of crun's keys: ``ak_`` and 32 characters.
_KEY_PREFIX, _KEY_LENGTH = "ak_", 35
#: A free, read-only call of each service that needs no resource, by the service's name in boto3.
PROBES: dict[str, tuple[str, dict[str, Any]]] = {
    "apigateway": ("get_account", {}),
    "cloudformation": ("list_stacks", {"StackStatusFilter": ["CREATE_IN_PROGRESS"]}),
    "cloudwatch": ("describe_alarms", {"MaxRecords": 1}),
    "dynamodb": ("list_tables", {"Limit": 1}),
    "events": ("list_event_buses", {"Limit": 1}),
    "iam": ("list_roles", {"MaxItems": 1}),
    "kms": ("list_keys", {"Limit": 1}),
    "lambda": ("list_functions", {"MaxItems": 1}),
    "logs": ("describe_log_groups", {"limit": 1}),
    "s3": ("list_buckets", {}),
    "secretsmanager": ("list_secrets", {"MaxResults": 1}),
    "sns": ("list_topics", {}),
    "sqs": ("list_queues", {"MaxResults": 1}),
    "stepfunctions": ("list_state_machines", {"maxResults": 1}),
}
#: AWS's errors in a region or for a service that the account has not enabled.
_NOT_HERE = ("OptInRequired", "SubscriptionRequiredException", "InvalidClientTokenId", "UnrecognizedClientException")
_DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation")
_IN_USE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
#: The actions that deploy and remove a stack, by an example of their resource. {p} is the partition, {r} the region,
#: {a} the account, {s} the stack's name.
ACTIONS: dict[str, tuple[str, ...]] = {
    "arn:{p}:cloudformation:{r}:{a}:stack/{s}/preflight": (
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet",
    ),
    "arn:{p}:iam::{a}:role/{s}-preflight": (
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:PassRole",
        "iam:PutRolePolicy",
    ),
    "arn:{p}:lambda:{r}:{a}:function:{s}-preflight": (
        "lambda:AddPermission",
        "lambda:CreateFunction",
        "lambda:DeleteFunction",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
    ),
    "arn:{p}:lambda:{r}:{a}:layer:preflight": ("lambda:PublishLayerVersion",),
    "arn:{p}:apigateway:{r}::/restapis": ("apigateway:POST",),
    "arn:{p}:apigateway:{r}::/account": ("apigateway:PATCH",),
    "arn:{p}:dynamodb:{r}:{a}:table/{s}-Table-preflight": (
        "dynamodb:CreateTable",
        "dynamodb:DeleteTable",
        "dynamodb:UpdateContinuousBackups",
        "dynamodb:UpdateTimeToLive",
    ),
    "arn:{p}:s3:::{s}-uploadbucket-preflight": (
        "s3:CreateBucket",
        "s3:PutBucketPolicy",
        "s3:PutBucketVersioning",
        "s3:PutLifecycleConfiguration",
    ),
    "arn:{p}:sqs:{r}:{a}:{s}-preflight": ("sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes"),
    "arn:{p}:sns:{r}:{a}:{s}-preflight": ("sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes"),
    "arn:{p}:states:{r}:{a}:stateMachine:preflight": ("states:CreateStateMachine", "states:DeleteStateMachine"),
    "arn:{p}:events:{r}:{a}:event-bus/{s}-events": ("events:CreateEventBus", "events:DeleteEventBus"),
    "arn:{p}:events:{r}:{a}:rule/{s}-preflight": ("events:PutRule", "events:PutTargets"),
    "arn:{p}:logs:{r}:{a}:log-group:{s}-preflight": ("logs:CreateLogGroup", "logs:PutRetentionPolicy"),
    "arn:{p}:secretsmanager:{r}:{a}:secret:preflight": ("secretsmanager:CreateSecret", "secretsmanager:DeleteSecret"),
    "arn:{p}:cloudwatch:{r}:{a}:alarm:{s}-preflight": ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    "arn:{p}:cloudwatch::{a}:dashboard/{s}-{r}": ("cloudwatch:PutDashboard",),
    "*": ("cloudformation:GetTemplateSummary", "kms:CreateKey"),
}


class Verdict(StrEnum):
    """The meaning of a finding for a deployment. ``NOTE`` is for information."""

    READY = "ready"
    NOTE = "note"
    TO_DO = "to do"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """The result of a check, and what to do about it."""

    check: str
    verdict: Verdict
    found: str
    do: str = ""


@dataclass(frozen=True)
class Account:
    """The place of a deployment: a factory of clients, the caller, and the principal whose permissions are checked."""

    client: Callable[[str], Any]
    region: str
    number: str
    caller: str
    principal: str
    stack_name: str
    template: Template

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self.caller.split(":")[1]

    def filled(self, text: str) -> str:
        """Returns ``text`` with its placeholders for partition, region, account and stack filled in."""
        return text.format(p=self.partition, r=self.region, a=self.number, s=self.stack_name)

    def stack(self) -> dict[str, Any] | None:
        """Returns the stack's description, or None when there is none."""
        return described(self.client("cloudformation"), self.stack_name)


def exit_code(findings: Sequence[Finding]) -> int:
    """Returns 0 when everything is ready, 1 when there is something to do, 2 when something could not be checked."""
    verdicts = {each.verdict for each in findings}
    if Verdict.TO_DO in verdicts:
        return 1
    return 2 if Verdict.UNKNOWN in verdicts else 0


def check_account(account: Account) -> Iterator[Finding]:
    """Yields the findings of all checks of the account."""
    checks: dict[str, Callable[[Account], Iterator[Finding]]] = {
        "services": services,
        "runtime": runtime,
        "concurrency": concurrency,
        "log role": log_role,
        "stack": stack,
        "names": names,
        "quotas": quotas,
        "permissions": permissions,
    }
    for name, check in checks.items():
        try:
            yield from check(account)
        except botocore.exceptions.ClientError as exc:
            denied = exc.response["Error"]["Code"] in _DENIED
            found = f"the caller may not call {exc.operation_name}" if denied else str(exc)
            yield Finding(name, Verdict.UNKNOWN, found, "allow it for this check" if denied else "try again")
        except botocore.exceptions.BotoCoreError as exc:
            yield Finding(name, Verdict.UNKNOWN, str(exc), "try again")


def services(account: Account) -> Iterator[Finding]:
    """Checks whether every service of the template responds in the region."""
    missing = [service for service, probe in PROBES.items() if not _answers(account, service, *probe)]
    if missing:
        yield Finding(
            "services",
            Verdict.TO_DO,
            f"no response in {account.region} from {', '.join(missing)}",
            "enable the region for the account, choose another region, or check this machine's network",
        )
    else:
        yield Finding("services", Verdict.READY, f"all {len(PROBES)} respond in {account.region}")


def _answers(account: Account, service: str, operation: str, parameters: dict[str, Any]) -> bool:
    try:
        getattr(account.client(service), operation)(**parameters)
    except botocore.exceptions.ClientError as exc:
        # A refusal is a response; another check is for permissions.
        return exc.response["Error"]["Code"] not in _NOT_HERE
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.EndpointConnectionError):
        return False
    return True


def runtime(account: Account) -> Iterator[Finding]:
    """Checks whether Lambda has the template's runtime there: it rejects ListLayers for an unknown runtime."""
    parameters = account.template["Parameters"]
    wanted, processor = (parameters[name]["Default"] for name in ("PythonRuntime", "Architecture"))
    try:
        account.client("lambda").list_layers(CompatibleRuntime=wanted, CompatibleArchitecture=processor, MaxItems=1)
    except botocore.exceptions.ClientError as exc:
        if exc.response["Error"]["Code"] not in ("InvalidParameterValueException", "ValidationException"):
            raise
        do = "choose a region that has it"
        yield Finding("runtime", Verdict.TO_DO, f"Lambda does not have {wanted} on {processor} here", do)
    else:
        yield Finding("runtime", Verdict.READY, f"{wanted} on {processor}")


def concurrency(account: Account) -> Iterator[Finding]:
    """Checks how many concurrent runs of functions the account allows."""
    limit = account.client("lambda").get_account_settings()["AccountLimit"]
    runs, free = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    found = f"{runs:,} concurrent runs" + (f", {free:,} of them unreserved" if free < runs else "")
    if free >= ENOUGH_RUNS:
        yield Finding("concurrency", Verdict.READY, found)
        return
    do = (
        "request more (free, takes hours to days): aws service-quotas request-service-quota-increase "
        f"--service-code lambda --quota-code L-B99A9384 --desired-value 1000 --region {account.region}"
    )
    if free < runs and runs >= ENOUGH_RUNS:
        do = "reduce the reservations of other functions"
    yield Finding("concurrency", Verdict.TO_DO, found, do)


def log_role(account: Account) -> Iterator[Finding]:
    """Checks API Gateway's role for logs, of which an account has one in each region, and which the stack sets."""
    role = account.client("apigateway").get_account().get("cloudwatchRoleArn", "")
    name = role.rpartition("/")[2]
    if not role or name.startswith(f"{account.stack_name}-ApiGatewayLogRole"):
        yield Finding("log role", Verdict.READY, name or "none yet: the stack sets one")
        return
    do = "if it is managed elsewhere: remove ApiGatewayAccount and ApiGatewayLogRole from the template"
    yield Finding("log role", Verdict.NOTE, f"{name}, which the stack replaces with its own", do)


def stack(account: Account) -> Iterator[Finding]:
    """Checks whether the stack's name is free or its stack can be upgraded, and whether an old stage is left."""
    found = account.stack()
    if found is None:
        yield Finding("stack", Verdict.READY, f"{account.stack_name} is free")
        return
    status, outputs = (
        found["StackStatus"],
        {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
    )
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"):
        do = f"aws cloudformation delete-stack --stack-name {account.stack_name}"
        yield Finding("stack", Verdict.TO_DO, f"{account.stack_name} is in {status}", do)
    elif status.endswith("_IN_PROGRESS"):
        yield Finding("stack", Verdict.TO_DO, f"{account.stack_name} is in {status}", "wait until that has finished")
    elif status not in _IN_USE:
        do = f"aws cloudformation continue-update-rollback --stack-name {account.stack_name}"
        yield Finding("stack", Verdict.TO_DO, f"{account.stack_name} is in {status}", do)
    elif "TableName" not in outputs:
        do = "choose another --stack-name"
        yield Finding("stack", Verdict.TO_DO, f"{account.stack_name} is not a Likeness stack", do)
    else:
        yield Finding("stack", Verdict.NOTE, f"{account.stack_name} exists: a deployment upgrades it")
        yield from _implicit_stage(account, outputs["RestApiId"])


def _implicit_stage(account: Account, api: str) -> Iterator[Finding]:
    """Checks for the stage ``Stage`` that SAM created in older versions, without throttle, firewall, log or alarm."""
    stages = account.client("apigateway").get_stages(restApiId=api)["item"]
    if any(each["stageName"] == "Stage" for each in stages):
        do = f"after the upgrade: aws apigateway delete-stage --rest-api-id {api} --stage-name Stage"
        yield Finding("stage Stage", Verdict.TO_DO, "an older version's second stage serves every route", do)


def names(account: Account) -> Iterator[Finding]:
    """Checks whether the names that the stack needs are free, and whether an earlier stack has left its inventory."""
    if account.stack() is not None:
        return
    taken = [what for what in _wanted_names(account) if _is_taken(account, *what)]
    for kind, name in taken:
        do = "delete or rename it, or choose another --stack-name"
        yield Finding("names", Verdict.TO_DO, f"the {kind} {name} already exists", do)
    if not taken:
        yield Finding("names", Verdict.READY, "all names that the stack needs are free")
    kept = _left_tables(account)
    if kept:
        do = "its sessions are not in a new stack: docs/operations.md, The inventory"
        yield Finding("names", Verdict.NOTE, f"an earlier stack has left the table {', '.join(kept)}", do)


def _wanted_names(account: Account) -> Iterator[tuple[str, str]]:
    """Yields kind and name of each resource that the template names explicitly."""
    properties = {
        "AWS::CloudWatch::Dashboard": ("dashboard", "DashboardName"),
        "AWS::Events::EventBus": ("event bus", "Name"),
        "AWS::Logs::LogGroup": ("log group", "LogGroupName"),
    }
    for each in account.template["Resources"].values():
        kind, name = properties.get(each["Type"], ("", ""))
        if name in each["Properties"]:
            found: str = each["Properties"][name]["Fn::Sub"]
            found = found.replace("${AWS::StackName}", account.stack_name).replace("${AWS::Region}", account.region)
            yield kind, found


def _is_taken(account: Account, kind: str, name: str) -> bool:
    if kind == "dashboard":
        found = account.client("cloudwatch").list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
        return any(each["DashboardName"] == name for each in found)
    if kind == "event bus":
        found = account.client("events").list_event_buses(NamePrefix=name)["EventBuses"]
        return any(each["Name"] == name for each in found)
    found = account.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return any(each["logGroupName"] == name for each in found)


def _left_tables(account: Account) -> list[str]:
    pages = account.client("dynamodb").get_paginator("list_tables").paginate()
    # CloudFormation's names consist of the stack's name, the logical id, and a random part.
    return [name for page in pages for name in page["TableNames"] if name.startswith(f"{account.stack_name}-Table-")]


def quotas(account: Account) -> Iterator[Finding]:
    """Checks the quotas for what the template creates: roles, topics, keys and code."""
    resources = account.template["Resources"].values()
    kinds = [each["Type"] for each in resources]
    roles = kinds.count("AWS::IAM::Role") + kinds.count("AWS::Serverless::Function")
    summary = account.client("iam").get_account_summary()["SummaryMap"]
    yield _room("roles (IAM)", summary["Roles"], summary["RolesQuota"], roles)
    settings = account.client("lambda").get_account_settings()
    used, most = settings["AccountUsage"]["TotalCodeSize"], settings["AccountLimit"]["TotalCodeSize"]
    yield _room("code (Lambda), MB", used >> 20, most >> 20, 100)
    for name, service, quota, default, kind, operation, key in (
        ("topics (SNS)", "sns", "L-61103206", 100_000, "AWS::SNS::Topic", "list_topics", "Topics"),
        ("keys (KMS)", "kms", "L-C2F1777E", 100_000, "AWS::KMS::Key", "list_keys", "Keys"),
    ):
        pages = account.client(service).get_paginator(operation).paginate()
        count = sum(len(page[key]) for page in pages)
        yield _room(name, count, _quota(account, service, quota, default), kinds.count(kind))


def _quota(account: Account, service: str, code: str, default: int) -> int:
    """Returns a quota of the account; AWS's default where it cannot be read."""
    try:
        found = account.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return default
    return int(found["Quota"]["Value"])


def _room(what: str, used: int, most: int, needed: int) -> Finding:
    found = f"{what}: {used:,} of {most:,}, the stack needs {needed}"
    if used + needed <= most:
        return Finding("quotas", Verdict.READY, found)
    return Finding(
        "quotas", Verdict.TO_DO, found, "request a higher quota (Service Quotas), or delete unused resources"
    )


def permissions(account: Account) -> Iterator[Finding]:
    """Checks the permissions of the principal for a deployment and a removal, with IAM's policy simulator."""
    if account.principal.endswith(":root"):
        do = "deploy with a role that is assumed temporarily"
        yield Finding("permissions", Verdict.NOTE, "the root user has all permissions", do)
        return
    iam = account.client("iam")
    denied: list[str] = []
    unsure: list[str] = []
    for resource, actions in ACTIONS.items():
        answer = iam.simulate_principal_policy(
            PolicySourceArn=account.principal,
            ActionNames=list(actions),
            ResourceArns=[account.filled(resource)],
            ContextEntries=[
                {
                    "ContextKeyName": "aws:RequestedRegion",
                    "ContextKeyValues": [account.region],
                    "ContextKeyType": "string",
                }
            ],
        )
        for each in answer["EvaluationResults"]:
            if each["EvalDecision"] != "allowed":
                (unsure if each.get("MissingContextValues") else denied).append(each["EvalActionName"])
    who = account.principal.rpartition(":")[2]
    if denied:
        do = "allow it, or deploy with another role (ops/github_role.yaml creates one)"
        yield Finding("permissions", Verdict.TO_DO, f"{who} may not: {', '.join(denied)}", do)
    elif unsure:
        do = "check the conditions of its policies"
        yield Finding("permissions", Verdict.UNKNOWN, f"{who}: depends on conditions: {', '.join(unsure)}", do)
    else:
        count = sum(map(len, ACTIONS.values()))
        yield Finding("permissions", Verdict.READY, f"{who} has all {count} permissions")


def principal_of(caller: str, iam: Any) -> str:
    """Returns the ARN whose policies apply to a caller: that of the assumed role, or the caller's own.

    ``iam`` is a client, because the ARN of a role's session lacks the role's path.
    """
    kind, _, rest = caller.split(":", 5)[5].partition("/")
    if kind != "assumed-role":
        return caller
    found: str = iam.get_role(RoleName=rest.partition("/")[0])["Role"]["Arn"]
    return found


def crun(base_url: str, key: str | None, variable: str) -> Iterator[Finding]:
    """Checks whether crun is reachable and accepts the key, by one free call for the balance."""
    if not key:
        do = f"read -rs {variable} && export {variable}"
        yield Finding("crun key", Verdict.TO_DO, f"{variable} is not set", do)
        return
    if key.startswith(_KEY_PREFIX) and len(key) == _KEY_LENGTH:
        yield Finding("crun key", Verdict.READY, "has the form of crun's keys")
    else:
        found = (
            f"crun's keys are {_KEY_PREFIX} and {_KEY_LENGTH - len(_KEY_PREFIX)} characters, not {len(key)} in total"
        )
        yield Finding("crun key", Verdict.NOTE, found, "check whether it was copied completely")
    try:
        answer = Transport(base_url, key, Budget(_CRUN_SECONDS)).send(Call("GET", "/account/balance"))
    except (NoAnswer, OutOfTime) as exc:
        why = str(exc) or "no response in time"
        yield Finding("crun", Verdict.UNKNOWN, f"{base_url}: {why}", "check this machine's network, or try again")
        return
    except ValueError as exc:
        yield Finding("crun", Verdict.TO_DO, str(exc), "copy the key and CrunBaseUrl again")
        return
    yield _judged(code_of(answer), amount_of(envelope_of(answer).data), base_url)


def _judged(code: int, credits_left: float | None, base_url: str) -> Finding:
    refusals = {
        401: ("does not know the key", "copy the key again from crun's console"),
        403: ("has disabled the key", "enable it in crun's console"),
        402: ("has no credits for the key", "buy credits"),
        505: ("does not offer the feature to the account", "ask crun to enable it"),
    }
    if code in refusals:
        found, do = refusals[code]
        return Finding("crun", Verdict.TO_DO, f"{base_url} {found}", do)
    if code != 200:
        return Finding(
            "crun", Verdict.UNKNOWN, f"{base_url} returns {code or 'a response that is not from crun'}", "try again"
        )
    if credits_left is not None and credits_left <= 0:
        return Finding("crun", Verdict.TO_DO, f"{base_url} accepts the key, but no credits are left", "buy credits")
    left = "" if credits_left is None else f", {credits_left:.12g} credits left"
    return Finding("crun", Verdict.READY, f"{base_url} accepts the key{left}")
