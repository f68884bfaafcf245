"""Onboardings that take days, and the times of their events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from likeness.domain.asset import AssetStatus
from local.simulator import FaultRule
from tests.aws import stream_records
from tests.faults.onboarding import FACES, registration, take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import SimulatedAws, simulated_aws

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture(params=[False])
def where(request: pytest.FixtureRequest) -> Iterator[SimulatedAws]:
    """An account with a deadline of five days. With the parameter, the table has a stream."""
    deadline = str(int(5 * DAY))
    with simulated_aws(
        SETTINGS, stream=request.param, POLL_DEADLINE_SECONDS=deadline, POLL_MAX_DELAY_SECONDS="3600"
    ) as made:
        made.begin({})
        yield made


def _person(where: SimulatedAws) -> str:
    """Creates a session with a stored file and passes its check; returns its id."""
    made = where.api("POST", "/sessions", body={"assets": [registration(0)]}).body
    where.put_object(made["assets"][0]["upload"]["fields"]["key"], FACES[0])
    where.settle(2)
    assert where.browser(take_check(made["attempt"]["h5_link"], "pass")).status == 303
    session_id: str = made["id"]
    return session_id


@pytest.mark.slow
@pytest.mark.parametrize(("takes", "apart", "files"), [(22 * HOUR, 20 * HOUR, 10), (4.5 * DAY, 4 * DAY, 2)])
def test_no_execution_reaches_the_state_machines_timeout(
    where: SimulatedAws, takes: float, apart: float, files: int
) -> None:
    """Files arrive for eight days, with a deadline of five days."""
    where.simulator.update_settings(asset_outcomes=[{"name": "*", "outcome": "active", "after_seconds": takes}])
    session_id = _person(where)
    for index in range(files):
        where.settle(apart)
        where.put_object(f"inbox/{session_id}/{index}.jpg", FACES[0] + bytes([index]))
    where.settle()
    assets = where.store.list_assets(session_id)
    assert [each.status for each in assets] == [AssetStatus.ACTIVE] * (files + 1)
    assert set(where.executions.values()) == {"SUCCEEDED"}
    assert len(where.executions) >= 8, "each is replaced after a day"
    assert "Reconciled" not in where.metrics, "nothing was stuck"


def _published(where: SimulatedAws) -> list[tuple[str, str, str]]:
    """Returns subject, type and time of every event."""
    events: list[tuple[str, str, str]] = []
    happened = where.injector.happened

    def record(service: str, operation: str, body: dict[str, Any]) -> None:
        happened(service, operation, body)
        for entry in body["Entries"] if operation == "PutEvents" else ():
            detail = json.loads(entry["Detail"])
            events.append((detail.get("asset_id") or detail["session_id"], entry["DetailType"], detail["time"]))

    where.injector.happened = record
    where.invoke("publish_changes", {"Records": stream_records("Table")})
    return events


@pytest.mark.parametrize("where", [True], indirect=True)
@pytest.mark.parametrize(
    ("call", "kind"), [("result", "likeness.session.requires_input"), ("upload", "likeness.asset.failed")]
)
def test_a_failure_hours_later_has_its_own_time(where: SimulatedAws, call: str, kind: str) -> None:
    _person(where)
    where.reconciles = False  # so that RecordFailure and GiveUpAsset end the work
    where.simulator.add_faults(FaultRule.model_validate({"call": call, "kind": "both", "code": 455, "times": None}))
    begun = where.now
    where.settle(12 * HOUR)
    events = _published(where)
    times = {each[2] for each in events if each[1] == kind}
    assert times, events
    others = {each[2] for each in events if each[1] != kind}
    assert others
    assert times.isdisjoint(others)
    assert all(_seconds(each) > begun + HOUR for each in times)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
