"""The state machine's paths, from a passed check to settled assets."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests

from likeness.runtime import bootstrap
from local.media import portrait
from local.simulator import FaultRule
from tests.workflow.conftest import WorkflowHarness

FACE = portrait("alice", 600, 800, image_format="JPEG")


def create(harness: WorkflowHarness, *names: str, start: str = "now") -> dict[str, Any]:
    """Creates a session with an image for each name."""
    image = {"asset_type": "Image", "content_type": "image/jpeg", "size_bytes": len(FACE)}
    event = {
        "httpMethod": "POST",
        "path": "/sessions",
        "resource": "/sessions",
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "body": json.dumps({"start": start, "assets": [{"name": name, **image} for name in names]}),
        "isBase64Encoded": False,
        "requestContext": {
            "authorizer": {"client_id": "acme"},
            "stage": "v1",
            "requestId": "r",
            "path": "/v1/sessions",
        },
    }
    answer = harness.call("create_session", event)
    assert answer["statusCode"] == 201, answer
    made: dict[str, Any] = json.loads(answer["body"])
    return made


def aged(session: dict[str, Any]) -> dict[str, Any]:
    """Makes the session's link half an hour old, so that crun's first "not yet" is final."""
    boto3.client("dynamodb").update_item(
        TableName="Table",
        Key={"pk": {"S": f"SESSION#{session['id']}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="ADD attempts.#one.created_at :past",
        ExpressionAttributeNames={"#one": "1"},
        ExpressionAttributeValues={":past": {"N": "-1801"}},
    )
    return session


def upload(harness: WorkflowHarness, session: dict[str, Any]) -> None:
    """Uploads every registered file and delivers S3's events."""
    for index, asset in enumerate(session["assets"]):
        key = asset["upload"]["fields"]["key"]
        # Files of different bytes: the same bytes would be one asset.
        content = portrait("alice", 600 + index, 800, image_format="JPEG")
        put = boto3.client("s3").put_object(Bucket=harness.bucket, Key=key, Body=content)
        about = {"key": key, "size": len(content), "version-id": put["VersionId"]}
        detail = {"bucket": {"name": harness.bucket}, "object": about}
        harness.call("check_upload", {"detail": detail, "time": "2026-01-01T00:00:00Z"})


def come_back(harness: WorkflowHarness, session: dict[str, Any], outcome: str = "pass") -> str:
    """Performs the check and opens the callback; returns the URL of the redirect."""
    link = session["attempt"]["h5_link"]
    back = requests.post(link, data={"outcome": outcome, "person": "alice"}, allow_redirects=False, timeout=10)
    parts = urlsplit(back.headers["Location"])
    _, session_id, attempt, signature = parts.path.removeprefix("/v1").strip("/").split("/")
    answer = harness.call(
        "receive_callback",
        {
            "pathParameters": {"session_id": session_id, "attempt": attempt, "signature": signature},
            "multiValueQueryStringParameters": parse_qs(parts.query),
            "requestContext": {"domainName": "x", "stage": "v1"},
        },
    )
    assert answer["statusCode"] == 303
    return str(answer["headers"]["Location"])


def run(harness: WorkflowHarness, session: dict[str, Any]) -> Any:
    """Runs everything from the callback to the end of the execution; returns the session."""
    come_back(harness, session)
    harness.drain()
    harness.wait()
    return bootstrap.store().get_session(session["id"])


def statuses(session_id: str) -> dict[str, str]:
    """Returns each asset's status by name."""
    return {each.name: each.status.value for each in bootstrap.store().list_assets(session_id)}


def test_a_pass_with_three_assets_ends_with_each_settled(harness: WorkflowHarness) -> None:
    session = create(harness, "good 1", "good 2", "other_person")
    upload(harness, session)
    row = run(harness, session)
    assert row.status == "verified"
    assert row.driver is None
    assert statuses(session["id"]) == {"good 1": "active", "good 2": "active", "other_person": "failed"}
    (execution,) = harness.executions()
    assert execution["status"] == "SUCCEEDED"


