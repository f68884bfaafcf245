"""Least privilege: each role allows the actions and resources that its function uses, and no others.

``used`` plays scenarios that reach every AWS call of every function. ``simulated_aws()`` checks that no other scenario
of this folder exceeds the roles.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import session_key
from likeness.adapters.table.webhooks import webhook_item
from likeness.contracts.integration import make_test_delivery
from likeness.contracts.webhooks import Resumption, TaskOver
from likeness.domain.asset import AssetStatus
from likeness.domain.drop_in import session_of
from likeness.domain.generation import GenerationStatus, Media
from likeness.domain.session import MAX_ASSETS_PER_SESSION, Problem
from likeness.domain.webhooks import Endpoint, new_secret
from likeness.runtime import bootstrap
from likeness.steps.files.next_action import MAX_POLLS
from local.receiver import Receiver, Reply
from local.simulator import FaultRule
from ops.client_keys import ClientKeys
from tests.aws import Tables
from tests.faults.crun_caller import CrunCaller, served_face
from tests.faults.fault_injection import Fault
from tests.faults.onboarding import FACES, Onboarding, registration, take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import SimulatedAws, simulated_aws
from tests.roles import (
    Permission,
    deployed,
    granted,
    holders,
    roles,
    template,
    used_by_the_machines,
    used_by_the_platform,
)
from tests.template_file import ROOT

SESSION = "/sessions/{session_id}"


def _verified(where: SimulatedAws, *names: str) -> dict[str, Any]:
    """Creates a session with slots for ``names``, passes its check and waits until all work has ended."""
    answer = where.api("POST", "/sessions", body={"assets": [registration(0, name) for name in names]})
    where.browser(take_check(answer.body["attempt"]["h5_link"], "pass"))
    where.settle()
    made: dict[str, Any] = answer.body
    return made


def _upload(where: SimulatedAws, asset: dict[str, Any], content: bytes) -> None:
    where.put_object(asset["upload"]["fields"]["key"], content)


def _before(operation: str, function: str, action: Callable[[], object], where: SimulatedAws) -> None:
    """Runs ``action`` once, right before a function's next ``operation`` on DynamoDB."""
    events, name = bootstrap.client("dynamodb").meta.events, f"before-call.dynamodb.{operation}"

    def act(**_: Any) -> None:
        if where.injector.caller == function:
            events.unregister(name, act)
            action()

    events.register_first(name, act)


def _an_onboarding(where: SimulatedAws) -> None:
    story = Onboarding(where)
    where.play(story.story())
    where.settle()
    assert story.ended
    for resource in ("/sessions", SESSION):
        assert where.api("GET", resource, session_id=story.session_id).status == 200
    asset = where.store.list_assets(story.session_id)[0].id
    found = where.api("GET", f"{SESSION}/assets/{{asset_id}}", session_id=story.session_id, asset_id=asset)
    assert found.status == 200
    for each in where.store.list_assets(story.session_id):  # uploaded, and dropped into the inbox
        preview = f"{SESSION}/assets/{{asset_id}}/preview"
        assert where.api("GET", preview, session_id=story.session_id, asset_id=each.id).status == 200
    first = where.store.list_assets(story.session_id)[0]
    for known in (first.id, str(first.crun_asset_id)):
        listed = where.api("GET", "/sessions", query=f"asset_id={known}").body["sessions"]
        assert [each["id"] for each in listed] == [story.session_id]
    (day,) = where.api("GET", "/stats").body["days"]
    assert (day["sessions"], day["statuses"]) == (1, {"verified": 1})
    assert sum(day["assets"].values()) == len(where.store.list_assets(story.session_id))
    for each in where.store.list_assets(story.session_id):  # uploaded, and dropped into the inbox
        one = f"{SESSION}/assets/{{asset_id}}"
        assert where.api("DELETE", one, session_id=story.session_id, asset_id=each.id).status == 200
    assert where.api("DELETE", SESSION, session_id=story.session_id).status == 200


