"""What the template promises, read from the template, the state machine and the code themselves."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from likeness.steps.look_up_result import LEASE_SECONDS
from tests.template_file import ASL, RESOURCES, ROOT, TEMPLATE

FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}

#: Actions without resource-level permissions; nothing else may name every resource.
WILDCARDS_ALLOWED = {"LogDelivery"}


def _states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every state of the machine and of its Map states."""
    found = dict(machine["States"])
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            found |= _states(state["ItemProcessor"])
    return found


def _followers(state: dict[str, Any]) -> set[str]:
    choices = state.get("Choices", []) + state.get("Catch", [])
    return {each["Next"] for each in choices} | {state[key] for key in ("Next", "Default") if key in state}


def test_the_contract_of_parameters_and_outputs() -> None:
    assert set(TEMPLATE["Parameters"]) == {
        "CrunBaseUrl", "CrunApiKey", "PublicBaseUrl", "PythonRuntime", "Architecture", "LinkCheckDelaySeconds",
        "PollFirstDelaySeconds", "PollBackoffRate", "PollMaxDelaySeconds", "PollDeadlineSeconds", "UploadRetentionDays",
        "MaxAttemptsPerSession", "CrunRequestsPer10s", "LogLevel",
    }  # fmt: skip
    assert set(TEMPLATE["Outputs"]) == {
        "ApiUrl", "RestApiId", "TableName", "UploadBucketName", "OnboardingQueueUrl", "OnboardingDeadLetterQueueUrl",
        "StateMachineArn", "EventBusName", "CrunApiKeySecretArn",
    }  # fmt: skip
    defaults = {name: each.get("Default") for name, each in TEMPLATE["Parameters"].items()}
    assert defaults["LinkCheckDelaySeconds"] == 330
    assert (defaults["PythonRuntime"], defaults["Architecture"]) == ("python3.13", "arm64")
    assert TEMPLATE["Parameters"]["CrunApiKey"]["NoEcho"] is True


@pytest.mark.parametrize("machine", [ASL, ASL["States"]["SubmitAssets"]["ItemProcessor"]], ids=["machine", "map"])
def test_every_state_can_be_reached_and_every_target_exists(machine: dict[str, Any]) -> None:
    states = machine["States"]
    reached, todo = set(), {machine["StartAt"]}
    while todo:
        name = todo.pop()
        assert name in states, name
        reached.add(name)
        todo |= _followers(states[name]) - reached
    assert reached == set(states)


def test_every_task_is_bounded_retried_and_caught() -> None:
    assert ASL["TimeoutSeconds"] <= 14 * 86_400
    for name, state in _states(ASL).items():
        if state["Type"] != "Task":
            continue
        assert 0 < state["TimeoutSeconds"] < 120, name
        assert state["Catch"], name
        last = state["Retry"][-1]
        assert last["JitterStrategy"] == "FULL", name
        assert {"MaxDelaySeconds", "MaxAttempts", "BackoffRate"} <= set(last), name
        assert set(last["ErrorEquals"]) >= {"States.TaskFailed"} or last["ErrorEquals"] == ["States.ALL"], name


def test_task_timeouts_are_longer_than_their_functions() -> None:
    for name, state in _states(ASL).items():
        arn = state.get("Parameters", {}).get("FunctionName")
        if not isinstance(arn, str):
            continue
        function = FUNCTIONS[arn.removeprefix("${").removesuffix("Arn}")]
        assert function["Timeout"] < state["TimeoutSeconds"], name


def test_a_lookups_lease_outlives_the_function_that_holds_it() -> None:
    assert FUNCTIONS["LookUpResultFunction"]["Timeout"] < LEASE_SECONDS


def test_the_machines_substitutions_are_those_of_the_template() -> None:
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(ASL)))
    assert used == set(RESOURCES["OnboardPerson"]["Properties"]["DefinitionSubstitutions"])


def test_no_secret_travels_through_the_machine() -> None:
    text = json.dumps(ASL).lower()
    assert not {word for word in ("byted_token", "asset_url", "h5_link", "api_key") if word in text}