def test_a_session_without_assets_ends_verified_and_starts_again_on_an_upload(harness: WorkflowHarness) -> None:
    session = create(harness, "good")
    assert run(harness, session).status == "verified"
    assert statuses(session["id"]) == {"good": "awaiting_upload"}
    upload(harness, session)
    assert harness.drain() == 1
    executions = harness.wait()
    assert [each["status"] for each in executions] == ["SUCCEEDED"] * 2
    assert statuses(session["id"]) == {"good": "active"}


@pytest.mark.slow
def test_an_asset_that_never_settles_fails_at_the_deadline(
    harness: WorkflowHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLL_DEADLINE_SECONDS", "5")
    session = create(harness, "never", "good")
    upload(harness, session)
    run(harness, session)
    assert statuses(session["id"]) == {"never": "failed", "good": "active"}
    (late,) = [each for each in bootstrap.store().list_assets(session["id"]) if each.name == "never"]
    assert late.error
    assert late.error.code == "activation_timeout"


@pytest.mark.slow
def test_a_failed_download_is_signed_and_submitted_once_more(harness: WorkflowHarness) -> None:
    session = create(harness, "lost")
    upload(harness, session)
    run(harness, session)
    assert statuses(session["id"]) == {"lost": "active"}


@pytest.mark.slow
def test_a_throttled_submission_is_repeated_and_leaves_no_orphan(harness: WorkflowHarness) -> None:
    harness.simulator.add_faults(FaultRule(call="upload", kind="both", code=429, times=1))
    session = create(harness, "good")
    upload(harness, session)
    run(harness, session)
    (asset,) = bootstrap.store().list_assets(session["id"])
    assert asset.status == "active"
    assert asset.ambiguous_submissions == 1, "only the call that went through counts"


def test_a_deferred_lookup_is_repeated_and_the_token_is_used_once(harness: WorkflowHarness) -> None:
    harness.simulator.add_faults(FaultRule(call="result", kind="both", code=455, times=1))
    assert run(harness, create(harness)).status == "verified"
    lookups = [each for each in harness.simulator.log() if each.call == "result" and each.code == 200]
    assert len(lookups) == 1


def test_a_consumed_token_is_reported_and_a_new_attempt_is_offered(harness: WorkflowHarness) -> None:
    harness.simulator.add_faults(FaultRule(call="result", kind="reset", times=1, work_done=True))
    row = run(harness, aged(create(harness)))
    assert (row.status, row.last_error.code) == ("requires_input", "result_lost")
    assert row.attempts[1].status == "lost"
    assert row.group_id is None


def test_a_person_who_did_not_pass_is_never_verified(harness: WorkflowHarness) -> None:
    session = create(harness)
    assert come_back(harness, session, "fail").endswith("status=requires_input")
    row = bootstrap.store().get_session(session["id"])
    assert row
    assert row.last_error
    assert row.last_error.code == "attempt_failed"
    # The delayed link check finds an attempt with a result, so nothing is looked up.
    harness.drain()
    assert harness.executions() == []


@pytest.mark.parametrize("passed", [True, False])
def test_the_link_check_looks_up_once_when_no_callback_came(harness: WorkflowHarness, passed: bool) -> None:
    session = create(harness)
    if not passed:
        aged(session)
    else:
        requests.post(
            session["attempt"]["h5_link"],
            data={"outcome": "pass", "person": "alice"},
            timeout=10,
            allow_redirects=False,
        )
    harness.drain()
    (execution,) = harness.wait()
    assert execution["name"] == f"{session['id']}-a1-check"
    row = bootstrap.store().get_session(session["id"])
    assert row
    assert row.status == ("verified" if passed else "requires_input")
    assert (row.last_error and row.last_error.code) == (None if passed else "link_expired")


def test_only_ids_are_passed(harness: WorkflowHarness) -> None:
    session = create(harness, "good")
    upload(harness, session)
    run(harness, session)
    (execution,) = harness.executions()
    history = boto3.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
    text = json.dumps(history["events"], default=str)
    token = parse_qs(urlsplit(session["attempt"]["h5_link"]).query)["bytedToken"][0]
    assert token not in text
    assert "X-Amz-" not in text
    assert "good" not in text, "names stay in the table"
