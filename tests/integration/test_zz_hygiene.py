"""Runs last: what the whole tier has left behind."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from likeness.contracts.crun_errors import LONGEST_ERROR
from likeness.domain.metrics import Metric
from local import emulator
from tests.event_schemas import check
from tests.integration.conftest import Api, Canaries, Listener

#: What Powertools puts on every line of its own.
STANDARD = {
    "level", "location", "message", "timestamp", "service", "cold_start", "function_name", "function_memory_size",
    "function_arn", "function_request_id",
}  # fmt: skip
#: What ties a line to others.
IDS = {
    "asset_id", "client_id", "correlation_id", "endpoint_id", "event_id", "execution", "message_id", "request_id",
    "session_id",
}  # fmt: skip
#: What our functions add besides: codes, numbers, and how many of what an export has written.
FACTS = IDS | {
    "asset", "assets", "call", "client_key", "code", "consent", "consent_text", "crun_asset_id", "export", "failed",
    "left_out", "lost", "next", "outcome", "parts", "reconciled", "resubmissions", "seconds", "session", "sessions",
    "status", "there", "tombstone", "try", "type", "upstream_code", "wait_seconds",
}  # fmt: skip
MESSAGES = {
    "asset erased", "asset fetched", "asset submitted", "assets claimed", "assets polled", "assets rechecked",
    "credits", "crun called", "event published", "inventory", "invite renewed", "message given up",
    "message read", "reconciled", "refused", "result looked up", "session created", "session erased", "upload checked",
    "webhook",
}  # fmt: skip
DIMENSIONS = {"service", "cause", "code", "call", "outcome"}
#: What Lambda itself writes around a run, and the trace of an error that a task raised to be repeated: places, and an
#: error of ours whose words quote nothing.
OF_THE_RUNTIME = re.compile(
    r"(START|END|REPORT) RequestId: [0-9a-f-]{36}\b.*|INIT_START .*|Traceback \(most recent call last\):|  .*|"
    r"likeness\.errors\.\w+: [\w ;,.'()]*|"
)
EXECUTION_NAME = re.compile(r"ses_[0-9A-HJKMNP-TV-Z]{26}-(a\d+(-check|-r\d+)?|g\d+)")
IDS_AND_CODES = re.compile(r"[\w:./-]{0,120}")


@dataclass(frozen=True)
class Remains:
    """What was written: ``lines`` by our functions, ``histories`` by execution name, ``logs`` by local processes."""

    lines: list[str]
    histories: dict[str, str]
    logs: str

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The functions' lines that are JSON."""
        return [json.loads(each) for each in self.lines if each.startswith("{")]


@pytest.fixture(scope="module")
def remains(api: Api) -> Remains:
    logs = emulator.client("logs", api.stack.emulator_endpoint)
    lines: list[str] = []
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                lines += [line for event in events["events"] for line in event["message"].splitlines()]
    local = "\n".join(each.read_text("utf-8", "replace") for each in Path(api.stack.log_dir).glob("*.log"))
    return Remains(lines, _histories(api), local)


def _histories(api: Api) -> dict[str, str]:
    sfn = emulator.client("stepfunctions", api.stack.emulator_endpoint)
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=api.stack.outputs["StateMachineArn"])
    found = {}
    for execution in [each for page in pages for each in page["executions"]]:
        arn = execution["executionArn"]
        told = [sfn.describe_execution(executionArn=arn)]
        told += sfn.get_paginator("get_execution_history").paginate(executionArn=arn, includeExecutionData=True)
        found[execution["name"]] = str(told)
    return found


def test_no_secret_is_in_any_log_or_execution(remains: Remains, canaries: Canaries) -> None:
    text = "\n".join([*remains.lines, *remains.histories, *remains.histories.values(), remains.logs])
    assert "message read" in text, "the functions' logs are part of what is searched"
    assert len(canaries.secrets) > 20
    leaked = {secret[:6] + "…" for secret in canaries.secrets if secret in text}
    assert not leaked
    assert not re.search(r"X-Amz-Signature=[0-9a-f]{16}", text)
    assert "/callback/ses_" not in text


def test_no_name_and_no_reference_is_in_a_log_or_an_execution_of_ours(remains: Remains, canaries: Canaries) -> None:
    text = "\n".join([*remains.lines, *remains.histories, *remains.histories.values()])
    assert len(canaries.personal) > 5
    assert not {each for each in canaries.personal if each in text}


def test_a_line_of_a_function_holds_allowed_facts_only(remains: Remains) -> None:
    facts = [each for each in remains.facts if "_aws" not in each]
    assert len(facts) > 50
    assert {key for each in facts for key in each} <= STANDARD | FACTS | {"upstream_errors"}
    assert {each["message"] for each in facts} <= MESSAGES
    values = {str(each[key]) for each in facts for key in FACTS & set(each)}
    assert not {each for each in values if not IDS_AND_CODES.fullmatch(each)}
    # crun's own words, where it has listed any with a 422.
    listed = [each for line in facts for each in line.get("upstream_errors", [])]
    assert not [each for each in listed if "://" in each or len(each) > LONGEST_ERROR or not each.isprintable()]


def test_what_is_no_json_was_written_by_the_runtime(remains: Remains) -> None:
    assert not [each for each in remains.lines if not each.startswith("{") and not OF_THE_RUNTIME.fullmatch(each)]


def test_metrics_have_allowed_names_and_dimensions_only(remains: Remains) -> None:
    metrics = [each for each in remains.facts if "_aws" in each]
    assert metrics
    for each in metrics:
        (described,) = each["_aws"]["CloudWatchMetrics"]
        names = {metric["Name"] for metric in described["Metrics"]}
        dimensions = {name for several in described["Dimensions"] for name in several}
        assert described["Namespace"] == "Likeness"
        assert names <= set(Metric)
        assert described["Dimensions"][0] == ["service"]
        assert dimensions <= DIMENSIONS
        assert set(each) <= {"_aws", "function_request_id", *dimensions, *names, *IDS}
        assert each["service"] == "likeness"
        assert all(IDS_AND_CODES.fullmatch(str(each[name])) for name in (dimensions | IDS) & set(each))


def test_an_execution_is_named_by_ids_alone(remains: Remains) -> None:
    assert remains.histories
    assert not {name for name in remains.histories if not EXECUTION_NAME.fullmatch(name)}


def test_what_the_event_bus_was_told_is_in_its_schemas_and_says_nothing_of_anybody(
    listener: Listener, canaries: Canaries
) -> None:
    listener.hear()
    assert listener.events
    for event in listener.events.values():
        check(event["detail-type"], event["detail"])
    text = json.dumps(list(listener.events.values()))
    assert not {each[:6] + "…" for each in canaries.secrets | canaries.personal if each in text}


def test_the_dead_letter_queues_are_empty(api: Api) -> None:
    sqs = emulator.client("sqs", api.stack.emulator_endpoint)
    cloudformation = emulator.client("cloudformation", api.stack.emulator_endpoint)
    found = [
        cloudformation.describe_stack_resource(StackName=api.stack.stack_name, LogicalResourceId=each)
        for each in ("ChangeDeadLetterQueue", "WebhookDeadLetterQueue", "ScheduleDeadLetterQueue")
    ]
    others = [each["StackResourceDetail"]["PhysicalResourceId"] for each in found]
    for url in (api.stack.outputs["OnboardingDeadLetterQueueUrl"], *others):
        counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        assert counted["Attributes"]["ApproximateNumberOfMessages"] == "0"
