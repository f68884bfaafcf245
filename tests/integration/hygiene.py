"""Rules for the logs, histories, events and dead letters of all tests of a worker, checked after the last one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.contracts.crun_errors import LONGEST_ERROR
from likeness.domain.metrics import Metric
from local import emulator
from local.stack import Stack
from tests.event_schemas import check as check_event
from tests.integration.conftest import Canaries, Listener

#: What Powertools adds to every line.
STANDARD = {
    "level", "location", "message", "timestamp", "service", "cold_start", "function_name", "function_memory_size",
    "function_arn", "function_request_id",
}  # fmt: skip
#: What correlates a line with others.
IDS = {
    "asset_id", "client_id", "correlation_id", "endpoint_id", "event_id", "execution", "generation_id", "message_id",
    "request_id", "session_id",
}  # fmt: skip
#: What the functions add: ids, codes, numbers, and what an export counted.
FACTS = IDS | {
    "asset", "assets", "call", "client_key", "code", "consent", "consent_text", "crun_asset_id", "earlier_asset_id",
    "export", "failed", "generation", "generations", "left_out", "lost", "next", "outcome", "parts", "receipt",
    "reconciled", "resubmissions", "seconds", "session", "sessions", "source", "status", "there", "tombstone", "try",
    "type", "upstream_code", "use", "wait_seconds",
}  # fmt: skip
MESSAGES = {
    "asset erased", "asset fetched", "asset submitted", "assets claimed", "assets polled", "assets rechecked",
    "consent withdrawn", "credits", "crun called", "event published", "events left", "generation canceled",
    "generation erased", "generation requested", "inventory", "invite renewed", "invite revoked", "media saved",
    "message given up", "message read", "receipt issued", "reconciled", "refused", "result looked up",
    "session created", "session erased", "task created", "task polled", "task relayed", "upload checked", "webhook",
}  # fmt: skip
DIMENSIONS = {"service", "cause", "code", "call", "outcome", "status"}
#: What Lambda itself writes about an invocation, and the traceback of an error that a task raised to be retried: lines
#: of code, and an error of the application, whose message quotes no input.
OF_THE_RUNTIME = re.compile(
    r"(START|END|REPORT) RequestId: [0-9a-f-]{36}\b.*|INIT_START .*|Traceback \(most recent call last\):|  .*|"
    r"likeness\.errors\.\w+: [\w ;,.'()]*|"
    # The emulator also prints what an error was caused by, such as a call that took too long on a busy machine.
    r"(During handling of|The above exception was).*|(urllib3|botocore)\.exceptions\.\w+: .*|TimeoutError: timed out|"
)
EXECUTION_NAME = re.compile(r"ses_[0-9A-HJKMNP-TV-Z]{26}-(a\d+(-check|-r\d+)?|g\d+)|gen_[0-9A-HJKMNP-TV-Z]{26}(-r\d+)?")
IDS_AND_CODES = re.compile(r"[\w:./-]{0,120}")


@dataclass(frozen=True)
class Remains:
    """Everything that the tests wrote.

    ``lines`` are the functions' log lines, ``histories`` the executions' histories by name, ``logs`` the local
    processes' logs, ``events`` what a customer's rule on the bus received, ``dead_letters`` the number by queue.
    """

    lines: list[str]
    histories: dict[str, str]
    logs: str
    events: list[dict[str, Any]]
    dead_letters: dict[str, int]

    @classmethod
    def of(cls, stack: Stack, listener: Listener) -> Remains:
        """Reads everything from the stack."""
        listener.receive()
        logs = emulator.client("logs", stack.emulator_endpoint)
        lines: list[str] = []
        for page in logs.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                    lines += [line for event in events["events"] for line in event["message"].splitlines()]
        local = "\n".join(each.read_text("utf-8", "replace") for each in Path(stack.log_dir).glob("*.log"))
        return cls(lines, _histories(stack), local, list(listener.events.values()), _dead_letters(stack))

    @property
    def facts(self) -> list[dict[str, Any]]:
        """Returns the functions' lines that are JSON."""
        return [json.loads(each) for each in self.lines if each.startswith("{")]


def _histories(stack: Stack) -> dict[str, str]:
    sfn = emulator.client("stepfunctions", stack.emulator_endpoint)
    machines = [stack.outputs[each] for each in ("StateMachineArn", "GenerationStateMachineArn")]
    pages = [page for arn in machines for page in sfn.get_paginator("list_executions").paginate(stateMachineArn=arn)]
    found = {}
    for execution in [each for page in pages for each in page["executions"]]:
        arn = execution["executionArn"]
        described = [sfn.describe_execution(executionArn=arn)]
        described += sfn.get_paginator("get_execution_history").paginate(executionArn=arn, includeExecutionData=True)
        found[execution["name"]] = str(described)
    return found


