"""During a deployment, data of the previous version is still read: items, messages, payloads of executions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from likeness.adapters.table.items import RETENTION_SECONDS, asset_from, asset_item, session_from, session_item
from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported, read_message
from likeness.domain.asset import AssetStatus
from likeness.domain.due import shard_of
from likeness.domain.polling import Schedule
from likeness.domain.session import AttemptStatus, SessionStatus
from likeness.steps.files.next_action import PollPolicy, next_action
from tests.unit.fakes import FakePollHistory

SESSION_ID = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#: Items as version 0.1.0 stored them, before files had digests and sessions could be erased.
SESSION: dict[str, Any] = {
    "pk": {"S": f"SESSION#{SESSION_ID}"}, "sk": {"S": "SESSION"}, "id": {"S": SESSION_ID}, "client_id": {"S": "acme"},
    "status": {"S": "processing"}, "language": {"S": "zh"}, "attempt_count": {"N": "1"}, "asset_count": {"N": "1"},
    "generation": {"N": "0"}, "created_at": {"N": "1800000000"}, "updated_at": {"N": "1800000000.5"},
    "ttl": {"N": "1834560000"},
    "attempts": {"M": {"1": {"M": {
        "status": {"S": "passed"}, "byted_token": {"S": "t"}, "created_at": {"N": "1800000000"},
        "expires_at": {"N": "1800000120"}, "result_code": {"S": "10000"},
    }}}},
}  # fmt: skip
ASSET: dict[str, Any] = {
    "pk": {"S": f"SESSION#{SESSION_ID}"}, "sk": {"S": "ASSET#ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
    "id": {"S": "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "session_id": {"S": SESSION_ID}, "name": {"S": "front"},
    "asset_type": {"S": "Image"}, "content_type": {"S": "image/jpeg"}, "status": {"S": "uploaded"},
    "object_key": {"S": "uploads/x/y/file"}, "version_id": {"S": "v"}, "size_bytes": {"N": "1000"},
    "created_at": {"N": "1800000000"}, "updated_at": {"N": "1800000000"}, "ambiguous_submissions": {"N": "0"},
    "resubmissions": {"N": "0"},
}  # fmt: skip


def test_items_without_the_newer_attributes_are_read() -> None:
    session, asset = session_from(SESSION), asset_from(ASSET)
    assert (session.status, session.attempts[1].status) == (SessionStatus.PROCESSING, AttemptStatus.PASSED)
    assert (asset.status, asset.sha256) == (AssetStatus.UPLOADED, None)
    # It is in no index of assets, because an index attribute cannot be empty.
    assert asset.client_id == ""
    # When it is written again, it expires with its session, and reconcile finds it.
    due = {"due_shard": {"S": shard_of(asset.id)}, "due_at": {"N": "1800000600"}}
    assert asset_item(asset) == ASSET | due | {"ttl": {"N": str(1_800_000_000 + RETENTION_SECONDS)}}
    due = {"due_shard": {"S": shard_of(session.id)}, "due_at": {"N": "1800000600.5"}}
    assert session_item(session) == SESSION | due


def test_files_without_a_digest_have_no_duplicates() -> None:
    first = asset_from(ASSET)
    second = asset_from(ASSET | {"id": {"S": "ast_01ARZ3NDEKTSV4RRFFQ69G5FAW"}})
    poll_policy = PollPolicy(Schedule(), FakePollHistory())
    store: Any = None  # nothing is shared, so nothing is written
    assert next_action(store, [first, second], poll_policy, 1.8e9, 0, asked_at=None)["asset_ids"] == [
        first.id,
        second.id,
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"type": "pass_reported", "attempt": 1}, PassReported),
        ({"type": "link_check", "attempt": 1}, LinkCheck),
        ({"type": "assets_ready"}, AssetsReady),
    ],
)
def test_messages_of_older_and_newer_versions_are_read(body: dict[str, Any], kind: type) -> None:
    older = body | {"session_id": SESSION_ID}
    assert isinstance(read_message(json.dumps(older)), kind)
    assert isinstance(read_message(json.dumps(older | {"of_the_next_version": [1]})), kind)


@pytest.mark.parametrize("found", [None, "", 7, ["1"], "1-ab\n", "a" * 65, "x y", "<script>"])
def test_an_invalid_correlation_id_is_ignored(found: object) -> None:
    body = {"type": "pass_reported", "attempt": 1, "session_id": SESSION_ID, "correlation_id": found}
    assert read_message(json.dumps(body)) == PassReported(SESSION_ID, 1)


def test_a_session_without_a_correlation_id_writes_what_the_previous_version_wrote() -> None:
    assert session_from(SESSION).correlation_id is None
    assert AssetsReady(SESSION_ID).to_json() == '{"type":"assets_ready","session_id":"%s"}' % SESSION_ID  # noqa: UP031


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "null", "[]", "1", "[" * 100_000, "{}",
        json.dumps({"type": "of_the_next_version", "session_id": SESSION_ID}),
        json.dumps({"type": "assets_ready"}),
        json.dumps({"type": "assets_ready", "session_id": 7}),
        json.dumps({"type": "assets_ready", "session_id": SESSION_ID + "\n"}),
        json.dumps({"type": "pass_reported", "session_id": SESSION_ID}),
        json.dumps({"type": "pass_reported", "session_id": SESSION_ID, "attempt": "1"}),
        json.dumps({"type": "link_check", "session_id": SESSION_ID, "attempt": True}),
        json.dumps({"type": "link_check", "session_id": SESSION_ID, "attempt": 0}),
    ],
)  # fmt: skip
def test_an_invalid_message_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_message(body)


@pytest.mark.parametrize(
    "message",
    [
        PassReported(SESSION_ID, 1), LinkCheck(SESSION_ID, 2), AssetsReady(SESSION_ID),
        PassReported(SESSION_ID, 1, correlation_id="1-5f84c7a1-abc"), AssetsReady(SESSION_ID, correlation_id="r"),
    ],
)  # fmt: skip
def test_a_message_is_read_back_unchanged(message: PassReported | LinkCheck | AssetsReady) -> None:
    assert read_message(message.to_json()) == message
