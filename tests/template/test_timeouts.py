"""Timeouts are ordered: calls to AWS and crun < functions < states and API Gateway."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.adapters.aws import make_client, make_media_client
from likeness.adapters.http import crun_client, webhook_post
from likeness.domain.asset import SUBMISSION_LEASE_SECONDS
from likeness.domain.generation import INTENT_LEASE_SECONDS
from likeness.domain.webhooks import LONGEST_PAUSE_SECONDS, Retries
from likeness.runtime import bootstrap
from likeness.steps.crun_routes import fetch_asset, get_result, open_validation
from likeness.steps.generations import save_media
from likeness.steps.notifications import send_webhooks
from likeness.steps.onboarding.look_up_result import LEASE_SECONDS
from tests.template_file import MACHINES, RESOURCES, TEMPLATE

FUNCTIONS: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}
CALLS_AWS = sorted(name for name, function in FUNCTIONS.items() if "Policies" in function)
CALLS_CRUN = sorted(
    name
    for name, function in FUNCTIONS.items()
    if "CRUN_BASE_URL" in function.get("Environment", {}).get("Variables", {})
)
BEHIND_THE_API = sorted(
    name
    for name, function in FUNCTIONS.items()
    if any(event["Type"] == "Api" for event in function.get("Events", {}).values())
)
#: The longest duration of an admitted call to crun.
CRUN_SECONDS = crun_client.CONNECT_TIMEOUT_SECONDS + crun_client.READ_TIMEOUT_SECONDS
#: API Gateway's limit for an integration.
API_GATEWAY_SECONDS = 29


def _tasks(machine: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Returns each state that runs a function, with its TimeoutSeconds and the function's name."""
    found: dict[str, tuple[int, str]] = {}
    for name, state in machine["States"].items():
        if "ItemProcessor" in state:
            found |= _tasks(state["ItemProcessor"])
        function = state.get("Parameters", {}).get("FunctionName")
        if function:
            found[name] = (state["TimeoutSeconds"], function.removeprefix("${").removesuffix("Arn}"))
    return found


TASKS = {name: task for machine in MACHINES.values() for name, task in _tasks(machine).items()}
#: The states that take longer than two minutes.
LONG = {"SaveMedia": 360}


@pytest.mark.parametrize("service", ["dynamodb", "events", "s3", "secretsmanager", "sqs", "stepfunctions"])
def test_every_function_has_time_for_all_retries_of_a_call_to_aws(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    config: Any = make_client(service).meta.config
    shortest = min(FUNCTIONS[name]["Timeout"] for name in CALLS_AWS)
    tries = config.retries["total_max_attempts"]
    assert tries >= 2, "a single lost packet is not an error"
    assert tries * (config.connect_timeout + config.read_timeout) + tries - 1 < shortest


@pytest.mark.parametrize("name", CALLS_CRUN)
def test_a_function_has_time_for_the_rate_limiter_and_a_call_to_crun(name: str) -> None:
    assert FUNCTIONS[name]["Timeout"] > bootstrap._PERMIT_WAIT_SECONDS + CRUN_SECONDS


def test_polling_has_time_for_its_last_batch() -> None:
    last_batch = bootstrap._PERMIT_WAIT_SECONDS + CRUN_SECONDS
    assert crun_client._REPORTS_SECONDS + last_batch < FUNCTIONS["PollAssetsFunction"]["Timeout"]


def test_a_run_of_send_webhooks_has_time_for_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    config: Any = make_client("dynamodb").meta.config
    aws = config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)
    timeout = FUNCTIONS["SendWebhooksFunction"]["Timeout"]
    assert webhook_post.CONNECT_TIMEOUT_SECONDS + webhook_post.READ_TIMEOUT_SECONDS < webhook_post.TOTAL_SECONDS
    # Load the endpoint, check that it may be tried, store the waiting delivery, load the endpoint again, delete the
    # waiting delivery, call the receiver, mark it as available, query the waiting deliveries, send a resumption.
    assert webhook_post.TOTAL_SECONDS + 8 * aws < timeout
    # Load the endpoint, query the waiting deliveries, call the last receiver, mark it as available, delete the
    # waiting delivery, send the rest.
    assert send_webhooks.RESUMPTION_SECONDS + webhook_post.TOTAL_SECONDS + 5 * aws < timeout


