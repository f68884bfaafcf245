"""Every call to crun for a client counts in that client's bucket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.http.crun_client import CrunClient
from likeness.domain.asset import AssetStatus
from likeness.domain.crun import AssetReport
from likeness.domain.recheck import Recheck
from likeness.errors import RateLimited
from likeness.steps.upkeep.recheck_assets import RecheckAssets
from tests.unit.step_harness import StepHarness


def test_a_look_up_a_submission_and_a_poll_count_for_the_client(harness: StepHarness) -> None:
    one = harness.session(client_id="acme")
    harness.callback(one)
    harness.crun.groups.append("group-1")
    harness.look_up(one)
    verified, (sent, polled) = harness.verified(AssetStatus.UPLOADED, AssetStatus.PROCESSING)
    harness.crun.uploads.append("asset-of-acme")
    harness.submit(sent)
    harness.crun.reports |= dict.fromkeys((str(polled.crun_asset_id), "asset-of-acme"), AssetReport("Processing"))
    harness.poll(verified)
    assert harness.crun.clients == ["acme", "acme", "acme"]


def test_a_recheck_of_assets_counts_for_their_client(harness: StepHarness) -> None:
    found = []
    for client in ("acme", "other", "acme"):
        _, (asset,) = harness.verified(AssetStatus.ACTIVE)
        found.append(replace(asset, client_id=client))
        harness.crun.reports[str(asset.crun_asset_id)] = AssetReport("Active")

    class Assets:
        def progress(self) -> Recheck | None:
            return None

        def save(self, recheck: Recheck) -> bool:
            return True

        def clients(self) -> list[str]:
            return ["acme"]

        def ids(self, client_id: str, after: str, limit: int) -> tuple[list[tuple[str, str]], str | None]:
            return [(each.session_id, each.id) for each in found], None

        def load(self, ids: Any) -> Any:
            return found

    def nothing() -> None:
        """Publishes nothing."""

    step = RecheckAssets(Assets(), harness.store, harness.crun, harness.clock, lambda _: None, 7, nothing, nothing)
    assert step(harness.clock.now() + 60)["there"] == 3
    assert harness.crun.clients == ["acme", "other"]
    assert sorted(harness.crun.asked) == sorted(str(each.crun_asset_id) for each in found)


def test_the_rate_limiter_receives_the_client_before_any_call() -> None:
    asked: list[tuple[Any, ...]] = []

    def admit(*given: Any) -> int:
        asked.append(given)
        raise RateLimited

    crun = CrunClient("https://crun.invalid", lambda _: "key", admit)
    with pytest.raises(RateLimited):
        crun.group_of("token", None, "acme")
    with pytest.raises(RateLimited):
        crun.upload_asset(name="n", asset_type="Image", asset_url="https://a/", group_id="g", client_id="acme")
    crun.asset_reports(["1", "2", "3"], None, "acme")
    with pytest.raises(RateLimited):
        crun.balance()
    assert asked == [(1, "acme"), (1, "acme"), (3, "acme"), (1,)]
