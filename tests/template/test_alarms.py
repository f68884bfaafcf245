"""Every alarm has a case with an alarm and one without, notifies the topic, and watches an existing resource."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from likeness.domain.metrics import Metric
from tests.template.alarm_math import Series, evaluate, state
from tests.template.conditions import holds
from tests.template_file import RESOURCES, ROOT, TEMPLATE

ALARMS = {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
#: AWS's metrics, by namespace: the dimension that names a resource, and the type of the resource.
_TARGETS = {
    "AWS/Lambda": ("FunctionName", "AWS::Serverless::Function"),
    "AWS/SQS": ("QueueName", "AWS::SQS::Queue"),
    "AWS/States": ("StateMachineArn", "AWS::Serverless::StateMachine"),
}


@dataclass(frozen=True)
class Case:
    """The values of one or two metrics with an alarm and without one. A list has the values of one period."""

    raised: Mapping[str, Series]
    silent: Mapping[str, Series]


def _dead_letters() -> Case:
    name = "ApproximateNumberOfMessagesVisible"
    return Case({name: [[0, 0], [0, 1, 1]]}, {name: [[0], [0, 0]]})


def _stalled() -> Case:
    name = "ApproximateNumberOfMessagesVisible"
    # No alarm for a queue that is sometimes empty.
    return Case({name: [[0, 5], [1, 5], [2, 9], [1, 3]]}, {name: [[9, 9], [0, 5], [9, 9]]})


CASES = {
    "OnboardingDeadLetterAlarm": _dead_letters(),
    "UploadDeadLetterAlarm": _dead_letters(),
    "ChangeDeadLetterAlarm": _dead_letters(),
    "WebhookDeadLetterAlarm": _dead_letters(),
    "ScheduleDeadLetterAlarm": _dead_letters(),
    "AssetsLostAlarm": Case({"AssetLost": [[], [1]]}, {"AssetLost": [[1], []]}),
    "ExecutionsFailedAlarm": Case({"ExecutionsFailed": [[], [0, 1]]}, {"ExecutionsFailed": [[0], [0]]}),
    "ExecutionsTimedOutAlarm": Case({"ExecutionsTimedOut": [[], [1]]}, {"ExecutionsTimedOut": [[0], []]}),
    "GenerationExecutionsFailedAlarm": Case({"ExecutionsFailed": [[], [0, 1]]}, {"ExecutionsFailed": [[0], [0]]}),
    "GenerationExecutionsTimedOutAlarm": Case({"ExecutionsTimedOut": [[], [1]]}, {"ExecutionsTimedOut": [[0], []]}),
    # Reconciled sessions in every quarter of an hour, not only in most of them.
    "ReconciledAlarm": Case({"Reconciled": [[1], [3], [1], [1]]}, {"Reconciled": [[9], [9], [], [9]]}),
    "CrunAccountRefusedAlarm": Case({"CrunAccountRefused": [[], [1]]}, {"CrunAccountRefused": [[1], []]}),
    "ChangesDelayedAlarm": Case({"IteratorAge": [[10, 900_001]]}, {"IteratorAge": [[10, 899_000]]}),
    # A message with a delay of 900 s has not waited too long.
    "OnboardingQueueAgeAlarm": Case(
        {"OnboardingMessageSeconds": [[1700, 1860]]}, {"OnboardingMessageSeconds": [[905, 1100]]}
    ),
    "OnboardingQueueStalledAlarm": _stalled(),
    "WebhookQueueStalledAlarm": _stalled(),
    "WebhookQueueAgeAlarm": Case({"WebhookFirstTrySeconds": [[], [1, 301]]}, {"WebhookFirstTrySeconds": [[1, 300]]}),
    "WebhookPausedAlarm": Case({"WebhookEndpointPaused": [[], [1]]}, {"WebhookEndpointPaused": [[1], []]}),
    "WebhooksInFlightAlarm": Case(
        {"ApproximateNumberOfMessagesNotVisible": [[100, 60_001]]},
        {"ApproximateNumberOfMessagesNotVisible": [[59_000, 60_000]]},
    ),
    # Two bad periods of three, not one, and not with only four errors in each.
    "ApiFailingAlarm": Case({"5XXError": [[1] * 6, [], [1] * 5]}, {"5XXError": [[1] * 4, [1] * 50, [1] * 4]}),
    "CreditsLowAlarm": Case({"CrunCreditsLeft": [[150], [99.5]]}, {"CrunCreditsLeft": [[99], [100]]}),
    "NobodyVerifiedAlarm": Case(
        {"AttemptsStarted": [[1] * 5], "SessionsVerified": [[0] * 5]},
        {"AttemptsStarted": [[1] * 50], "SessionsVerified": [[0, 1, 0]]},
    ),
}


def _threshold(alarm: Mapping[str, Any]) -> float:
    found = alarm["Threshold"]
    return float(TEMPLATE["Parameters"][found["Ref"]]["Default"] if isinstance(found, dict) else found)


def _metrics(alarm: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields namespace, name and dimensions of an alarm's metrics."""
    yield from (each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each)
    if "Metrics" not in alarm:
        yield alarm