def _statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []):
            document = policy.get("PolicyDocument", policy) if isinstance(policy, dict) else {}
            found += [(name, each) for each in document.get("Statement", [])]
    return found


def test_no_policy_is_wider_than_it_must_be() -> None:
    statements = _statements()
    assert len(statements) > 20
    for name, statement in statements:
        if statement.get("Sid") in WILDCARDS_ALLOWED:
            continue
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in resources, (name, statement)
        for action in statement["Action"]:
            assert "*" not in action, (name, action)


def _names_read(module: Path) -> set[str]:
    """The settings that a module's code names: arguments of text() and number()."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called in ("text", "number", "_secret"):
                found.add(str(node.args[0].value))
    return found


def _settings_of(function: str) -> set[str]:
    """What functions/<function>/app.py reads, itself and through its maker in bootstrap."""
    source = ROOT / "layers/likeness/likeness/runtime/bootstrap.py"
    makers = {node.name: node for node in ast.parse(source.read_text()).body if isinstance(node, ast.FunctionDef)}
    found, seen, todo = _names_read(ROOT / "functions" / function / "app.py"), set(), {function}
    while todo:
        name = todo.pop()
        if name not in makers or name in seen:
            continue
        seen.add(name)
        for node in ast.walk(makers[name]):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "id", "")
            todo.add(called)
            if called in ("text", "number", "_secret") and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_each_function_gets_the_settings_it_reads_and_no_other(name: str) -> None:
    folder = FUNCTIONS[name]["CodeUri"].removeprefix("functions/")
    given = set(FUNCTIONS[name].get("Environment", {}).get("Variables", {}))
    assert given == _settings_of(folder)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_one_name_runs_through_everything(name: str) -> None:
    folder = FUNCTIONS[name]["CodeUri"].removeprefix("functions/")
    assert "".join(part.capitalize() for part in folder.split("_")) + "Function" == name
    assert [file.name for file in (ROOT / "functions" / folder).glob("*.py")] == ["app.py"]
    assert (ROOT / "events" / f"{folder}.json").is_file()
    assert RESOURCES[f"{name}Logs"]["Properties"]["RetentionInDays"] > 0


def test_the_queue_waits_six_times_as_long_as_its_consumer_may_run() -> None:
    visibility = RESOURCES["OnboardingQueue"]["Properties"]["VisibilityTimeout"]
    assert visibility >= 6 * FUNCTIONS["StartOnboardingFunction"]["Timeout"]
    (event,) = FUNCTIONS["StartOnboardingFunction"]["Events"].values()
    assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_alarms_point_at_things_that_exist() -> None:
    alarms = {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert len(alarms) >= 3
    metrics = (ROOT / "layers/likeness/likeness/runtime/logging.py").read_text()
    for name, alarm in alarms.items():
        (dimension,) = alarm["Dimensions"]
        if alarm["Namespace"] == "Likeness":
            assert f'"{alarm["MetricName"]}"' in metrics, name
            # Powertools puts the service into every metric's dimensions.
            expected = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
            assert (dimension["Name"], dimension["Value"]) == ("service", expected), name
            continue
        target = dimension["Value"].get("Ref") or dimension["Value"]["Fn::GetAtt"].split(".")[0]
        kind = {"AWS/SQS": "AWS::SQS::Queue", "AWS/States": "AWS::Serverless::StateMachine"}[alarm["Namespace"]]
        assert RESOURCES[target]["Type"] == kind, name


def test_what_holds_faces_is_private_versioned_and_encrypted() -> None:
    bucket = RESOURCES["UploadBucket"]["Properties"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    table = RESOURCES["Table"]["Properties"]
    assert table["SSESpecification"]["SSEEnabled"] is True
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    (index,) = table["GlobalSecondaryIndexes"]
    assert "attempts" not in index["Projection"]["NonKeyAttributes"], "byted tokens stay out of the index"
    access_log = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"]
    assert not {"$context.path", "querystring", "$context.identity"} & set(access_log.split('"'))
    logging = RESOURCES["OnboardPerson"]["Properties"]["Logging"]
    assert logging["IncludeExecutionData"] is False