def test_the_last_try_of_a_webhook_is_within_the_retention_of_its_queue() -> None:
    tries = TEMPLATE["Parameters"]["WebhookTries"]
    kept = RESOURCES["WebhookQueue"]["Properties"]["MessageRetentionPeriod"]
    pauses = TEMPLATE["Parameters"]["WebhookRetrySeconds"]["Default"]

    def end(of_try: int) -> int:
        """Returns the latest end of a try: with Retry-After in every delay and with the longest runs."""
        retries, longest = Retries.of(pauses, of_try), 10 * kept
        waited = sum(retries.pause(each, 0.0, asked=longest) for each in range(1, of_try))
        return int(waited + of_try * FUNCTIONS["SendWebhooksFunction"]["Timeout"])

    # A dead letter keeps its age. Half a day is left to handle it.
    left = LONGEST_PAUSE_SECONDS
    assert end(tries["MaxValue"]) + left <= kept < end(tries["MaxValue"] + 1) + left
    assert end(tries["Default"]) < kept / 2


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_state_has_a_longer_timeout_than_its_function(name: str) -> None:
    seconds, function = TASKS[name]
    assert FUNCTIONS[function]["Timeout"] < seconds < LONG.get(name, 120)


def test_every_function_of_the_workflow_is_compared_with_its_state() -> None:
    given = {name for each in MACHINES for name in RESOURCES[each]["Properties"]["DefinitionSubstitutions"]}
    given -= {"Partition", "TableName"}
    assert {f"{function}Arn" for _, function in TASKS.values()} == given
    assert set(CALLS_CRUN) == {
        "CreateSessionFunction", "LookUpResultFunction", "PollAssetsFunction", "SubmitAssetFunction",
        "RecheckAssetsFunction", "CheckCreditsFunction", "OpenValidationFunction", "FetchAssetFunction",
        "CreateTaskFunction", "PollTaskFunction", "SaveMediaFunction", "ReceiveTaskFunction",
        "CreateGenerationFunction",
    }  # fmt: skip


@pytest.mark.parametrize("name", [*BEHIND_THE_API, "AuthorizeFunction"])
def test_a_function_responds_before_api_gateway_times_out(name: str) -> None:
    assert FUNCTIONS[name]["Timeout"] < API_GATEWAY_SECONDS


def test_the_lease_of_a_look_up_is_longer_than_the_timeout_of_its_function() -> None:
    assert FUNCTIONS["LookUpResultFunction"]["Timeout"] < LEASE_SECONDS


def test_the_lease_of_a_submission_is_longer_than_the_timeouts_of_its_functions() -> None:
    for name in ("SubmitAssetFunction", "FetchAssetFunction"):
        assert FUNCTIONS[name]["Timeout"] < SUBMISSION_LEASE_SECONDS


def test_the_lease_of_a_task_is_longer_than_the_timeout_of_its_function() -> None:
    assert FUNCTIONS["CreateTaskFunction"]["Timeout"] < INTENT_LEASE_SECONDS


def test_saving_has_time_for_its_downloads_the_last_file_and_a_call_to_crun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    config: Any = make_media_client().meta.config
    stored = config.connect_timeout + config.read_timeout
    asked = bootstrap._PERMIT_WAIT_SECONDS + CRUN_SECONDS
    assert save_media.DOWNLOAD_SECONDS + stored + asked < FUNCTIONS["SaveMediaFunction"]["Timeout"]


def test_retries_for_a_caller_end_before_the_timeout() -> None:
    for step, name in ((open_validation, "OpenValidationFunction"), (fetch_asset, "FetchAssetFunction")):
        assert FUNCTIONS[name]["Timeout"] > step._TRIES_SECONDS + CRUN_SECONDS
    assert fetch_asset._FETCH_SECONDS < fetch_asset._TRIES_SECONDS
    assert FUNCTIONS["GetResultFunction"]["Timeout"] > get_result._RESULT_SECONDS + 1


def test_the_visibility_timeout_of_a_queue_is_six_times_that_of_its_consumer() -> None:
    read = {
        event["Properties"]["Queue"]["Fn::GetAtt"].split(".")[0]: function["Timeout"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    assert set(read) == {"OnboardingQueue", "WebhookQueue"}
    for queue, timeout in read.items():
        assert RESOURCES[queue]["Properties"]["VisibilityTimeout"] >= 6 * timeout
