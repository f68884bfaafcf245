"""Limits of files, attempts, histories, payloads and items, and clock skew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.items import session_item
from likeness.domain.asset import AssetStatus
from likeness.domain.session import (
    MAX_ASSETS_PER_SESSION,
    Attempt,
    AttemptStatus,
    Consent,
    Language,
    Session,
    SessionStatus,
)
from likeness.steps.files import next_action, poll_assets
from local.media import portrait
from local.simulator import FaultRule
from tests.faults.onboarding import FACES, Onboarding, registration, take_check
from tests.faults.scenarios import INVARIANTS, SETTINGS, Invariants, Scenario
from tests.faults.simulated_aws import SimulatedAws, simulated_aws
from tests.template_file import ASL

pytestmark = pytest.mark.slow

#: Step Functions' quotas (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html) and DynamoDB's.
LARGEST_PAYLOAD, MAX_EVENTS, LARGEST_ITEM = 262_144, 25_000, 409_600
#: Five for PollAssets, two for RoutePlan, two for Wait.
EVENTS_PER_POLL = 9


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as where:
        yield where


@pytest.fixture
def where(account: SimulatedAws) -> SimulatedAws:
    account.settle()
    account.begin({})
    account.simulator.update_settings(**SETTINGS)
    account.state_machine.largest = 0
    account.state_machine.events.clear()
    return account


def _create(where: SimulatedAws) -> dict[str, Any]:
    made: dict[str, Any] = where.api("POST", "/sessions", body={}).body
    return made


@pytest.mark.timeout(300)
def test_two_hundred_files_of_one_person_all_become_active(where: SimulatedAws) -> None:
    session = _create(where)
    for index in range(MAX_ASSETS_PER_SESSION):
        where.put_object(f"inbox/{session['id']}/{index}.jpg", portrait("alice", 400, 400 + index, image_format="PNG"))
    where.settle(5)
    where.browser(take_check(session["attempt"]["h5_link"], "pass"))
    where.settle()
    assets = where.store.list_assets(session["id"])
    assert len(assets) == MAX_ASSETS_PER_SESSION
    assert {each.status for each in assets} == {AssetStatus.ACTIVE}
    assert len({each.crun_asset_id for each in assets}) == MAX_ASSETS_PER_SESSION
    assert where.state_machine.largest < LARGEST_PAYLOAD / 4
    assert max(where.state_machine.events.values()) < MAX_EVENTS / 4

    one_more = where.api("POST", "/sessions/{session_id}/assets", body=registration(0), session_id=session["id"])
    assert (one_more.status, one_more.body["code"]) == (429, "too_many_attempts")
    where.put_object(f"inbox/{session['id']}/more.jpg", FACES[0])
    where.settle()
    assert len(where.store.list_assets(session["id"])) == MAX_ASSETS_PER_SESSION


def test_a_session_has_ten_attempts(where: SimulatedAws) -> None:
    session = _create(where)
    link = session["attempt"]["h5_link"]
    for number in range(2, 11):
        where.browser(take_check(link, "fail"))
        again = where.api("POST", "/sessions/{session_id}/attempts", session_id=session["id"])
        assert again.body["attempt"]["number"] == number
        link = again.body["attempt"]["h5_link"]
    eleventh = where.api("POST", "/sessions/{session_id}/attempts", session_id=session["id"])
    assert (eleventh.status, eleventh.body["code"]) == (429, "too_many_attempts")
    where.browser(take_check(link, "pass"))
    where.settle()
    row = where.store.get_session(session["id"])
    assert row
    assert row.status is SessionStatus.VERIFIED, "the tenth attempt works like the first"


def test_a_day_of_waiting_has_a_short_history(where: SimulatedAws) -> None:
    where.simulator.update_settings(asset_outcomes=[{"name": "*", "outcome": "never"}])
    story = Onboarding(where)
    where.play(story.story())
    where.settle()
    assert {each.status for each in where.store.list_assets(story.session_id)} == {AssetStatus.FAILED}
    assert max(where.state_machine.events.values()) <= 1000


def test_a_long_execution_continues_in_a_new_one(where: SimulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_assets, "MAX_POLLS", 3)
    where.simulator.update_settings(asset_outcomes=[{"name": "*", "outcome": "active", "after_seconds": 120}])
    story = Onboarding(where)
    where.play(story.story())
    where.settle()
    assert {each.status for each in where.store.list_assets(story.session_id)} == {AssetStatus.ACTIVE}
    assert len(where.executions) > 3
    assert set(where.executions.values()) == {"SUCCEEDED"}
    assert story.session().driver is None


def test_the_longest_history_stays_below_twenty_thousand_events() -> None:
    def tries(name: str, states: dict[str, Any]) -> int:
        return sum(each.get("MaxAttempts", 3) for each in states[name]["Retry"])

    item = ASL["States"]["SubmitAssets"]["ItemProcessor"]["States"]
    # An item: 2 events of the map, 2 of its state, 3 for each try.
    assert 7 + 3 * tries("SubmitAsset", item) <= next_action.POLLS_PER_SUBMISSION * EVENTS_PER_POLL + 1
    # Every try of every state before, and as many polls as are allowed.
    once = sum(5 + 3 * tries(name, ASL["States"]) for name in ("LookUpResult", "SaveGroup", "ClaimAssets"))
    assert once + next_action.MAX_POLLS * EVENTS_PER_POLL < 20_000
    assert next_action.MAX_POLLS > next_action.POLLS_PER_SUBMISSION * MAX_ASSETS_PER_SESSION, (
        "all files fit into one submission"
    )


def test_an_outage_in_a_submission_adds_no_more_events_than_counted(where: SimulatedAws) -> None:
    session, files = _create(where), 12
    for index in range(files):
        where.put_object(f"inbox/{session['id']}/{index}.jpg", portrait("alice", 400, 400 + index, image_format="PNG"))
    where.settle(5)
    where.simulator.add_faults(FaultRule(call="upload", kind="both", code=455, times=None))
    where.after(3600, where.simulator.clear_faults)
    where.browser(take_check(session["attempt"]["h5_link"], "pass"))
    where.settle()
    assert {each.status for each in where.store.list_assets(session["id"])} == {AssetStatus.ACTIVE}
    most = (files * next_action.POLLS_PER_SUBMISSION + 20) * EVENTS_PER_POLL
    assert files * 20 < max(where.state_machine.events.values()) < most


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_clock_skew_of_five_minutes_breaks_nothing(where: SimulatedAws, skew: float) -> None:
    where.simulator.set_clock(skew)
    where.simulator.update_settings(fetch_skew_seconds=skew)
    story = Onboarding(where)
    where.play(story.story())
    where.settle()
    found = Invariants(story, Scenario())
    for name in set(INVARIANTS) - {"no_early_lookup"}:
        assert getattr(found, name)() is None, name


def test_the_fullest_session_fits_into_an_item() -> None:
    attempts = {
        number: Attempt(number, AttemptStatus.FAILED, "t" * 4096, 1e9, 1e9, "1" * 32, "ses_" + "0" * 40, 1e9)
        for number in range(1, 51)
    }
    fullest = Session(
        id="ses_" + "0" * 26, client_id="c" * 32, status=SessionStatus.PROCESSING, language=Language.ZH_HANT,
        created_at=1e9, updated_at=1e9, reference="界" * 128, return_url="https://a.example/" + "x" * 2030,
        consent=Consent("v" * 64, "2026-01-01T00:00:00Z"), group_id="g" * 256, driver="d" * 80, attempts=attempts,
    )  # fmt: skip
    size = len(json.dumps(session_item(replace(fullest)), ensure_ascii=False).encode())
    assert size < LARGEST_ITEM


def test_a_download_that_fails_once_is_signed_and_submitted_again(where: SimulatedAws) -> None:
    where.simulator.update_settings(
        asset_outcomes=[
            {"name": "*", "outcome": "failed", "code": "DownloadFailed", "after_seconds": 5, "times": 1},
            {"name": "*", "outcome": "active", "after_seconds": 5},
        ]
    )
    story = Onboarding(where)
    where.play(story.story())
    where.settle()
    first = next(each for each in where.store.list_assets(story.session_id) if each.name == "face 0")
    assert (first.status, first.resubmissions) == (AssetStatus.ACTIVE, 1)


def test_a_download_that_fails_twice_fails_with_a_reason(where: SimulatedAws) -> None:
    where.simulator.update_settings(
        asset_outcomes=[{"name": "*", "outcome": "failed", "code": "DownloadFailed", "after_seconds": 5}]
    )
    story = Onboarding(where)
    where.play(story.story())
    where.settle()
    assert {each.error.code for each in where.store.list_assets(story.session_id) if each.error} == {"download_failed"}
    assert story.unsettled() == []