def _file_requests(where: SimulatedAws) -> None:
    wanted = [{"name": name, "asset_type": "Image"} for name in ("face 0", "face 1", "face 2")]
    made = where.api("POST", "/sessions", body={"requests": wanted[:1]}).body
    on = {"session_id": made["id"]}
    where.browser(take_check(made["attempt"]["h5_link"], "pass"))
    where.settle()
    assert where.api("POST", f"{SESSION}/requests", body={"requests": wanted}, **on).status == 201
    body = registration(0) | {"request": "face 0"}
    first, second = (where.api("POST", f"{SESSION}/assets", body=body, **on) for _ in range(2))
    assert (first.status, second.status) == (201, 201), "the first file has not arrived"
    _upload(where, second.body, FACES[0])
    where.settle()
    assert where.api("POST", f"{SESSION}/assets", body=body, **on).body["code"] == "request_filled"
    where.api("POST", f"{SESSION}/assets", body=registration(1) | {"request": "face 1"}, **on)
    for name, status in (("face 2", 200), ("face 1", 200), ("face 0", 409)):
        assert where.api("DELETE", f"{SESSION}/requests/{{name}}", name=name, **on).status == status
    view = where.api("POST", f"{SESSION}/finish", **on).body
    assert (view["settled"], view["requests"][0]["status"]) == (True, "active")


def _a_retried_file(where: SimulatedAws) -> None:
    session = _verified(where, "late")
    _upload(where, session["assets"][0], FACES[0])
    where.settle()
    (asset,) = where.store.list_assets(session["id"])
    late = Problem("activation_timeout", "The file was not activated in time.", retryable=True)
    where.store.change_asset(replace(asset, status=AssetStatus.FAILED, error=late), [AssetStatus.ACTIVE])
    retry = f"{SESSION}/assets/{{asset_id}}/retry"
    assert where.api("POST", retry, session_id=session["id"], asset_id=asset.id).status == 200
    where.settle()
    (asset,) = where.store.list_assets(session["id"])
    assert (asset.status, len(asset.crun_asset_ids)) == (AssetStatus.ACTIVE, 2)


def _an_idempotency_key_after_a_failure(where: SimulatedAws) -> None:
    where.simulator.add_faults(FaultRule(call="session", kind="both", code=422, times=1))
    body = {"reference": "order-1"}
    answers = [where.api("POST", "/sessions", idempotency_key="order-1", body=body).status for _ in range(3)]
    other = where.api("POST", "/sessions", idempotency_key="order-1", body={}).status
    assert [*answers, other] == [502, 201, 201, 409]
    where.settle()


def _a_failed_attempt_and_an_abandoned_one(where: SimulatedAws) -> None:
    session = where.api("POST", "/sessions", body={"start": "on_open"}).body
    person = session["invite_url"].partition("#")[2]
    assert where.api("POST", f"{SESSION}/attempts", key=person, session_id=session["id"]).status == 409
    assert where.api("POST", f"{SESSION}/consent/decline", key=person, session_id=session["id"]).status == 200
    text = where.api("GET", "/consent").body
    agreed = {name: text[name] for name in ("text_version", "language", "sha256")}
    for status in (201, 200):
        answer = where.api("POST", f"{SESSION}/consent", key=person, session_id=session["id"], body=agreed)
        assert answer.status == status
    made = where.api("POST", f"{SESSION}/attempts", key=person, session_id=session["id"])
    assert where.browser(take_check(made.body["attempt"]["h5_link"], "fail")).status == 303
    where.settle()
    made = where.api("POST", f"{SESSION}/attempts", key=person, session_id=session["id"])
    assert made.status == 201
    where.settle()
    assert where.lookups, "the link check looked the abandoned attempt up"


def _the_same_bytes_again(where: SimulatedAws) -> None:
    session = _verified(where, "first", "second")
    first, second = session["assets"]
    _upload(where, first, FACES[0])
    where.settle()
    _upload(where, second, FACES[0])
    where.settle()
    assert len({each.crun_asset_id for each in where.store.list_assets(session["id"])}) == 1
    body = registration(0) | {"sha256": hashlib.sha256(FACES[0]).hexdigest()}
    known = where.api("POST", f"{SESSION}/assets", session_id=session["id"], body=body)
    assert known.status == 200
    shared = str(where.store.list_assets(session["id"])[0].crun_asset_id)
    results = where.api("POST", "/use-checks", body={"ids": [shared, first["id"], session["id"]]}).body["results"]
    assert [each["allowed"] for each in results] == [True, True, True]


