"""The deployed dashboard and alarms."""

from __future__ import annotations

import json

from local import emulator
from local.stack import Stack
from tests.template_file import RESOURCES


def test_the_dashboard_exists_and_uses_the_names_of_the_stack(stack: Stack) -> None:
    cloudwatch = emulator.client("cloudwatch", stack.emulator_endpoint)
    text = cloudwatch.get_dashboard(DashboardName=f"{stack.stack_name}-us-east-1")["DashboardBody"]
    widgets = json.loads(text)["widgets"]
    assert len(widgets) > 10
    assert "${" not in text.replace("${PROP(", "")
    assert stack.outputs["StateMachineArn"] in text
    assert stack.outputs["OnboardingDeadLetterQueueUrl"].rpartition("/")[2] in text


def test_every_alarm_notifies_the_topic(stack: Stack) -> None:
    cloudwatch = emulator.client("cloudwatch", stack.emulator_endpoint)
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    assert len(alarms) == len([each for each in RESOURCES.values() if each["Type"] == "AWS::CloudWatch::Alarm"])
    assert {tuple(each["AlarmActions"]) for each in alarms} == {(stack.outputs["AlarmTopicArn"],)}
