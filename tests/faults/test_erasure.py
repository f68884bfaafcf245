"""DELETE /sessions/{id} at any moment removes personal data for good, whatever fails in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.session import SessionStatus
from tests.faults.fault_injection import MOMENTARY
from tests.faults.onboarding import FACES, Onboarding, take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import Answer, SimulatedAws, simulated_aws

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as where:
        yield where


def _onboard(where: SimulatedAws, seconds: float) -> Onboarding:
    where.begin({})
    story = Onboarding(where)
    where.play(story.story())
    where.settle(seconds)
    return story


def _erase(where: SimulatedAws, story: Onboarding) -> Answer:
    return where.api("DELETE", "/sessions/{session_id}", session_id=story.session_id)


def _objects(where: SimulatedAws, story: Onboarding) -> int:
    pages = [
        where.aws("s3").list_object_versions(Bucket="uploads", Prefix=f"{folder}/{story.session_id}/")
        for folder in ("uploads", "inbox")
    ]
    return sum(len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])) for page in pages)


def _check_erased(where: SimulatedAws, story: Onboarding) -> None:
    session, assets = where.store.load(story.session_id)
    assert session
    assert session.status is SessionStatus.REDACTED
    assert session.erased_at
    assert not any((session.reference, session.return_url, session.last_error, session.driver))
    assert not any(each.byted_token for each in session.attempts.values())
    assert {each.status for each in assets} <= {AssetStatus.REDACTED}
    assert not any(each.name or each.object_key or each.version_id for each in assets)
    assert _objects(where, story) == 0
    assert "RUNNING" not in where.executions.values()


def test_the_tombstone_lists_the_ids_to_delete_at_crun(account: SimulatedAws) -> None:
    story = _onboard(account, 600)
    before = account.store.list_assets(story.session_id)
    answer = _erase(account, story)
    assert answer.status == 200
    _check_erased(account, story)
    assert answer.body["status"] == "redacted"
    assert answer.body["group_id"]
    assert answer.body["erasure"]["upstream"] == "not_supported_by_provider"
    assert {each["crun_asset_id"] for each in answer.body["assets"]} == {each.crun_asset_id for each in before}
    kept = {each.id: each.sha256 for each in account.store.list_assets(story.session_id)}
    assert kept == {each.id: each.sha256 for each in before}, "digests are kept as proof"


def test_a_second_erasure_changes_nothing(account: SimulatedAws) -> None:
    story = _onboard(account, 600)
    first = _erase(account, story)
    account.settle(60)
    assert _erase(account, story) == first


@pytest.mark.parametrize("seconds", [0, 6.5, 15.05, 15.5, 16, 17, 19, 25, 30, 62, 63, 64, 66])
def test_work_in_progress_stops_and_late_events_change_nothing(account: SimulatedAws, seconds: float) -> None:
    story = _onboard(account, seconds)
    assert _erase(account, story).status == 200
    story.redeliver()
    account.put_object(f"inbox/{story.session_id}/late.jpg", FACES[0])
    account.settle()
    _check_erased(account, story)
    assert account.waiting(account.queue_url) == account.waiting(account.dead_letter_url) == 0
    refused = account.api("POST", "/sessions/{session_id}/attempts", session_id=story.session_id)
    assert refused.status == 409


def test_an_erasure_that_fails_anywhere_is_completed_by_the_next(account: SimulatedAws) -> None:
    story = _onboard(account, 30)
    begin = len(account.injector.calls)
    _erase(account, story)
    calls = len(account.injector.calls) - begin
    assert calls > 8
    for number in range(1, calls + 1):
        for fault in MOMENTARY:
            story = _onboard(account, 30)
            account.injector.plan = {len(account.injector.calls) + number: fault}
            for _ in range(3):
                if _erase(account, story).status == 200:
                    break
            assert account.injector.fired, "the fault occurs"
            _check_erased(account, story)


def test_the_tombstone_has_the_id_of_an_upload_in_progress(account: SimulatedAws) -> None:
    story = _onboard(account, 14)
    erased: list[Answer] = []

    def erase_first(call: str, _: str) -> None:
        if call == "asset-upload":
            erased.append(_erase(account, story))

    account.injector.asking = erase_first
    account.settle(30)
    account.injector.asking = account.asking
    assert [each.status for each in erased] == [200]
    _check_erased(account, story)
    (sent,) = account.simulator.store.assets
    assert [each.crun_asset_id for each in account.store.list_assets(story.session_id)] == [sent]


def _erase_one(where: SimulatedAws, story: Onboarding, asset_id: str) -> Answer:
    return where.api(
        "DELETE", "/sessions/{session_id}/assets/{asset_id}", session_id=story.session_id, asset_id=asset_id
    )


def _check_one_erased(where: SimulatedAws, story: Onboarding, before: Asset) -> None:
    after = where.store.get_asset(story.session_id, before.id)
    assert after
    assert (after.status, after.name, after.object_key, after.version_id) == (AssetStatus.REDACTED, "", "", None)
    prefix = before.object_key.removesuffix("file") if before.object_key.startswith("uploads/") else before.object_key
    left = where.aws("s3").list_object_versions(Bucket="uploads", Prefix=prefix)
    assert not left.get("Versions", [])
    session = where.store.get_session(story.session_id)
    assert session
    assert session.status is SessionStatus.VERIFIED


@pytest.mark.parametrize("seconds", [0, 6.5, 15.05, 15.5, 16, 17, 19, 25, 30, 62, 64, 600])
def test_one_file_is_erased_at_any_moment_and_the_others_continue(account: SimulatedAws, seconds: float) -> None:
    story = _onboard(account, seconds)
    first, *others = account.store.list_assets(story.session_id)
    assert _erase_one(account, story, first.id).status == 200
    story.redeliver()
    account.settle()
    _check_one_erased(account, story, first)
    settled = {each.id: each.status for each in account.store.list_assets(story.session_id)}
    assert {settled[each.id] for each in others} <= {AssetStatus.ACTIVE, AssetStatus.FAILED}
    assert AssetStatus.ACTIVE in settled.values()
    assert "RUNNING" not in account.executions.values()


def test_an_erasure_of_one_file_that_fails_anywhere_is_completed_by_the_next(account: SimulatedAws) -> None:
    story = _onboard(account, 600)
    begin = len(account.injector.calls)
    first = account.store.list_assets(story.session_id)[0]
    _erase_one(account, story, first.id)
    calls = len(account.injector.calls) - begin
    assert calls >= 3
    for number in range(1, calls + 1):
        for fault in MOMENTARY:
            story = _onboard(account, 600)
            first = account.store.list_assets(story.session_id)[0]
            account.injector.plan = {len(account.injector.calls) + number: fault}
            for _ in range(3):
                if _erase_one(account, story, first.id).status == 200:
                    break
            assert account.injector.fired, "the fault occurs"
            _check_one_erased(account, story, first)


def test_an_erased_file_can_be_registered_again(account: SimulatedAws) -> None:
    story = _onboard(account, 600)
    first = account.store.list_assets(story.session_id)[0]
    assert _erase_one(account, story, first.id).status == _erase_one(account, story, first.id).status == 200
    body: dict[str, object] = {"name": "again", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 100}
    again = account.api(
        "POST", "/sessions/{session_id}/assets", body=body | {"sha256": first.sha256}, session_id=story.session_id
    )
    assert again.status == 201
    assert again.body["id"] != first.id


def test_erased_between_look_up_result_and_save_group(account: SimulatedAws) -> None:
    account.begin({})
    made = account.api("POST", "/sessions", body={}).body
    back = take_check(made["attempt"]["h5_link"], "pass")
    erased: list[Answer] = []

    def erase_first(call: str, url: str) -> None:
        if call == "visual-validate-result":  # the look-up is already in progress
            erased.append(account.api("DELETE", "/sessions/{session_id}", session_id=made["id"]))
        account.asking(call, url)

    account.injector.asking = erase_first
    account.browser(back)
    account.settle()
    account.injector.asking = account.asking
    assert [each.status for each in erased] == [200]
    (group,) = [each.group_id for each in account.simulator.store.validations.values() if each.group_id]
    session = account.store.get_session(made["id"])
    assert session
    assert (session.status, session.group_id) == (SessionStatus.REDACTED, group)
    assert set(account.executions.values()) == {"SUCCEEDED"}
    again = account.api("DELETE", "/sessions/{session_id}", session_id=made["id"]).body
    assert (again["group_id"], again["erasure"]["group_ids"]) == (group, [group])