def _a_consent_that_ends(where: SimulatedAws) -> None:
    made = where.api("POST", "/sessions", body={"assets": [registration(0, "one"), registration(1, "two")]}).body
    on = {"session_id": made["id"]}
    assert where.api("PUT", f"{SESSION}/consent_terms", body={"valid_days": 90}, **on).status == 200
    where.browser(take_check(made["attempt"]["h5_link"], "pass"))
    where.settle()
    _upload(where, made["assets"][0], FACES[0])
    where.settle(3)
    assert where.api("POST", f"{SESSION}/consent/withdraw", **on).body["consent_withdrawal"]["in_flight"]
    _upload(where, made["assets"][1], FACES[1])
    where.settle()
    assert where.api("GET", f"{SESSION}/use", **on).body["code"] == "consent_withdrawn"
    agreed = where.api("GET", "/consent", query="language=en&valid_days=90").body
    body = {name: agreed[name] for name in ("text_version", "language", "sha256")}
    assert where.api("POST", f"{SESSION}/consent", body=body, **on).status == 201
    where.settle(1200)
    assert len(where.api("GET", f"{SESSION}/use", **on).body["assets"]) == 2
    where.api("POST", f"{SESSION}/consent/withdraw", **on)
    _erased_by_policy(where)
    assert where.api("GET", SESSION, **on).body["status"] == "redacted"


