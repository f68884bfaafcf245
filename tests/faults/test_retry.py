"""POST …/assets/{asset_id}/retry: a failed file is submitted again, whatever fails in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from likeness.domain.asset import Asset
from tests.faults.fault_injection import MOMENTARY
from tests.faults.onboarding import FACES, registration, take_check
from tests.faults.simulated_aws import Answer, SimulatedAws, simulated_aws

#: crun cannot fetch the file twice, so that the automatic resubmission fails too, and takes it the third time.
OUTCOMES = [
    {"name": "lost*", "outcome": "failed", "code": "DownloadFailed", "after_seconds": 5, "times": 2},
    {"name": "other*", "outcome": "failed", "code": "FaceMismatch", "after_seconds": 5},
    {"name": "*", "outcome": "active", "after_seconds": 5},
]


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws({"asset_outcomes": OUTCOMES}) as where:
        yield where


def _failed(where: SimulatedAws, name: str) -> Asset:
    """Returns the asset of a verified session whose only file has failed at crun."""
    where.begin({})
    made = where.api("POST", "/sessions", body={"assets": [registration(0, name)]}).body
    where.put_object(made["assets"][0]["upload"]["fields"]["key"], FACES[0])
    where.browser(take_check(made["attempt"]["h5_link"], "pass"))
    where.settle()
    (asset,) = where.store.list_assets(made["id"])
    assert asset.status.value == "failed"
    return asset


def _retry(where: SimulatedAws, asset: Asset) -> Answer:
    path = "/sessions/{session_id}/assets/{asset_id}/retry"
    return where.api("POST", path, session_id=asset.session_id, asset_id=asset.id)


def _now(where: SimulatedAws, asset: Asset) -> Asset:
    found = where.store.get_asset(asset.session_id, asset.id)
    assert found
    return found


def test_a_file_that_crun_could_not_fetch_becomes_active_and_every_id_is_kept(account: SimulatedAws) -> None:
    asset = _failed(account, "lost 1")
    answer = _retry(account, asset)
    assert (answer.status, answer.body["status"], answer.body["error"]) == (200, "uploaded", None)
    account.settle()
    after = _now(account, asset)
    assert after.status.value == "active"
    assert after.crun_asset_ids == [asset.earlier_crun_asset_id, asset.crun_asset_id, after.crun_asset_id]
    assert len(account.simulator.store.assets) == 3
    for known in after.crun_asset_ids:
        found = account.api("GET", "/sessions", query=f"asset_id={known}")
        assert [each["id"] for each in found.body["sessions"]] == [asset.session_id]
    erased = account.api("DELETE", "/sessions/{session_id}", session_id=asset.session_id)
    assert erased.body["erasure"]["asset_ids"] == sorted(after.crun_asset_ids)


def test_a_retry_that_is_repeated_submits_once(account: SimulatedAws) -> None:
    asset = _failed(account, "lost 1")
    for _ in range(3):
        assert _retry(account, asset).status == 200
        account.settle(3)
    account.settle()
    assert _retry(account, asset).body["status"] == "active"
    assert len(account.simulator.store.assets) == 3


def test_a_retry_that_fails_anywhere_is_completed_by_the_next_or_by_reconcile(account: SimulatedAws) -> None:
    asset = _failed(account, "lost 1")
    begin = len(account.injector.calls)
    _retry(account, asset)
    calls = len(account.injector.calls) - begin
    assert calls >= 5
    for number in range(1, calls + 1):
        for fault in MOMENTARY:
            asset = _failed(account, "lost 1")
            account.injector.plan = {len(account.injector.calls) + number: fault}
            answer = _retry(account, asset)
            assert account.injector.fired, "the fault occurs"
            if answer.status != 200 and _now(account, asset).status.value == "failed":
                assert _retry(account, asset).status == 200
            account.settle()
            after = _now(account, asset)
            assert after.status.value == "active", (number, fault)
            assert len(account.simulator.store.assets) == 3, (number, fault)
            assert len(set(after.crun_asset_ids)) == 3


def test_what_cannot_be_retried_is_refused_with_a_reason(account: SimulatedAws) -> None:
    other = _failed(account, "other")
    refused = _retry(account, other)
    assert (refused.status, refused.body["code"]) == (409, "not_retryable")
    assert "face_mismatch" in refused.body["detail"]
    gone = _failed(account, "lost 1")
    account.aws("s3").delete_object(Bucket="uploads", Key=gone.object_key, VersionId=gone.version_id)
    assert _retry(account, gone).body["code"] == "file_deleted"
    erased = _failed(account, "lost 1")
    path = "/sessions/{session_id}/assets/{asset_id}"
    account.api("DELETE", path, session_id=erased.session_id, asset_id=erased.id)
    assert _retry(account, erased).body["code"] == "not_retryable"
    unknown = "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert account.api("POST", f"{path}/retry", session_id=erased.session_id, asset_id=unknown).status == 404
