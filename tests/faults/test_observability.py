"""Logs and metrics of one onboarding: ids on every line, and one correlation id from the API to crun."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from likeness.domain.metrics import Metric
from tests.aws import stream_records
from tests.faults.onboarding import Onboarding
from tests.faults.simulated_aws import SimulatedAws, simulated_aws
from tests.faults.test_observability_elsewhere import ELSEWHERE
from tests.functions import FUNCTIONS, TASKS, event_of_request

OUTCOMES = [{"name": "*", "outcome": "active", "after_seconds": 5}]
Line = dict[str, Any]


@pytest.fixture(scope="module")
def person() -> Iterator[Onboarding]:
    """A completed onboarding with three files, followed by requests that are refused."""
    with simulated_aws({"asset_outcomes": OUTCOMES}, stream=True) as where:
        where.begin({})
        made = Onboarding(where)
        where.play(made.story())
        where.settle()
        assert made.ended
        _send_refused_requests(where, made.session_id)
        where.invoke("publish_changes", {"Records": stream_records("Table")})
        where.api("DELETE", "/sessions/{session_id}", session_id=made.session_id)
        yield made


def _send_refused_requests(where: SimulatedAws, session_id: str) -> None:
    """Sends each route a request that it refuses, because successes log little."""
    missing = {"session_id": "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"}
    where.api("GET", "/sessions/{session_id}", **missing)
    where.api("DELETE", "/sessions/{session_id}", **missing)
    where.api("DELETE", "/sessions/{session_id}/invite", **missing)
    where.api("GET", "/sessions/{session_id}/receipt", **missing)
    where.api("POST", "/webhooks/{webhook_id}/test", webhook_id="whe_1")
    where.api("POST", "/sessions/{session_id}/assets", body={"unheard": 1}, session_id=session_id)
    where.api("POST", "/sessions/{session_id}/consent", body={"unheard": 1}, session_id=session_id)
    where.api("PUT", "/sessions/{session_id}/consent_terms", body={"unheard": 1}, session_id=session_id)
    where.api("GET", "/sessions/{session_id}/use", query="purpose=unheard", session_id=session_id)
    where.api("POST", "/sessions/{session_id}/requests", body={"unheard": 1}, session_id=session_id)
    where.api("POST", "/sessions/{session_id}/attempts", session_id=session_id)
    where.invoke("get_stats", event_of_request("GET", "/stats", "/stats", query={"from": ["never"]}))
    where.browser("https://likeness.example/v1/callback/ses_x/1/forged")
    where.send("{not json")
    where.settle()


def _lines(where: SimulatedAws) -> dict[str, list[Line]]:
    """Returns all lines except metrics, by function."""
    found = defaultdict(list)
    for line in map(json.loads, where.logs):
        if "_aws" not in line:
            found[line["function_name"]].append(line)
    return found


def _metrics(where: SimulatedAws) -> list[Line]:
    return [line for line in map(json.loads, where.logs) if "_aws" in line]


def test_every_line_has_its_ids(person: Onboarding) -> None:
    lines = _lines(person.account)
    # The authorizer logs nothing here: every key is valid.
    assert set(FUNCTIONS) - set(lines) == {"authorize", *ELSEWHERE}
    of_requests = {"create_session", "erase_session", "get_session", "record_consent", "register_asset", "get_stats",
                   "receive_callback", "request_files", "revoke_invite", "manage_integration", "withdraw_consent",
                   "check_use", "issue_receipt"}  # fmt: skip
    for function, written in lines.items():
        wanted = {"function_request_id"}
        if function in TASKS:
            wanted |= {"session_id", "execution", "correlation_id"}
        if function == "submit_asset":
            wanted |= {"asset_id"}
        if function in of_requests:
            wanted |= {"request_id"}
        for line in written:
            assert wanted <= set(line), (function, line)


@pytest.mark.parametrize(
    "function",
    [
        "get_session",
        "erase_session",
        "record_consent",
        "register_asset",
        "request_files",
        "withdraw_consent",
        "check_use",
        "issue_receipt",
    ],
)
def test_a_request_about_a_session_names_it(person: Onboarding, function: str) -> None:
    assert all(line["session_id"].startswith("ses_") for line in _lines(person.account)[function])


def test_a_malformed_session_id_is_not_logged(person: Onboarding) -> None:
    refused = [line for line in _lines(person.account)["receive_callback"] if line["message"] == "refused"]
    assert refused
    assert all("session_id" not in line for line in refused)


def test_each_message_is_logged_with_its_id_also_an_unreadable_one(person: Onboarding) -> None:
    lines = _lines(person.account)["start_onboarding"]
    assert {line["message"] for line in lines} == {"message read", "message given up"}
    for line in lines:
        assert "message_id" in line
        read = line["message"] == "message read"
        assert ("session_id" in line, "correlation_id" in line) == (read, read), line


def test_a_checked_file_and_a_published_event_name_their_session(person: Onboarding) -> None:
    lines = _lines(person.account)
    for line in [*lines["check_upload"], *lines["publish_changes"]]:
        assert line["session_id"] == person.session_id
    assert {"asset_id" in line for line in lines["check_upload"]} == {True, False}, "a file in inbox/ has no id yet"


def test_one_correlation_id_is_used_from_the_api_to_crun(person: Onboarding) -> None:
    where = person.account
    (root,) = {root for route, root in where.traced if route == "POST /sessions"}
    assert person.session().correlation_id == root
    written = _lines(where)
    created = [line for line in written["create_session"] if line["message"] == "session created"]
    assert [(line["session_id"], line["correlation_id"]) for line in created] == [(person.session_id, root)]
    bodies = [json.loads(body) for body in where.delivered if body.startswith('{"')]
    assert {each["type"] for each in bodies} == {"link_check", "pass_reported", "assets_ready"}
    assert {each["correlation_id"] for each in bodies} == {root}
    for task in TASKS:
        assert {line["correlation_id"] for line in written[task]} == {root}, task
    calls = where.simulator.log()
    assert {each.call for each in calls} == {"session", "result", "upload", "info"}
    assert {each.correlation_id for each in calls} == {root}


def test_each_call_to_crun_is_logged_and_measured(person: Onboarding) -> None:
    where = person.account
    logged = [line for lines in _lines(where).values() for line in lines if line["message"] == "crun called"]
    assert len(logged) == len(where.simulator.log())
    assert {line["call"] for line in logged} == {
        "visual-validate-session", "visual-validate-result", "asset-upload", "asset-info",
    }  # fmt: skip
    assert all(line["outcome"] == "ok" and line["seconds"] >= 0 for line in logged)
    measured = [line for line in _metrics(where) if Metric.CRUN_CALL_SECONDS.value in line]
    assert sum(len(line[Metric.CRUN_CALL_SECONDS.value]) for line in measured) == len(logged)
    assert {(line["call"], line["outcome"]) for line in measured} == {(line["call"], "ok") for line in logged}
    dimensions = [["service"], ["service", "call", "outcome"]]
    assert all(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == dimensions for line in measured)


def test_stored_changes_are_counted_once_in_one_line(person: Onboarding) -> None:
    (line,) = [each for each in _metrics(person.account) if "SessionsCreated" in each]
    session = person.session()
    assert line["SessionsCreated"] == line["AttemptsStarted"] == [1]
    assert line["SessionsVerified"] == [0, 1]
    assert line["AssetsActive"] == [1, 1, 1]
    assert len(line["SecondsToActive"]) == 3
    assert all(5 <= each < 60 for each in line["SecondsToActive"])
    assert session.verified_at
    assert line["SecondsToVerified"] == [pytest.approx(session.verified_at - session.created_at)]


def test_metric_lines_contain_ids_and_their_dimensions_do_not(person: Onboarding) -> None:
    for line in _metrics(person.account):
        assert "function_request_id" in line
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Likeness"
        assert {name for names in directive["Dimensions"] for name in names} <= {"service", "code", "call", "outcome"}