def _erased_by_policy(where: SimulatedAws) -> None:
    """Plays what follows when withdrawn sessions are erased."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ON_WITHDRAWAL", "erase")
        patch.setenv("WITHDRAWAL_GRACE_DAYS", "0")
        where.warm.pop("reconcile", None)
        where.settle()
    where.warm.pop("reconcile", None)


def _receipts(where: SimulatedAws) -> None:
    session = where.api("POST", "/sessions", body={"start": "on_open"}).body
    person, on = session["invite_url"].partition("#")[2], {"session_id": session["id"]}
    text = where.api("GET", "/consent").body
    agreed = {name: text[name] for name in ("text_version", "language", "sha256")}
    assert where.api("POST", f"{SESSION}/consent", key=person, body=agreed, **on).status == 201
    issued = where.api("POST", f"{SESSION}/receipt", key=person, **on)
    first = issued.body["receipt_url"].partition("#")[2]
    assert where.api("GET", "/receipt", key=first).status == 200
    second = where.api("POST", f"{SESSION}/receipt", key=first, **on).body["receipt_url"].partition("#")[2]
    assert [where.api("GET", "/receipt", key=each).status for each in (second, first)] == [200, 403]
    assert where.api("POST", f"{SESSION}/receipt", **on).status == 201, "the client has one of its own"
    assert where.api("GET", f"{SESSION}/receipt", key=second, **on).status == 200
    assert where.api("DELETE", f"{SESSION}/receipt", **on).status == 200
    assert where.api("POST", f"{SESSION}/consent/withdraw", key=second, **on).status == 200
    assert where.api("DELETE", f"{SESSION}/receipt", key=second, **on).status == 200
    assert where.api("GET", "/receipt", key=second).status == 403


def _bad_files(where: SimulatedAws) -> None:
    session = _verified(where, "bad")
    _upload(where, session["assets"][0], b"no picture")
    where.put_object(f"inbox/{session['id']}/bad.jpg", b"no picture")
    where.settle()
    assert {each.status.value for each in where.store.list_assets(session["id"])} == {"failed"}


def _a_long_execution(where: SimulatedAws) -> None:
    session = _verified(where, "slow")
    _upload(where, session["assets"][0], FACES[0])
    where.settle(3)
    row = where.store.get_session(session["id"])
    assert row
    assert row.driver
    last = {"session_id": row.id, "execution": row.driver, "round": MAX_POLLS}
    assert where.invoke("poll_assets", last)["next"] == "done"
    where.settle()
    assert [each.status.value for each in where.store.list_assets(row.id)] == ["active"]


def _an_execution_that_fails_before_it_claims(where: SimulatedAws) -> None:
    session = _verified(where, "early", "late")
    where.reconciles = False  # the next file's message comes first
    where.injector.outage = lambda *_: Fault.FAILS if where.injector.caller == "claim_assets" else None
    _upload(where, session["assets"][0], FACES[0])
    where.settle()
    assert "FAILED" in where.executions.values()
    where.injector.outage = lambda *_: None
    _upload(where, session["assets"][1], FACES[1])
    where.settle()
    where.reconciles = True
    assert {each.status.value for each in where.store.list_assets(session["id"])} == {"active"}


def _an_erasure_in_between(where: SimulatedAws, operation: str, function: str) -> None:
    """An erasure changes what the function has just read."""
    session = _verified(where, "first", "second")
    first, second = session["assets"]
    erased: list[int] = []
    _upload(where, first, FACES[0])
    if function == "claim_assets":
        where.settle()
        _upload(where, second, FACES[0])

    def erase() -> None:
        erased.append(where.api("DELETE", SESSION, session_id=session["id"]).status)

    _before(operation, function, erase, where)
    where.settle()
    assert erased == [200]
    _upload(where, second, FACES[1])
    where.put_object(f"inbox/{session['id']}/late.jpg", FACES[2])
    where.settle()
    assert (
        where.aws("s3").list_object_versions(Bucket="uploads", Prefix=f"inbox/{session['id']}/").get("Versions") is None
    )


def _poison(where: SimulatedAws) -> None:
    where.send("unreadable")
    where.settle()
    assert where.waiting(where.dead_letter_url) == 1


def _changes(where: SimulatedAws) -> None:
    records = json.loads((ROOT / "events/publish_changes.json").read_text())["Records"]
    unreadable = copy.deepcopy(records[0])
    unreadable["dynamodb"]["NewImage"]["status"] = {"S": "of a later version"}
    assert where.invoke("publish_changes", {"Records": [*records, unreadable]}) == {"batchItemFailures": []}


def _webhooks(where: SimulatedAws) -> None:
    sqs, url = where.aws("sqs"), os.environ["WEBHOOK_QUEUE_URL"]
    announcement, _ = json.loads((ROOT / "events/send_webhooks.json").read_text())["Records"]
    answers = iter([Reply(500), Reply(410)])
    with Receiver(lambda _: next(answers)) as receiver:
        endpoint = Endpoint("acme", "whe_1", receiver.url, new_secret(bytes(32)), where.now)
        where.aws("dynamodb").put_item(TableName="Table", Item=webhook_item(endpoint))
        for body, failed in (("unreadable", 0), (announcement["body"], 0), (None, 1), (None, 0)):
            if body:
                sqs.send_message(QueueUrl=url, MessageBody=body)
            (message,) = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
            }
            assert len(where.invoke("send_webhooks", {"Records": [record]})["batchItemFailures"]) == failed
            if not failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            where.settle(60)
    _a_webhook_that_waits(where)
    _a_test_and_a_replay(where)


def _a_test_and_a_replay(where: SimulatedAws) -> None:
    endpoint = Endpoint("acme", "whe_3", "https://app.example.com/", new_secret(bytes(32)), where.now)
    where.aws("dynamodb").put_item(TableName="Table", Item=webhook_item(endpoint))
    sqs, dead = where.aws("sqs"), os.environ["WEBHOOK_DEAD_LETTER_QUEUE_URL"]
    delivery = make_test_delivery(endpoint, where.now, bytes(10))
    for body in (delivery.to_json(), "of another endpoint"):
        sqs.send_message(QueueUrl=dead, MessageBody=body)
    assert where.api("GET", "/client-keys").status == 200
    assert "whe_3" in {each["id"] for each in where.api("GET", "/webhooks").body["webhooks"]}
    assert where.api("POST", "/webhooks/{webhook_id}/test", webhook_id="whe_3").status == 202
    answer = where.api("POST", "/webhooks/{webhook_id}/replay", webhook_id="whe_3")
    assert answer.body == {"replayed": 1, "complete": True}


def _a_webhook_that_waits(where: SimulatedAws) -> None:
    messages = json.loads((ROOT / "events/send_webhooks.json").read_text())["Records"]
    with Receiver() as receiver:
        endpoint = Endpoint(
            "acme", json.loads(messages[1]["body"])["endpoint_id"], receiver.url, new_secret(bytes(32)), where.now
        )
        paused = replace(endpoint, failing_since=where.now, paused_at=where.now, probe="evt_0")
        resumed = replace(endpoint, resumption="evt_0")
        for each, body in (
            (paused, messages[1]["body"]),
            (resumed, Resumption(endpoint.id, "acme", "evt_0").to_json()),
        ):
            where.aws("dynamodb").put_item(TableName="Table", Item=webhook_item(each))
            record = messages[1] | {"body": body}
            assert where.invoke("send_webhooks", {"Records": [record]}) == {"batchItemFailures": []}
        assert len(receiver.received) == 1


def _scheduled_functions(where: SimulatedAws) -> None:
    session = _verified(where, "kept")
    _upload(where, session["assets"][0], FACES[0])
    where.settle()
    assert where.invoke("export_inventory", {})["outcome"] == "exported"
    (asset,) = where.store.list_assets(session["id"])
    with where.simulator.store.lock:
        del where.simulator.store.assets[str(asset.crun_asset_id)]
    for _ in range(2):
        assert where.invoke("recheck_assets", {})["outcome"] == "rechecked"
        where.settle(3600)
    (asset,) = where.store.list_assets(session["id"])
    assert asset.error
    assert asset.error.code == "asset_lost"
    assert where.invoke("check_credits", {}) == {"outcome": "checked"}


def _a_caller_of_crun_routes(where: SimulatedAws) -> None:
    with served_face() as url:
        caller = CrunCaller(where, url)
        where.play(caller.story())
        where.settle()
        assert caller.ended
        body = {"name": "gone", "asset_type": "Image", "asset_url": f"{url}#", "group_id": caller.group_id}
        unfit = where.crun_route("asset-upload", body=body | {"asset_type": "Video"}).body["data"]["AssetId"]
        assert where.crun_route("asset-info", asset_id=unfit).body["data"]["Status"] == "Failed"
        session = session_of(caller.issued_token) or ""
        _before("TransactWriteItems", "fetch_asset", lambda: where.api("DELETE", SESSION, session_id=session), where)
        assert where.crun_route("asset-upload", body=body).status == 404
        where.settle()
    assert not where.aws("s3").list_object_versions(Bucket="uploads", Prefix=f"uploads/{session}/").get("Versions")


def _requests_for_videos(where: SimulatedAws) -> None:
    session = _verified(where, "front")
    _upload(where, session["assets"][0], FACES[0])
    where.settle()
    (asset,) = where.api("GET", f"{SESSION}/use", session_id=session["id"]).body["assets"]
    content = {"prompt": "a walk", "reference_images": [asset["id"], asset["uri"]]}
    body = {"model": "bytedance/seedance2-0-r2v", "input": content}
    assert where.api("POST", "/generations/estimate", body=body).body["estimated_credits"] > 0
    made = where.api("POST", "/generations", idempotency_key="kept", body=body).body["id"]
    one = {"generation_id": made}
    assert [each["id"] for each in where.api("GET", "/generations").body["generations"]] == [made]
    assert where.api("GET", f"{SESSION}/uses", session_id=session["id"]).body["uses"][0]["generation_id"] == made
    generations = DynamoGenerations(where.aws("dynamodb"), "Table")
    before = generations.get(made)
    assert before
    key = f"generations/{made}/0.mp4"
    where.aws("s3").put_object(Bucket="uploads", Key=key, Body=b"film")
    ended = before.ended(GenerationStatus.SUCCEEDED, where.now)
    generations.end(replace(ended, media=(Media(key, "video/mp4", 4, "0" * 64),), credits=1.0), before)
    for again in (
        where.api("POST", "/generations", idempotency_key="kept", body=body),
        where.api("GET", "/generations/{generation_id}", **one),
    ):
        assert len(again.body["result"]["media"]) == 1
    assert where.api("DELETE", "/generations/{generation_id}", **one).status == 200
    assert not where.aws("s3").list_object_versions(Bucket="uploads", Prefix=key).get("Versions")
    made = where.api("POST", "/generations", idempotency_key="taken back", body=body).body["id"]
    assert where.api("POST", "/generations/{generation_id}/cancel", generation_id=made).status == 200


@contextmanager
def _settings_of_tasks(where: SimulatedAws, **changes: Any) -> Iterator[None]:
    before = where.simulator.settings.model_dump(include={"callback_times", *changes})
    where.simulator.update_settings(callback_times=0, **changes)
    yield
    where.simulator.update_settings(**before)


def _video(where: SimulatedAws, asset_id: str, prompt: str, seconds: float | None = None) -> str:
    """Requests a video, and plays what follows to the end, or for some seconds."""
    content = {"prompt": prompt, "reference_images": [asset_id], "duration": 4, "resolution": "480p"}
    body = {"model": "bytedance/seedance2-0-r2v", "input": content}
    made = where.api("POST", "/generations", idempotency_key=prompt, body=body).body["id"]
    where.settle(seconds) if seconds else where.settle()
    return str(made)


def _outcome(where: SimulatedAws, made: str) -> tuple[str, str | None]:
    found = where.api("GET", "/generations/{generation_id}", generation_id=made).body
    return found["status"], (found["error"] or found["media_problem"] or {}).get("code")


def _person_in_videos(where: SimulatedAws) -> tuple[dict[str, str], str]:
    session = _verified(where, "front")
    _upload(where, session["assets"][0], FACES[0])
    where.settle()
    on = {"session_id": session["id"]}
    return on, where.api("GET", f"{SESSION}/use", **on).body["assets"][0]["id"]


def _videos(where: SimulatedAws) -> None:
    on, asset = _person_in_videos(where)
    outcomes = [
        {"prompt": "refused", "outcome": "refused", "code": 422},
        {"prompt": "moderated", "outcome": "failed", "after_seconds": 5},
        {"prompt": "*", "outcome": "success", "after_seconds": 60},
    ]
    with _settings_of_tasks(where, task_outcomes=outcomes):
        assert _outcome(where, _video(where, asset, "a walk")) == ("succeeded", None)
        assert _outcome(where, _video(where, asset, "refused")) == ("refused", "upstream_rejected")
        assert _outcome(where, _video(where, asset, "moderated")) == ("failed", "generation_failed")
        where.simulator.add_faults(FaultRule(call="media", kind="http", code=403, times=None))
        assert _outcome(where, _video(where, asset, "a dead link")) == ("succeeded", "media_unavailable")
        where.simulator.clear_faults()

        made = _video(where, asset, "a callback after the end of the execution", 10)
        where.executions[made] = "ABORTED"
        where.settle(60)
        (task,) = [each for each in where.simulator.store.tasks.values() if made in str(each.callback_url)]
        assert where.task_callback(str(task.callback_url), {"task_id": task.id}).status == 200
        where.settle()
        assert _outcome(where, made) == ("succeeded", None)

        made = _video(where, asset, "an execution that is stopped", 10)
        where.executions[made] = "ABORTED"
        where.settle()
        assert _outcome(where, made)[0] == "succeeded"

        made = _video(where, asset, "an execution that dies while it creates the task", 0.01)
        where.executions[made] = "ABORTED"
        generations = DynamoGenerations(where.aws("dynamodb"), "Table")
        row = generations.get(made)
        assert row
        generations.intend(row, "dead", where.now)
        where.settle()
        assert _outcome(where, made) == ("uncertain", "task_unknown")
    assert where.api("DELETE", SESSION, **on).status == 200


def _a_withdrawal_while_a_video_is_made(where: SimulatedAws) -> None:
    on, asset = _person_in_videos(where)
    with _settings_of_tasks(where, task_min_seconds=60.0, task_max_seconds=60.0):
        assert _outcome(where, _video(where, asset, "before")) == ("succeeded", None)
        made = _video(where, asset, "during", 10)
        where.aws("s3").put_object(Bucket="uploads", Key=f"generations/{made}/1.mp4", Body=b"of an earlier try")
        assert where.api("POST", f"{SESSION}/consent/withdraw", body={}, **on).status == 200
        _erased_by_policy(where)
    assert _outcome(where, made) == ("succeeded", "consent_withdrawn")
    assert not where.aws("s3").list_object_versions(Bucket="uploads", Prefix="generations/").get("Versions")


def _a_video_by_cruns_routes(where: SimulatedAws) -> None:
    _, asset = _person_in_videos(where)
    (at_crun,) = where.simulator.store.assets
    key = ClientKeys(where.aws("dynamodb"), "Table").add("acme", sees_balance=True)
    shown = {"prompt": "a walk", "reference_images": [asset, f"asset://{at_crun}"], "duration": 4, "resolution": "480p"}
    with _settings_of_tasks(where), Receiver(lambda _: Reply(204)) as receiver:
        body = {"model": "bytedance/seedance2-0-r2v", "input": shown, "callback_url": receiver.url}
        assert where.crun_route("EstimateTask", key=key, body=body).body["data"]["affordable"]
        task = where.crun_route("CreateTask", body=body).body["data"]["task_id"]
        where.settle()
        assert where.crun_route("TaskInfo", task_id=task).body["data"]["status"] == "success"
        assert where.crun_route("account/balance", key=key).body["data"]["balance"] > 0
        made = where.api("GET", "/generations").body["generations"][0]["id"]
        record = {
            "messageId": "m", "receiptHandle": "r", "body": TaskOver(made, "acme").to_json(),
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(where.now * 1000))},
        }  # fmt: skip
        assert where.invoke("send_webhooks", {"Records": [record]}) == {"batchItemFailures": []}
        where.usage.note_media("send_webhooks", json.loads(receiver.received[0].body))


def _a_full_session_and_a_new_invite(where: SimulatedAws) -> None:
    with served_face() as url:
        caller = CrunCaller(where, url)
        where.play(caller.story())
        where.settle()
        session = session_of(caller.issued_token) or ""
        where.aws("dynamodb").update_item(
            TableName="Table",
            Key=session_key(session),
            UpdateExpression="SET asset_count = :most",
            ExpressionAttributeValues={":most": {"N": str(MAX_ASSETS_PER_SESSION)}},
        )
        body = {"name": "late", "asset_type": "Image", "asset_url": url, "group_id": caller.group_id}
        assert where.crun_route("asset-upload", body=body).status == 422
        assert where.api("POST", f"{SESSION}/assets", body=registration(0), session_id=session).status == 429
        before = len(where.store.list_assets(session))
        where.put_object(f"inbox/{session}/late.jpg", FACES[2])
        where.settle()
        assert len(where.store.list_assets(session)) == before
    assert where.api("POST", f"{SESSION}/invite", session_id=session).status == 201
    assert where.api("DELETE", f"{SESSION}/invite", session_id=session).status == 200


def _lost_events_of_files(where: SimulatedAws) -> None:
    """Reconcile checks files whose events were lost. Some are erased before it writes."""
    session = where.api(
        "POST", "/sessions", body={"assets": [registration(0, name) for name in ("lost", "erased")]}
    ).body
    where.browser(take_check(session["attempt"]["h5_link"], "pass"))
    where.settle(30)
    lost, erased = session["assets"]
    where.aws("s3").put_object(Bucket="uploads", Key=lost["upload"]["fields"]["key"], Body=FACES[0])
    where.settle(1800)
    assert {each.name for each in where.store.list_assets(session["id"]) if each.status == "active"} == {"lost"}
    where.aws("s3").put_object(Bucket="uploads", Key=erased["upload"]["fields"]["key"], Body=FACES[1])
    one = f"{SESSION}/assets/{{asset_id}}"
    _before(
        "PutItem", "reconcile", lambda: where.api("DELETE", one, session_id=session["id"], asset_id=erased["id"]), where
    )
    where.settle()
    for erases in (False, True):
        session = _verified(where)
        where.injector.outage = lambda service, _: (
            Fault.FAILS if (where.injector.caller, service) == ("check_upload", "s3") else None
        )
        where.put_object(f"inbox/{session['id']}/dropped.jpg", FACES[2])
        where.settle(800)
        where.injector.outage = lambda *_: None
        if erases:
            erase = functools.partial(where.api, "DELETE", SESSION, session_id=session["id"])
            _before("PutItem", "reconcile", erase, where)
        where.settle()
        (dropped,) = where.store.list_assets(session["id"])
        assert dropped.status == ("redacted" if erases else "active")


def _an_execution_that_is_stopped(where: SimulatedAws) -> None:
    session = where.api("POST", "/sessions", body={}).body
    where.simulator.add_faults(FaultRule(call="result", kind="both", code=455, times=None))
    where.browser(take_check(session["attempt"]["h5_link"], "pass"))
    where.settle(60)
    where.executions[f"{session['id']}-a1"] = "ABORTED"
    where.simulator.clear_faults()
    where.settle()
    row = where.store.get_session(session["id"])
    assert row
    assert row.group_id


def _a_restored_table(where: SimulatedAws) -> None:
    """A file's row loses its AssetId, and another file's message arrives before reconcile runs."""
    session = _verified(where, "first", "second")
    first, second = session["assets"]
    _upload(where, first, FACES[0])
    kept: list[Tables] = []
    _before("PutItem", "submit_asset", lambda: kept.append(Tables()), where)
    where.settle(3600)
    kept[0].restore()
    where.reconciles = False
    _upload(where, second, FACES[1])
    where.settle()
    where.reconciles = True
    assert len(where.simulator.store.assets) == 2


SCENARIOS: tuple[Callable[[SimulatedAws], None], ...] = (
    _file_requests,
    _a_retried_file,
    _an_onboarding,
    _an_idempotency_key_after_a_failure,
    _a_failed_attempt_and_an_abandoned_one,
    _the_same_bytes_again,
    _bad_files,
    _a_long_execution,
    _an_execution_that_fails_before_it_claims,
    lambda where: _an_erasure_in_between(where, "PutItem", "claim_assets"),
    lambda where: _an_erasure_in_between(where, "TransactWriteItems", "poll_assets"),
    lambda where: _an_erasure_in_between(where, "PutItem", "submit_asset"),
    _a_consent_that_ends,
    _receipts,
    _poison,
    _changes,
    _webhooks,
    _scheduled_functions,
    _a_caller_of_crun_routes,
    _requests_for_videos,
    _videos,
    _a_withdrawal_while_a_video_is_made,
    _a_video_by_cruns_routes,
    _a_full_session_and_a_new_invite,
    _lost_events_of_files,
    _an_execution_that_is_stopped,
    _a_restored_table,
)


@pytest.fixture(scope="module")
def used() -> set[Permission]:
    """Every permission that the functions, the state machine and AWS's services used."""
    resources = deployed(template())
    with simulated_aws(SETTINGS) as where:
        for play in SCENARIOS:
            where.begin({})
            play(where)
    return where.usage.seen | used_by_the_machines(resources) | used_by_the_platform(resources)


