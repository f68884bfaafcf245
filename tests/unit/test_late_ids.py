"""Every id from crun stays known, even after an erasure. A shared id refers to the file that is not erased."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from likeness.adapters.table.items import decode_item, encode, session_key
from likeness.adapters.table.upstream_ids import DynamoUpstreamIds
from likeness.contracts.inventory import asset_items, lines_of, read_line, session_item, single_item, text_of
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.crun import AssetReport
from likeness.domain.session import AttemptStatus, Session, SessionStatus
from likeness.errors import NotFound
from likeness.steps.crun_routes.get_result import GetResult
from likeness.steps.files.claim_assets import ClaimAssets
from likeness.steps.files.next_action import PollPolicy
from likeness.steps.upkeep.erase_session import EraseAsset, EraseSession
from tests.template_file import ASL
from tests.unit.fakes import no_generations
from tests.unit.step_harness import TABLE, StepHarness

ACME = Caller("acme")


def erase(harness: StepHarness, session: Session) -> Any:
    return EraseSession(harness.store, harness.files, harness.workflows, harness.clock, no_generations)(
        ACME, session.id
    )


def save_group(harness: StepHarness, session: Session, group_id: str, number: int = 1) -> None:
    values = {"$.lookup.result.attempt": str(number), "$.lookup.result.group_id": group_id}
    harness.play("SaveGroup", session.id, values)


def claim(harness: StepHarness, session: Session, found: dict[str, Any]) -> Any:
    """Runs the state ClaimAssets, as after SaveGroup's Catch."""
    assert ASL["States"]["ClaimAssets"]["Parameters"]["Payload"]["lookup.$"] == "$.lookup.result"
    step = ClaimAssets(harness.store, harness.clock, PollPolicy(harness.schedule, harness.history))
    return step(session.id, f"{session.id}-a{found['attempt']}", group_id=found["group_id"])


def lines(harness: StepHarness, session: Session) -> list[dict[str, Any]]:
    """Returns the lines of a session in an export."""
    found = []
    for pk in (f"SESSION#{session.id}", f"EARLIER#{session.id}"):
        page = harness.dynamodb.query(
            TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": encode(pk)}
        )
        items = [decode_item(each) for each in page["Items"]]
        found += [read_line(text_of(each)) for each in (lines_of(items) if items else [])]
    return found


def test_erased_between_look_up_result_and_save_group(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one)
    harness.workflows.start(f"{one.id}-a1", "{}")
    harness.crun.groups.append("group-late")
    found = harness.look_up(one)
    tombstone = erase(harness, one)
    assert tombstone["group_id"] is None
    assert harness.workflows.is_running(f"{one.id}-a1"), "only the execution has the group's id"
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        save_group(harness, one, found["group_id"])
    for _ in range(2):
        assert claim(harness, one, found)["next"] == "done"
    row = harness.row(one)
    assert (row.status, row.group_id, row.verified_at) == (SessionStatus.REDACTED, "group-late", None)
    assert erase(harness, one)["erasure"]["group_ids"] == ["group-late"]
    (line,) = lines(harness, one)
    assert (line["kind"], line["upstream"]["group_id"]) == ("tombstone", "group-late")
    assert not DynamoUpstreamIds(harness.dynamodb, TABLE).session_of("group-late")


def test_a_last_chance_look_up_is_not_stopped_and_other_executions_are(harness: StepHarness) -> None:
    one = harness.session(AttemptStatus.OPEN, AttemptStatus.FAILED, AttemptStatus.PASSED)
    for name in ("a1", "a1-check", "a2", "a2-check", "a3", "a3-check", "g0"):
        harness.workflows.start(f"{one.id}-{name}", "{}")
    erase(harness, one)
    running = {name for name in harness.workflows.started if harness.workflows.is_running(name)}
    # A callback may arrive during the link check. The attempt is then passed, and the link check has the group.
    assert running == {f"{one.id}-{name}" for name in ("a1-check", "a3", "a3-check")}


def test_an_erased_session_is_not_looked_up(harness: StepHarness) -> None:
    one = harness.session()
    harness.callback(one)
    erase(harness, one)
    assert harness.look_up(one)["outcome"] == "not_verified"
    assert harness.crun.looked_up == []


def test_two_checks_that_pass_concurrently_both_keep_their_groups(harness: StepHarness) -> None:
    one = harness.session(AttemptStatus.PASSED, AttemptStatus.PASSED)
    harness.crun.groups.extend(["group-1", "group-2"])
    first, second = harness.look_up(one, 1, "a"), harness.look_up(one, 2, "b")
    save_group(harness, one, first["group_id"])
    claim(harness, one, first)
    with pytest.raises(ClientError):
        save_group(harness, one, second["group_id"], 2)
    for _ in range(2):
        claim(harness, one, second)
    assert (harness.row(one).group_id, harness.row(one).other_group_ids) == ("group-1", ("group-2",))
    assert erase(harness, one)["erasure"]["group_ids"] == ["group-1", "group-2"]
    (line,) = lines(harness, one)
    assert (line["upstream"]["group_id"], line["upstream"]["other_group_ids"]) == ("group-1", ["group-2"])
    assert session_item(line)["other_group_ids"] == ["group-2"]


