"""The functions write the metrics that the alarms count."""

from __future__ import annotations

import json

import pytest

from likeness.errors import InvalidRequest, UpstreamAmbiguous, UpstreamError, UpstreamRefused
from likeness.runtime import metrics
from likeness.runtime.logging import report
from tests.template_file import RESOURCES


@pytest.mark.parametrize(
    ("error", "alarming"),
    [
        *((UpstreamRefused(code), True) for code in (401, 402, 403, 505)),
        *((UpstreamRefused(code), False) for code in (404, 422)),
        (UpstreamAmbiguous(upstream_code=402), False),  # a proxy's page
    ],
    ids=repr,
)
def test_a_refusal_of_the_crun_account_is_counted_as_the_alarm_expects(
    error: UpstreamError, alarming: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "likeness")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Likeness")
    report(error)
    metrics.write({})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    assert len(lines) == alarming
    for line in lines:
        (metric,) = line["_aws"]["CloudWatchMetrics"]
        alarm = RESOURCES["CrunAccountRefusedAlarm"]["Properties"]
        assert (metric["Namespace"], metric["Metrics"][0]["Name"]) == (alarm["Namespace"], alarm["MetricName"])
        assert metric["Dimensions"] == [[each["Name"] for each in alarm["Dimensions"]]]
        assert (line["service"], alarm["Dimensions"][0]["Value"]) == ("likeness", {"Ref": "AWS::StackName"})


def test_a_callers_mistake_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    report(InvalidRequest("x", field="y"))
    metrics.write({})
    assert "_aws" not in capsys.readouterr().out