def _dead_letters(stack: Stack) -> dict[str, int]:
    sqs = emulator.client("sqs", stack.emulator_endpoint)
    urls = {"OnboardingDeadLetterQueue": stack.outputs["OnboardingDeadLetterQueueUrl"]}
    for name in ("ChangeDeadLetterQueue", "WebhookDeadLetterQueue", "ScheduleDeadLetterQueue"):
        urls[name] = stack.resource(name)
    counted = {}
    for name, url in urls.items():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        counted[name] = int(attributes["Attributes"]["ApproximateNumberOfMessages"])
    return counted


def no_secret_is_in_any_log_or_execution(remains: Remains, canaries: Canaries) -> None:
    text = "\n".join([*remains.lines, *remains.histories, *remains.histories.values(), remains.logs])
    leaked = {secret[:6] + "…" for secret in canaries.secrets if secret in text}
    assert not leaked
    assert not re.search(r"X-Amz-Signature=[0-9a-f]{16}", text)
    assert "/callback/ses_" not in text
    assert "/task/gen_" not in text


def no_name_or_reference_is_in_a_log_or_execution(remains: Remains, canaries: Canaries) -> None:
    text = "\n".join([*remains.lines, *remains.histories, *remains.histories.values()])
    assert not {each for each in canaries.personal if each in text}


def log_lines_contain_only_allowed_facts(remains: Remains, canaries: Canaries) -> None:
    facts = [each for each in remains.facts if "_aws" not in each]
    assert {key for each in facts for key in each} <= STANDARD | FACTS | {"upstream_errors"}
    assert {each["message"] for each in facts} <= MESSAGES
    values = {str(each[key]) for each in facts for key in FACTS & set(each)}
    assert not {each for each in values if not IDS_AND_CODES.fullmatch(each)}
    # The errors that crun listed in a 422.
    listed = [each for line in facts for each in line.get("upstream_errors", [])]
    assert not [each for each in listed if "://" in each or len(each) > LONGEST_ERROR or not each.isprintable()]


def other_lines_come_from_the_runtime(remains: Remains, canaries: Canaries) -> None:
    assert not [each for each in remains.lines if not each.startswith("{") and not OF_THE_RUNTIME.fullmatch(each)]


def metrics_have_only_allowed_names_and_dimensions(remains: Remains, canaries: Canaries) -> None:
    for each in [each for each in remains.facts if "_aws" in each]:
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


def execution_names_contain_only_ids(remains: Remains, canaries: Canaries) -> None:
    assert not {name for name in remains.histories if not EXECUTION_NAME.fullmatch(name)}


def events_match_their_schemas_and_contain_nothing_personal(remains: Remains, canaries: Canaries) -> None:
    for event in remains.events:
        check_event(event["detail-type"], event["detail"])
    text = json.dumps(remains.events)
    assert not {each[:6] + "…" for each in canaries.secrets | canaries.personal if each in text}


def the_dead_letter_queues_are_empty(remains: Remains, canaries: Canaries) -> None:
    assert not {name: count for name, count in remains.dead_letters.items() if count}


RULES: tuple[Callable[[Remains, Canaries], None], ...] = (
    no_secret_is_in_any_log_or_execution,
    no_name_or_reference_is_in_a_log_or_execution,
    log_lines_contain_only_allowed_facts,
    other_lines_come_from_the_runtime,
    metrics_have_only_allowed_names_and_dimensions,
    execution_names_contain_only_ids,
    events_match_their_schemas_and_contain_nothing_personal,
    the_dead_letter_queues_are_empty,
)


def broken(remains: Remains, canaries: Canaries) -> dict[str, Exception]:
    """Returns the rules that ``remains`` breaks, by name."""
    found: dict[str, Exception] = {}
    for rule in RULES:
        try:
            rule(remains, canaries)
        except (AssertionError, ValueError) as exc:  # a schema raises ValueError
            found[rule.__name__] = exc
    return found


def check(remains: Remains, canaries: Canaries) -> None:
    """Raises ExceptionGroup with every broken rule."""
    if found := broken(remains, canaries):
        raise ExceptionGroup(f"rules broken by what the tests wrote: {', '.join(found)}", list(found.values()))
