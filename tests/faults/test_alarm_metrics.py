"""The metrics that alarms watch, as the functions write them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

from likeness.adapters.table.webhooks import webhook_item
from likeness.contracts.webhooks import Delivery, read_webhook_message
from likeness.domain.metrics import Metric
from likeness.domain.webhooks import Endpoint, new_secret
from tests.aws import stream_records
from tests.faults.onboarding import FACES, Onboarding, registration
from tests.faults.simulated_aws import SimulatedAws, simulated_aws
from tests.template_file import RESOURCES, ROOT


def _lines(where: SimulatedAws) -> list[dict[str, Any]]:
    """Returns the log lines that are metrics."""
    return [line for line in map(json.loads, where.logs) if "_aws" in line]


def _written(where: SimulatedAws) -> set[tuple[str, str, frozenset[tuple[str, str]]]]:
    """Returns namespace, name and dimensions of the metrics that CloudWatch reads from the logs."""
    found = set()
    for line in _lines(where):
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for names, metric in itertools.product(directive["Dimensions"], directive["Metrics"]):
                dimensions = frozenset((name, line[name]) for name in names)
                found.add((directive["Namespace"], metric["Name"], dimensions))
    return found


def test_functions_write_the_metrics_that_alarms_watch() -> None:
    with simulated_aws(
        {"asset_outcomes": [{"name": "*", "outcome": "active", "after_seconds": 5}]}, stream=True
    ) as where:
        where.begin({})
        person = Onboarding(where)
        where.play(person.story())
        where.settle()
        assert person.ended
        where.invoke("publish_changes", {"Records": stream_records("Table")})
        assert where.invoke("check_credits", {}) == {"outcome": "checked"}
        asset = where.store.list_assets(person.session_id)[0]
        with where.simulator.store.lock:
            del where.simulator.store.assets[str(asset.crun_asset_id)]
        for _ in range(2):  # one check alone might be a temporary error
            where.invoke("recheck_assets", {})
            where.settle(3600)
        slot = where.api("POST", "/sessions", body={"assets": [registration(0)]}).body["assets"][0]
        key = slot["upload"]["fields"]["key"]
        where.aws("s3").put_object(Bucket="uploads", Key=key, Body=FACES[0])  # its event is lost
        where.settle(3600)
        where.simulator.update_settings(balance=0)
        assert where.api("POST", "/sessions", body={}).status == 503
        messages = json.loads((ROOT / "events/send_webhooks.json").read_text("utf-8"))
        waits = read_webhook_message(messages["Records"][1]["body"])
        assert isinstance(waits, Delivery)
        paused = Endpoint("acme", waits.endpoint_id, "https://hooks.test", new_secret(bytes(32)), where.now)
        paused = replace(paused, failing_since=where.now, paused_at=where.now, probe="evt_0")
        where.aws("dynamodb").put_item(TableName="Table", Item=webhook_item(paused))
        where.invoke("send_webhooks", messages)
        written = _written(where)
    names = {name for _, name, _ in written}
    alarms = [each["Properties"] for each in RESOURCES.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    single = [each for each in alarms if each.get("Namespace") == "Likeness"]
    several = [
        each["MetricStat"]["Metric"] for alarm in alarms for each in alarm.get("Metrics", []) if "MetricStat" in each
    ]
    watched = [*single, *several]
    wanted = {
        "CrunAccountRefused", "CrunCreditsLeft", "AssetLost", "AttemptsStarted", "SessionsVerified", "Reconciled",
        "OnboardingMessageSeconds", "WebhookFirstTrySeconds", "WebhookEndpointPaused",
    }  # fmt: skip
    assert {each["MetricName"] for each in watched} == wanted <= names
    for each in watched:
        assert each["Dimensions"] == [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
        dimensions = frozenset({("service", "likeness")})
        assert ("Likeness", each["MetricName"], dimensions) in written


def test_a_wait_for_a_permit_is_measured() -> None:
    with simulated_aws({}, CRUN_REQUESTS_PER_10S="20") as where:
        where.begin({})
        for _ in range(3):  # a client's bucket allows two immediately
            assert where.api("POST", "/sessions", body={}).status == 201
        (line,) = [each for each in _lines(where) if Metric.PERMIT_WAIT_SECONDS.value in each]
        (waited,) = line[Metric.PERMIT_WAIT_SECONDS.value]
        assert 0 < waited <= 5
        assert line["session_id"]


def test_queue_consumers_measure_the_age_of_messages() -> None:
    def aged(function: str, received: int) -> dict[str, Any]:
        (record, *_) = json.loads((ROOT / f"events/{function}.json").read_text("utf-8"))["Records"]
        sent = str(round((where.now - 1900) * 1000))
        attributes = {"ApproximateReceiveCount": str(received), "SentTimestamp": sent}
        return {"Records": [record | {"attributes": attributes}]}

    with simulated_aws({}) as where:
        where.begin({})
        for received in (1, 50):
            where.invoke("start_onboarding", aged("start_onboarding", received))
        for received in (1, 2):
            where.invoke("send_webhooks", aged("send_webhooks", received))
        lines = _lines(where)
    onboarding, webhooks = (
        [value for line in lines for value in line.get(metric.value, [])]
        for metric in (Metric.ONBOARDING_MESSAGE_SECONDS, Metric.WEBHOOK_FIRST_TRY_SECONDS)
    )
    assert onboarding == [1900, 1900]
    assert webhooks == [1900], "later attempts are delayed on purpose"