def test_every_alarm_has_a_case() -> None:
    assert set(CASES) == set(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_raised_only_when_it_should_be(name: str) -> None:
    alarm, case = ALARMS[name], CASES[name]
    assert state(alarm, case.raised, _threshold(alarm)) == "ALARM"
    assert state(alarm, case.silent, _threshold(alarm)) == "OK"


@pytest.mark.parametrize("name", ALARMS)
def test_without_data_the_state_is_ok(name: str) -> None:
    alarm = ALARMS[name]
    nothing: dict[str, Series] = {each["MetricName"]: [[]] for each in _metrics(alarm)}
    assert state(alarm, nothing, _threshold(alarm)) == "OK"


def test_the_alarm_for_low_credits_stays_until_the_next_check() -> None:
    alarm = ALARMS["CreditsLowAlarm"]
    assert state(alarm, {"CrunCreditsLeft": [[]]}, 100, before="ALARM") == "ALARM"
    assert state(alarm, {"CrunCreditsLeft": [[5000]]}, 100, before="ALARM") == "OK"


@pytest.mark.parametrize(
    ("attempts", "verified", "raised"),
    [(5, 0, True), (4, 0, False), (None, None, False), (9, 1, False)],
)
def test_an_alarm_is_raised_for_a_day_with_attempts_but_no_success(
    attempts: float, verified: float, raised: bool
) -> None:
    (expression,) = [each["Expression"] for each in ALARMS["NobodyVerifiedAlarm"]["Metrics"] if "Expression" in each]
    assert bool(evaluate(expression, {"attempts": attempts, "verified": verified})) == raised


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_notifies_the_topic(name: str) -> None:
    assert ALARMS[name]["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert ALARMS[name].get("OKActions", [{"Ref": "AlarmTopic"}]) == [{"Ref": "AlarmTopic"}]


@pytest.mark.parametrize("name", ALARMS)
def test_the_metrics_of_an_alarm_exist(name: str) -> None:
    for metric in _metrics(ALARMS[name]):
        dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        if metric["Namespace"] == "Likeness":
            Metric(metric["MetricName"])  # raises ValueError for an unknown name
            service = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
            assert dimensions == {"service": service} == {"service": {"Ref": "AWS::StackName"}}
        elif metric["Namespace"] == "AWS/ApiGateway":
            api = RESOURCES["Api"]["Properties"]
            assert dimensions == {"ApiName": api["Name"], "Stage": api["StageName"]}
            # Only detailed metrics have dimensions for each route and method.
            assert api["MethodSettings"][0]["MetricsEnabled"] is False
        else:
            dimension, kind = _TARGETS[metric["Namespace"]]
            assert set(dimensions) == {dimension}
            value = dimensions[dimension]
            target = value.get("Ref") or value["Fn::GetAtt"].split(".")[0]
            assert RESOURCES[target]["Type"] == kind


@pytest.mark.parametrize("name", ALARMS)
def test_the_description_of_an_alarm_says_what_to_do(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|(.+)$", OPERATIONS, re.MULTILINE)
    means, look, do = (cell.strip() for cell in row.strip(" |").split(" | "))
    assert means
    assert do
    assert "`" in look, "a command, or the name of a query"


def test_an_alarm_watches_every_queue_independently_of_its_consumer() -> None:
    queues = {name for name, each in RESOURCES.items() if each["Type"] == "AWS::SQS::Queue"}
    read = {
        event["Properties"]["Queue"]["Fn::GetAtt"].split(".")[0]
        for each in RESOURCES.values()
        if each["Type"] == "AWS::Serverless::Function"
        for event in each["Properties"].get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    assert {f"{each}{what}Alarm" for each in read for what in ("Age", "Stalled")} <= set(ALARMS)
    assert {f"{each.removesuffix('Queue')}Alarm" for each in queues - read} <= set(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_no_alarm_uses_an_age_that_excludes_messages_that_were_received_often(name: str) -> None:
    assert "ApproximateAgeOfOldestMessage" not in [each["MetricName"] for each in _metrics(ALARMS[name])]


# -- notifications -------------------------------------------------------------------------------------------------


def test_cloudwatch_may_use_the_key_of_the_topic() -> None:
    topic = RESOURCES["AlarmTopic"]["Properties"]
    keyed = ["AlarmsAreMailed", {"Fn::GetAtt": "AlarmKey.Arn"}, {"Ref": "AWS::NoValue"}]
    assert topic["KmsMasterKeyId"] == {"Fn::If": keyed}
    statements = RESOURCES["AlarmKey"]["Properties"]["KeyPolicy"]["Statement"]
    (alarms,) = [each for each in statements if each["Principal"] == {"Service": "cloudwatch.amazonaws.com"}]
    assert set(alarms["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    mine = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert alarms["Condition"] == mine
    published = RESOURCES["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = [each for each in published if each["Effect"] == "Allow"]
    assert (allowed["Action"], allowed["Condition"]) == ("sns:Publish", mine)


#: Resources that need only alarms, and resources that also need an address.
_WITH_ALARMS = {*ALARMS, "AlarmTopic", "AlarmTopicPolicy"}
_WITH_AN_ADDRESS = {"AlarmSubscription", "AlarmKey"}


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({}, _WITH_ALARMS),
        ({"AlarmEmail": "you@example.com"}, _WITH_ALARMS | _WITH_AN_ADDRESS),
        ({"Alarms": "off"}, set()),
        ({"Alarms": "off", "AlarmEmail": "you@example.com"}, set()),
    ],
)
def test_alarms_their_topic_and_their_key_exist_only_when_they_are_enabled(
    given: dict[str, str], there: set[str]
) -> None:
    parameters = {name: each.get("Default") for name, each in TEMPLATE["Parameters"].items()} | given
    kinds = (
        "AWS::CloudWatch::Alarm",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SNS::Subscription",
        "AWS::KMS::Key",
    )
    found = {
        name for name, each in RESOURCES.items() if each["Type"] in kinds and holds(each.get("Condition"), parameters)
    }
    assert found == there


def test_outputs_exist_and_are_empty_without_alarms() -> None:
    output = TEMPLATE["Outputs"]["AlarmTopicArn"]
    assert "Condition" not in output
    assert output["Value"] == {"Fn::If": ["AlarmsAreOn", {"Ref": "AlarmTopic"}, ""]}


# -- the dashboard -------------------------------------------------------------------------------------------------


def _dashboard(*, alarms: bool = True) -> dict[str, Any]:
    """Returns the dashboard's body with alarms on or off."""
    ((text, parts),) = yaml.safe_load((ROOT / "dashboard/body.yaml").read_text("utf-8")).values()
    condition, on, off = parts["AlarmWidget"]["Fn::If"]
    assert condition == "AlarmsAreOn"
    found: dict[str, Any] = json.loads(text.replace("${AlarmWidget}", on["Fn::Sub"] if alarms else off))
    return found


def _shown() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yields namespace, name and dimensions of each metric on the dashboard, without searches."""
    for widget in _dashboard()["widgets"]:
        for row in widget["properties"].get("metrics", []):
            if isinstance(row[0], str):
                words = [each for each in row if isinstance(each, str)]
                yield words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True))


def test_every_name_on_the_dashboard_is_in_the_template() -> None:
    text = (ROOT / "dashboard/body.yaml").read_text("utf-8")
    for name in re.findall(r"\$\{([^!}]+)\}", text):
        assert name.startswith("AWS::") or name == "AlarmWidget" or name.split(".")[0] in RESOURCES, name


def test_the_dashboard_shows_every_metric_alarm_function_and_queue() -> None:
    text = json.dumps(_dashboard())
    for metric in Metric:
        assert metric.value in text, metric
    for alarm in ALARMS:
        assert f"${{{alarm}.Arn}}" in text, alarm
    for name, each in RESOURCES.items():
        if each["Type"] == "AWS::Serverless::Function":
            assert text.count(f"${{{name}}}") >= 3, name
        if each["Type"] == "AWS::SQS::Queue" and name.endswith("DeadLetterQueue"):
            assert f"${{{name}.QueueName}}" in text, name


def test_without_alarms_the_dashboard_shows_the_rest() -> None:
    types = [each["type"] for each in _dashboard(alarms=False)["widgets"]]
    assert types == [each["type"] for each in _dashboard()["widgets"] if each["type"] != "alarm"]
    assert "Alarm" not in json.dumps(_dashboard(alarms=False)["widgets"])


def test_the_metrics_of_the_dashboard_exist() -> None:
    for namespace, name, dimensions in _shown():
        if namespace == "Likeness":
            Metric(name)
            assert dimensions == {"service": "${AWS::StackName}"}
        elif namespace == "AWS/ApiGateway":
            assert dimensions == {"ApiName": "${AWS::StackName}", "Stage": "v1"}
        else:
            dimension, kind = _TARGETS[namespace]
            assert set(dimensions) == {dimension}
            assert RESOURCES[dimensions[dimension].strip("${}").split(".")[0]]["Type"] == kind


def test_the_metrics_of_searches_have_their_dimensions() -> None:
    rows = [row[0] for widget in _dashboard()["widgets"] for row in widget["properties"].get("metrics", [])]
    searches = [row["expression"] for row in rows if isinstance(row, dict) and "SEARCH" in row["expression"]]
    pattern = re.compile(r'\{Likeness,(.+)\} service="\$\{AWS::StackName\}" MetricName="(\w+)"')
    found = {pattern.findall(each)[0] for each in searches}
    assert found == {
        ("service,code", Metric.ATTEMPTS_FAILED.value),
        ("service,code", Metric.ASSETS_FAILED.value),
        ("service,cause", Metric.RECONCILED.value),
        ("service,call,outcome", Metric.CRUN_CALL_SECONDS.value),
        ("service,status", Metric.GENERATIONS_ENDED.value),
    }


def test_the_dashboard_can_be_disabled() -> None:
    assert TEMPLATE["Parameters"]["Dashboard"] | {"Description": ""} == {
        "Type": "String", "Default": "on", "AllowedValues": ["on", "off"], "Description": "",
    }  # fmt: skip
    assert RESOURCES["Eyes"]["Condition"] == "DashboardIsOn"
