"""`python -m ops preflight`: each check by itself, on moto or on responses that match AWS's models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from ops import preflight
from ops.preflight import ACTIONS, PROBES, Account, Finding, Verdict
from ops.template import product_template
from tests.aws import isolated_aws_environment
from tests.template_file import RESOURCES

ACCOUNT = "123456789012"


def account(client: Any = boto3.client, caller: str = f"arn:aws:iam::{ACCOUNT}:user/ann") -> Account:
    return Account(client, "us-east-1", ACCOUNT, caller, caller, "likeness", product_template())


@pytest.fixture
def aws() -> Iterator[None]:
    with isolated_aws_environment(), mock_aws():
        yield


def stubbed(service: str, operation: str, answer: dict[str, Any], times: int = 1) -> Any:
    """Returns a client with a response to one operation, validated against AWS's model."""
    with isolated_aws_environment():
        client: Any = boto3.client(service)  # type: ignore[call-overload]
    stub = Stubber(client)
    for _ in range(times):
        stub.add_response(operation, answer)
    stub.activate()
    return client


@pytest.mark.parametrize(
    ("runs", "free", "verdict", "do"),
    [
        (10, 10, Verdict.TO_DO, "--quota-code L-B99A9384"),
        (1000, 1000, Verdict.READY, ""),
        (1000, 40, Verdict.TO_DO, "reduce the reservations of other functions"),
    ],
)
def test_the_concurrency_of_a_new_account_is_too_low(runs: int, free: int, verdict: Verdict, do: str) -> None:
    limit = {"AccountLimit": {"ConcurrentExecutions": runs, "UnreservedConcurrentExecutions": free}}
    client = stubbed("lambda", "get_account_settings", limit)
    (found,) = preflight.concurrency(account(lambda _: client))
    assert found.verdict is verdict
    assert do in found.do


def test_a_runtime_that_lambda_does_not_offer_in_the_region() -> None:
    with isolated_aws_environment():
        client = boto3.client("lambda")
    with Stubber(client) as stub:
        stub.add_client_error("list_layers", "ValidationException", "Member must satisfy enum value set")
        (found,) = preflight.runtime(account(lambda _: client))
    assert found.verdict is Verdict.TO_DO
    assert "does not have python3" in found.found


def test_a_denied_check_is_unknown_and_does_not_stop_the_others() -> None:
    with isolated_aws_environment():
        client = boto3.client("lambda")

    def refused(*_: Any, **__: Any) -> Any:
        with Stubber(client) as stub:
            stub.add_client_error("get_account_settings", "AccessDeniedException", "no")
            client.get_account_settings()

    findings = list(preflight.check_account(account(refused)))
    assert {each.verdict for each in findings} == {Verdict.READY, Verdict.UNKNOWN}
    assert [each.check for each in findings if each.verdict is Verdict.UNKNOWN] == [
        "runtime", "concurrency", "log role", "stack", "names", "quotas", "permissions",
    ]  # fmt: skip
    assert preflight.exit_code(findings) == 2
    assert preflight.exit_code([each for each in findings if each.verdict is Verdict.READY]) == 0


def test_a_role_that_something_else_manages_is_noted(aws: None) -> None:
    api = boto3.client("apigateway")
    for name, verdict in (("likeness-ApiGatewayLogRole-1", Verdict.READY), ("platform-logs", Verdict.NOTE)):
        role = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        api.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}])
        (found,) = preflight.log_role(account())
        assert found.verdict is verdict
        assert name in found.found


def test_an_account_at_its_quotas_has_no_room(aws: None) -> None:
    assert preflight._room("roles (IAM)", 999, 1000, 29).verdict is Verdict.TO_DO
    assert preflight._room("roles (IAM)", 971, 1000, 29).verdict is Verdict.READY
    sns = boto3.client("sns")
    for index in range(3):
        sns.create_topic(Name=f"topic-{index}")
    limits = {"AccountLimit": {"TotalCodeSize": 80 << 30}, "AccountUsage": {"TotalCodeSize": 1 << 20}}
    # moto does not support these.
    answers = {
        "lambda": stubbed("lambda", "get_account_settings", limits),
        "service-quotas": stubbed("service-quotas", "get_service_quota", {"Quota": {"Value": 3.0}}, times=2),
    }
    looked_at = account(lambda service: answers.get(service) or boto3.client(service))
    found = {each.found.partition(":")[0]: each for each in preflight.quotas(looked_at)}
    assert found["topics (SNS)"] == Finding(
        "quotas",
        Verdict.TO_DO,
        "topics (SNS): 3 of 3, the stack needs 1",
        "request a higher quota (Service Quotas), or delete unused resources",
    )


def test_the_role_of_a_session_is_used(aws: None) -> None:
    iam = boto3.client("iam")
    arn = iam.create_role(RoleName="deployer", Path="/people/", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/ann@example.com"
    assert preflight.principal_of(session, iam) == arn
    user = f"arn:aws:iam::{ACCOUNT}:user/ann"
    assert preflight.principal_of(user, iam) == user


#: The services of resource types that have other names in boto3.
_NAMES = {"serverless": {"apigateway", "lambda", "stepfunctions"}, "wafv2": set()}


def test_every_service_of_the_template_is_checked_with_its_permissions() -> None:
    kinds = {each["Type"].split("::")[1].lower() for each in RESOURCES.values()}
    services = set().union(*(_NAMES.get(each, {each}) for each in kinds)) | {"cloudformation"}
    # The firewall is optional. It is checked when it is enabled.
    assert services == PROBES.keys()
    allowed = {action.partition(":")[0] for actions in ACTIONS.values() for action in actions}
    assert allowed == {"states" if each == "stepfunctions" else each for each in services}
