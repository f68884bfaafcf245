"""Runs last: what the whole tier has left behind."""

from __future__ import annotations

import re
from pathlib import Path

from local import emulator
from tests.integration.conftest import Api, Canaries


def _all_logs(api: Api) -> str:
    texts = [each.read_text("utf-8", "replace") for each in Path(api.stack.log_dir).glob("*.log")]
    logs = emulator.client("logs", api.stack.emulator_endpoint)
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                texts += [event["message"] for event in events["events"]]
    sfn = emulator.client("stepfunctions", api.stack.emulator_endpoint)
    machine = api.stack.outputs["StateMachineArn"]
    for execution in sfn.list_executions(stateMachineArn=machine)["executions"]:
        history = sfn.get_execution_history(executionArn=execution["executionArn"], includeExecutionData=True)
        texts.append(str(history["events"]))
    return "\n".join(texts)


def test_no_secret_is_in_any_log_or_execution(api: Api, canaries: Canaries) -> None:
    text = _all_logs(api)
    assert "message read" in text, "the functions' logs are part of what is searched"
    assert len(canaries.secrets) > 20
    leaked = {secret[:6] + "…" for secret in canaries.secrets if secret in text}
    assert not leaked
    assert not re.search(r"X-Amz-Signature=[0-9a-f]{16}", text)
    assert "/callback/ses_" not in text


def test_the_dead_letter_queues_are_empty(api: Api) -> None:
    sqs = emulator.client("sqs", api.stack.emulator_endpoint)
    url = api.stack.outputs["OnboardingDeadLetterQueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert found["Attributes"]["ApproximateNumberOfMessages"] == "0"
