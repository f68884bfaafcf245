"""Active assets are checked again. Only an asset that crun misses in two checks is published as lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from likeness.adapters.table.active_assets import DynamoActiveAssets
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.contracts.crun import read_credits, read_envelope
from likeness.contracts.events import AssetChange
from likeness.domain.asset import AssetStatus
from likeness.domain.crun import AssetReport, UpstreamProblem
from likeness.domain.recheck import Recheck
from likeness.errors import (
    RateLimited,
    UpstreamAmbiguous,
    UpstreamDeferred,
    UpstreamError,
    UpstreamRefused,
)
from likeness.steps.upkeep.check_credits import CheckCredits
from likeness.steps.upkeep.recheck_assets import MAX_ASSETS_PER_RUN, MIN_ASSETS_PER_RUN, RecheckAssets, Rechecked
from ops.client_keys import ClientKeys
from tests import event_schemas
from tests.aws import inventory
from tests.unit.fakes import FakeClock, FakeCrun
from tests.unit.test_inventory_export import asset, session

HOUR = 3600.0
DAY = 24 * HOUR
ACTIVE = AssetReport("Active")


class AllActive(dict[str, AssetReport | UpstreamProblem]):
    """Reports every asset as Active, except for the ones that are set."""

    def __missing__(self, _: str) -> AssetReport | UpstreamProblem:
        return ACTIVE


@dataclass
class RecheckHarness:
    """Hourly runs on a separate table."""

    dynamodb: Any
    clock: FakeClock = field(default_factory=FakeClock)
    crun: FakeCrun = field(default_factory=lambda: FakeCrun(reports=AllActive()))
    refused: list[int] = field(default_factory=list)
    lost_reports: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = DynamoStore(self.dynamodb, "table")
        self.assets = DynamoActiveAssets(self.dynamodb, "table")

    def people(self, sessions: int, each: int = 5, client: str = "acme") -> None:
        ClientKeys(self.dynamodb, "table").add(client)
        for index in range(1, sessions + 1):
            made = session(index, client_id=client)
            made = made if client == "acme" else session(index + 100, client_id=client)
            self.store.create_session(made, [asset(made, number, client_id=client) for number in range(each)])

    def run(self, hours: float = 1.0) -> Rechecked:
        step = RecheckAssets(
            self.assets, self.store, self.crun, self.clock, self._sleep, 7,
            lambda: self.refused.append(1), lambda: self.lost_reports.append(1),
        )  # fmt: skip
        began = self.clock.at
        done = step(began + 500)
        self.clock.at = began + hours * HOUR
        return done

    def _sleep(self, seconds: float) -> None:
        self.clock.at += seconds

    def lost(self) -> set[str]:
        return {each.id for index in range(1, 40) for each in self.store.list_assets(session(index).id)
                 if each.error and each.error.code == "asset_lost"}  # fmt: skip


@pytest.fixture
def harness() -> Iterator[RecheckHarness]:
    with inventory("table") as client:
        yield RecheckHarness(client)


def test_each_asset_is_checked_once_per_sweep_and_the_next_sweep_starts_when_it_is_due(
    harness: RecheckHarness,
) -> None:
    harness.people(9)
    harness.people(3, client="zeta")
    harness.run()
    assert len(harness.crun.asked) == len(set(harness.crun.asked)) == 60
    for _ in range(5):
        harness.run()
    assert len(harness.crun.asked) == 60, "the sweep is over"
    harness.clock.at += 7 * DAY
    harness.run()
    assert len(harness.crun.asked) == 60 + MIN_ASSETS_PER_RUN, "the second sweep is spread out"
    harness.run()
    harness.run()
    assert sorted(harness.crun.asked[60:]) == sorted(set(harness.crun.asked))


def test_a_run_checks_a_bounded_number_of_assets(harness: RecheckHarness) -> None:
    harness.people(30)
    harness.run()
    assert len(harness.crun.asked) == MAX_ASSETS_PER_RUN
    harness.run()
    assert sorted(harness.crun.asked) == sorted(set(harness.crun.asked))
    assert len(harness.crun.asked) == 150


@pytest.mark.parametrize("report", [UpstreamRefused(404), AssetReport("Failed", "FaceMismatch", "no")])
def test_an_asset_that_two_runs_miss_is_lost_and_an_event_is_published(harness: RecheckHarness, report: Any) -> None:
    harness.people(2)
    victim = harness.store.list_assets(session(1).id)[0]
    harness.crun.reports[str(victim.crun_asset_id)] = report
    assert harness.run()["lost"] == 0
    assert harness.lost() == set()
    assert harness.run()["lost"] == 1
    assert harness.lost() == {victim.id}
    assert harness.lost_reports == [1]
    found = harness.store.get_asset(victim.session_id, victim.id)
    assert found
    assert (found.status, found.crun_asset_id) == (AssetStatus.FAILED, victim.crun_asset_id)
    event = AssetChange("evt_" + "0" * 32, "1", victim, found).event
    assert event
    assert event.type == "likeness.asset.lost"
    event_schemas.check(event.type, event.detail)
    harness.run()
    assert harness.lost_reports == [1]


def test_a_single_miss_is_not_a_loss_and_a_duplicate_run_counts_once(harness: RecheckHarness) -> None:
    harness.people(1)
    victim = str(harness.store.list_assets(session(1).id)[0].crun_asset_id)
    harness.crun.reports[victim] = UpstreamRefused(404)
    harness.run(hours=0.01)
    harness.run(hours=1)
    assert harness.lost() == set()
    harness.crun.reports[victim] = ACTIVE
    harness.run()
    harness.crun.reports[victim] = UpstreamRefused(404)
    harness.run()
    assert harness.lost() == set()


NO_NEWS = [
    *(UpstreamRefused(code) for code in (401, 402, 403, 422, 501, 505)),
    RateLimited(upstream_code=429), UpstreamDeferred(upstream_code=455), UpstreamAmbiguous(upstream_code=500),
    UpstreamAmbiguous(upstream_code=404), UpstreamAmbiguous(upstream_code=402),
    UpstreamAmbiguous("html"),
]  # fmt: skip


@pytest.mark.parametrize("problem", NO_NEWS, ids=lambda each: f"{type(each).__name__}-{each.upstream_code}")
@pytest.mark.parametrize("suspected", [False, True])
def test_a_refusal_that_is_not_about_the_asset_is_not_a_loss(
    harness: RecheckHarness, problem: UpstreamError, suspected: bool
) -> None:
    harness.people(3)
    ids = [str(each.crun_asset_id) for index in (1, 2, 3) for each in harness.store.list_assets(session(index).id)]
    if suspected:
        harness.crun.reports |= dict.fromkeys(ids, UpstreamRefused(404))
        harness.run()
    harness.crun.reports |= dict.fromkeys(ids, problem)
    for _ in range(4):
        harness.run()
    assert harness.lost() == set()
    assert bool(harness.refused) == (isinstance(problem, UpstreamRefused) and problem.upstream_code not in (422, 501))
    # After the outage, every asset is checked.
    harness.crun.reports = AllActive()
    harness.crun.asked.clear()
    harness.run()
    assert len(set(harness.crun.asked)) >= len(ids) - 4 * 4


def test_an_interrupted_run_is_repeated(harness: RecheckHarness) -> None:
    harness.people(4)
    victim = harness.store.list_assets(session(1).id)[0]
    harness.crun.reports[str(victim.crun_asset_id)] = UpstreamRefused(404)
    harness.run()

    class Killed(BaseException):
        pass

    def crash(recheck: Recheck) -> bool:
        raise Killed

    save, harness.assets.save = harness.assets.save, crash  # type: ignore[method-assign]
    with pytest.raises(Killed):
        harness.run()
    harness.assets.save = save  # type: ignore[method-assign]
    harness.clock.at += HOUR
    harness.run()
    assert harness.lost() == {victim.id}
    assert harness.lost_reports == [1], "published once"


def test_only_one_of_two_concurrent_runs_saves_the_sweep(harness: RecheckHarness) -> None:
    harness.people(2)
    harness.run()
    read = harness.assets.progress()
    assert read
    assert harness.assets.save(read)
    assert not harness.assets.save(read)


def test_an_erased_asset_is_not_checked(harness: RecheckHarness) -> None:
    harness.people(2)
    for each in harness.store.list_assets(session(1).id):
        harness.store.redact_asset(each, harness.clock.now())
    harness.run()
    assert len(harness.crun.asked) == 5


def test_the_credits_are_written_as_a_metric_and_errors_are_reported() -> None:
    crun, left, failed = FakeCrun(), [], []  # type: ignore[var-annotated]
    crun.credits.extend([12.5, UpstreamRefused(401), UpstreamAmbiguous()])
    check = CheckCredits(crun, left.append, failed.append)
    outcomes = [check()["outcome"] for _ in range(3)]
    assert outcomes == ["checked", "upstream_key_rejected", "upstream_ambiguous"]
    assert left == [12.5]
    assert len(failed) == 2


@pytest.mark.parametrize(("given", "left"), [(0, 0), (7, 7), (12.5, 12.5), ("3.25", 3.25), (-2, -2)])
def test_the_balance_is_read_in_every_shape(given: object, left: float) -> None:
    body = json.dumps({"code": 200, "message": "ok", "data": {"balance": given}}).encode()
    assert read_credits(read_envelope(200, body, promised="balance"), "balance") == left


@pytest.mark.parametrize("given", ["NaN", "Infinity", '"much"', "true", "null", "[]", '""', "1e999"])
def test_a_balance_that_is_not_a_number_is_refused(given: str) -> None:
    body = f'{{"code": 200, "message": "ok", "data": {{"balance": {given}}}}}'.encode()
    with pytest.raises(UpstreamAmbiguous):
        read_credits(read_envelope(200, body, promised="balance"), "balance")