def test_a_claim_of_an_execution_without_a_look_up_writes_no_group(harness: StepHarness) -> None:
    one, _ = harness.verified(AssetStatus.UPLOADED)
    assert harness.claim(one)["next"] == "submit"
    assert harness.row(one).other_group_ids == ()
    late = harness.session()
    harness.store.record_late_group(late.id, "group-x")  # SaveGroup will store its group later
    assert harness.row(late).group_id is None
    harness.store.record_late_group("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "group-x")
    assert harness.store.get_session("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV") is None


def submitted_twice(harness: StepHarness) -> tuple[Session, Asset]:
    """Stores a file that crun failed to download once, and that has a second AssetId."""
    one, (file,) = harness.verified(AssetStatus.PROCESSING)
    harness.store.change_asset(replace(file, crun_asset_id="first-id"), [AssetStatus.PROCESSING])
    harness.crun.reports["first-id"] = AssetReport("Failed", "DownloadFailed")
    assert harness.poll(one)["next"] == "submit"
    harness.crun.uploads.append("second-id")
    assert harness.submit(harness.file(file)) == "submitted"
    return one, file


def test_a_file_that_was_submitted_twice(harness: StepHarness) -> None:
    one, file = submitted_twice(harness)
    tombstone = erase(harness, one)
    (shown,) = tombstone["assets"]
    assert (shown["crun_asset_id"], shown["earlier_crun_asset_id"]) == ("second-id", "first-id")
    assert tombstone["erasure"]["asset_ids"] == ["first-id", "second-id"]
    line, earlier = lines(harness, one)
    assert line["upstream"]["asset_ids"] == ["first-id", "second-id"]
    assert asset_items(line)[0]["earlier_crun_asset_id"] == "first-id"
    assert single_item(earlier)["upstream_id"] == "first-id"
    assert harness.file(file).earlier_crun_asset_id == "first-id"


@pytest.mark.parametrize("again", [False, True])
def test_a_file_of_an_earlier_version_is_known_after_an_erasure(harness: StepHarness, again: bool) -> None:
    one, file = submitted_twice(harness)
    if again:  # erased by the earlier version, which showed only one id
        erase(harness, one)
    harness.dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": encode(f"SESSION#{one.id}"), "sk": encode(f"ASSET#{file.id}")},
        UpdateExpression="REMOVE earlier_crun_asset_id",
    )
    assert erase(harness, one)["erasure"]["asset_ids"] == ["first-id", "second-id"]


def test_one_erased_file_shows_both_of_its_ids(harness: StepHarness) -> None:
    one, file = submitted_twice(harness)
    for _ in range(2):
        shown = EraseAsset(harness.store, harness.files, harness.clock)(ACME, one.id, file.id)
        assert (shown["status"], shown["crun_asset_id"]) == ("redacted", "second-id")
        assert shown["earlier_crun_asset_id"] == "first-id"


# -- shared ids -----------------------------------------------------------------------------------------------------


def info(harness: StepHarness, key: str, caller: Caller = ACME) -> Asset:
    ids = DynamoUpstreamIds(harness.dynamodb, TABLE)
    return GetResult(harness.store, ids, harness.clock, lambda _: None).asset(caller, key)


def test_one_of_two_files_with_the_same_bytes_erased(harness: StepHarness) -> None:
    one, files = harness.verified(AssetStatus.ACTIVE, AssetStatus.ACTIVE, AssetStatus.ACTIVE)
    shared = [replace(each, crun_asset_id=f"shared-{one.id}", client_id="acme") for each in files]
    for each in shared:
        harness.store.change_asset(each, [AssetStatus.ACTIVE])
    for number, each in enumerate(shared):
        assert info(harness, f"shared-{one.id}").id == each.id
        with pytest.raises(NotFound):
            info(harness, f"shared-{one.id}", Caller("other"))
        if number < 2:
            EraseAsset(harness.store, harness.files, harness.clock)(ACME, one.id, each.id)
    erase(harness, one)
    with pytest.raises(NotFound):
        info(harness, f"shared-{one.id}")


@pytest.mark.parametrize("client", ["acme", "other"])
def test_two_sessions_with_one_group_id_one_erased(harness: StepHarness, client: str) -> None:
    ids = DynamoUpstreamIds(harness.dynamodb, TABLE)
    group = f"group-of-{client}"
    first, second = harness.session(client_id="acme"), harness.session(client_id=client)
    for each in (first, second):
        harness.callback(each)
        save_group(harness, each, group)
    assert ids.session_of(group, "acme") == first.id
    assert ids.session_of(group, client) == (first.id if client == "acme" else second.id)
    erase(harness, first)
    assert ids.session_of(group, client) == second.id


@pytest.mark.parametrize("key", ["x" * 3000, "人" * 500, "ast_" + "0" * 3000])
def test_an_id_that_is_too_long_is_not_found(harness: StepHarness, key: str) -> None:
    ids = DynamoUpstreamIds(harness.dynamodb, TABLE)
    assert ids.session_of(key, "acme") is None
    assert ids.asset_of("acme", key) is None
    with pytest.raises(NotFound):
        info(harness, key)
    assert session_key("x")