def _beyond(used: set[Permission], source: dict[str, Any]) -> list[str]:
    """Returns the permissions that were used and that a template's roles do not allow."""
    return sorted(map(str, used - set(granted(deployed(source)))))


def _idle(used: set[Permission], source: dict[str, Any]) -> list[str]:
    """Returns the permissions that a template's roles allow and that were not used."""
    return sorted(map(str, set(granted(deployed(source))) - used))


def test_every_used_permission_is_allowed(used: set[Permission]) -> None:
    assert _beyond(used, template()) == []


def test_every_allowed_permission_is_used(used: set[Permission]) -> None:
    assert _idle(used, template()) == []


def test_no_permission_is_granted_twice() -> None:
    twice = [str(each) for each, times in Counter(granted(deployed(template()))).items() if times > 1]
    assert twice == []


def test_functions_may_write_their_logs_and_have_no_other_policy_of_aws() -> None:
    resources = deployed(template())
    functions = {name: role for name, role in roles(resources) if resources[name]["Type"] == "AWS::Lambda::Function"}
    assert len(functions) == len(list((ROOT / "functions").glob("*/app.py")))
    for name, role in functions.items():
        (policy,) = role["ManagedPolicyArns"]
        text = policy if isinstance(policy, str) else policy["Fn::Sub"]
        assert text.endswith(":aws:policy/service-role/AWSLambdaBasicExecutionRole"), name


