"""The state machine's ways, from a passed check to settled assets."""

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
from tests.workflow.conftest import World

FACE = portrait("alice", 600, 800, image_format="JPEG")


def create(world: World, *names: str, start: str = "now") -> dict[str, Any]:
    """A session with an image for each name."""
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
    answer = world.call("create_session", event)
    assert answer["statusCode"] == 201, answer
    made: dict[str, Any] = json.loads(answer["body"])
    return made


def aged(session: dict[str, Any]) -> dict[str, Any]:
    """The session as if its link had been made half an hour ago: crun's first "not yet" is its last word then."""
    boto3.client("dynamodb").update_item(
        TableName="Table",
        Key={"pk": {"S": f"SESSION#{session['id']}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="ADD attempts.#one.created_at :past",
        ExpressionAttributeNames={"#one": "1"},
        ExpressionAttributeValues={":past": {"N": "-1801"}},
    )
    return session


def upload(world: World, session: dict[str, Any]) -> None:
    """Uploads every registered file and delivers S3's events."""
    for index, asset in enumerate(session["assets"]):
        key = asset["upload"]["fields"]["key"]
        # Files of different bytes: the same bytes would be one asset.
        content = portrait("alice", 600 + index, 800, image_format="JPEG")
        put = boto3.client("s3").put_object(Bucket=world.bucket, Key=key, Body=content)
        about = {"key": key, "size": len(content), "version-id": put["VersionId"]}
        detail = {"bucket": {"name": world.bucket}, "object": about}
        world.call("check_upload", {"detail": detail, "time": "2026-01-01T00:00:00Z"})


def come_back(world: World, session: dict[str, Any], outcome: str = "pass") -> str:
    """The person does the check and the browser comes to the callback; where it is sent."""
    link = session["attempt"]["h5_link"]
    back = requests.post(link, data={"outcome": outcome, "person": "alice"}, allow_redirects=False, timeout=10)
    parts = urlsplit(back.headers["Location"])
    _, session_id, attempt, signature = parts.path.removeprefix("/v1").strip("/").split("/")
    answer = world.call(
        "receive_callback",
        {
            "pathParameters": {"session_id": session_id, "attempt": attempt, "signature": signature},
            "multiValueQueryStringParameters": parse_qs(parts.query),
            "requestContext": {"domainName": "x", "stage": "v1"},
        },
    )
    assert answer["statusCode"] == 303
    return str(answer["headers"]["Location"])


def run(world: World, session: dict[str, Any]) -> Any:
    """Everything from the callback to the end of the execution; the session's row."""
    come_back(world, session)
    world.drain()
    world.wait()
    return bootstrap.store().get_session(session["id"])


def statuses(session_id: str) -> dict[str, str]:
    """Each asset's status by name."""
    return {each.name: each.status.value for each in bootstrap.store().list_assets(session_id)}


def test_a_pass_with_three_assets_ends_with_each_settled(world: World) -> None:
    session = create(world, "good 1", "good 2", "other_person")
    upload(world, session)
    row = run(world, session)
    assert row.status == "verified"
    assert row.driver is None
    assert statuses(session["id"]) == {"good 1": "active", "good 2": "active", "other_person": "failed"}
    (execution,) = world.executions()
    assert execution["status"] == "SUCCEEDED"


def test_a_session_without_assets_ends_verified_and_starts_again_on_an_upload(world: World) -> None:
    session = create(world, "good")
    assert run(world, session).status == "verified"
    assert statuses(session["id"]) == {"good": "awaiting_upload"}
    upload(world, session)
    assert world.drain() == 1
    executions = world.wait()
    assert [each["status"] for each in executions] == ["SUCCEEDED"] * 2
    assert statuses(session["id"]) == {"good": "active"}


def test_an_asset_that_never_settles_fails_at_the_deadline(world: World) -> None:
    session = create(world, "never", "good")
    upload(world, session)
    run(world, session)
    assert statuses(session["id"]) == {"never": "failed", "good": "active"}
    (late,) = [each for each in bootstrap.store().list_assets(session["id"]) if each.name == "never"]
    assert late.error
    assert late.error.code == "activation_timeout"


def test_a_failed_download_is_signed_and_submitted_once_more(world: World) -> None:
    session = create(world, "lost")
    upload(world, session)
    run(world, session)
    assert statuses(session["id"]) == {"lost": "active"}


def test_a_throttled_submission_is_repeated_and_leaves_no_orphan(world: World) -> None:
    world.simulator.add_faults(FaultRule(call="upload", kind="both", code=429, times=1))
    session = create(world, "good")
    upload(world, session)
    run(world, session)
    (asset,) = bootstrap.store().list_assets(session["id"])
    assert asset.status == "active"
    assert asset.ambiguous_submissions == 1, "only the call that went through counts"


def test_a_deferred_lookup_is_repeated_and_the_token_is_used_once(world: World) -> None:
    world.simulator.add_faults(FaultRule(call="result", kind="both", code=455, times=1))
    assert run(world, create(world)).status == "verified"
    lookups = [each for each in world.simulator.log() if each.call == "result" and each.code == 200]
    assert len(lookups) == 1


def test_a_burned_token_is_said_honestly_and_a_fresh_attempt_is_offered(world: World) -> None:
    world.simulator.add_faults(FaultRule(call="result", kind="reset", times=1, work_done=True))
    row = run(world, aged(create(world)))
    assert (row.status, row.last_error.code) == ("requires_input", "result_lost")
    assert row.attempts[1].status == "lost"
    assert row.group_id is None


def test_who_did_not_pass_is_never_verified(world: World) -> None:
    session = create(world)
    assert come_back(world, session, "fail").endswith("status=requires_input")
    row = bootstrap.store().get_session(session["id"])
    assert row
    assert row.last_error
    assert row.last_error.code == "attempt_failed"
    # The delayed link check finds an attempt that was answered: nothing is looked up.
    world.drain()
    assert world.executions() == []


@pytest.mark.parametrize("passed", [True, False])
def test_the_link_check_looks_up_once_when_no_callback_came(world: World, passed: bool) -> None:
    session = create(world)
    if not passed:
        aged(session)
    else:
        requests.post(
            session["attempt"]["h5_link"],
            data={"outcome": "pass", "person": "alice"},
            timeout=10,
            allow_redirects=False,
        )
    world.drain()
    (execution,) = world.wait()
    assert execution["name"] == f"{session['id']}-a1-check"
    row = bootstrap.store().get_session(session["id"])
    assert row
    assert row.status == ("verified" if passed else "requires_input")
    assert (row.last_error and row.last_error.code) == (None if passed else "link_expired")


def test_nothing_but_ids_travels(world: World) -> None:
    session = create(world, "good")
    upload(world, session)
    run(world, session)
    (execution,) = world.executions()
    history = boto3.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
    text = json.dumps(history["events"], default=str)
    token = parse_qs(urlsplit(session["attempt"]["h5_link"]).query)["bytedToken"][0]
    assert token not in text
    assert "X-Amz-" not in text
    assert "good" not in text, "names stay in the table"