def test_every_role_is_compared() -> None:
    resources = deployed(template())
    made = {name for name, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    # API Gateway's role has only AWS's own policy for it.
    assert made - {role for _, role in holders(resources)} == {"ApiGatewayLogRole"}


# -- the comparison detects differences --------------------------------------------------------------------------


def _statement(source: dict[str, Any], function: str, action: str) -> dict[str, Any]:
    """Returns the first statement of a function's policies that has an action."""
    statements = source["Resources"][function]["Properties"]["Policies"][0]["Statement"]
    found: dict[str, Any] = next(each for each in statements if action in each["Action"])
    return found


def test_the_comparison_finds_an_extra_action(used: set[Permission]) -> None:
    source = template()
    _statement(source, "GetSessionFunction", "dynamodb:BatchGetItem")["Action"].append("dynamodb:DeleteItem")
    assert _idle(used, source) == ["GetSessionFunction: dynamodb:DeleteItem on Table"]
    assert _beyond(used, source) == []


def test_the_comparison_finds_a_missing_action(used: set[Permission]) -> None:
    source = template()
    _statement(source, "PollAssetsFunction", "dynamodb:GetItem")["Action"].remove("dynamodb:GetItem")
    assert _beyond(used, source) == ["PollAssetsFunction: dynamodb:GetItem on Table"]
    assert _idle(used, source) == []


@pytest.mark.parametrize(
    ("resource", "wide"),
    [
        ({"Fn::Sub": "${UploadBucket.Arn}/*"}, "UploadBucket/*"),
        ({"Fn::Sub": "${UploadBucket.Arn}/inbox/*"}, "UploadBucket/inbox/*"),
        ("*", "*"),
    ],
)
def test_the_comparison_finds_another_resource(used: set[Permission], resource: Any, wide: str) -> None:
    source = template()
    _statement(source, "RegisterAssetFunction", "s3:PutObject")["Resource"] = resource
    assert _idle(used, source) == [f"RegisterAssetFunction: s3:PutObject on {wide}"]
    assert _beyond(used, source) == ["RegisterAssetFunction: s3:PutObject on UploadBucket/uploads/*"]


def test_simulated_aws_fails_when_a_call_exceeds_its_role() -> None:
    with (
        pytest.raises(AssertionError, match="GetSessionFunction: dynamodb:DeleteItem on Table"),
        simulated_aws({}) as where,
    ):
        where.usage.note("get_session", "dynamodb", "DeleteItem", {"TableName": "Table"})
