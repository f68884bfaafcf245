"""A flood of requests ends at the stage's throttle and the rate limiter, and does not reach crun."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from likeness.adapters.table.rate_limiter import Lane
from local import emulator
from tests.integration.conftest import Api, SimulatorControl

pytestmark = pytest.mark.nightly

#: Few at a time, because each invocation needs its own process on this machine.
REQUESTS, CONCURRENCY = 500, 8
#: Requests per second, and burst: less than the template's 100 and 200, so that one machine can exceed them.
RATE, BURST = 5, 20


@pytest.fixture
def narrow_stage(api: Api) -> Iterator[None]:
    """Lowers the stage's throttle, and restores it."""
    gateway = emulator.client("apigateway", api.stack.emulator_endpoint)
    stage = {"restApiId": api.stack.outputs["RestApiId"], "stageName": "v1"}
    settings = gateway.get_stage(**stage)["methodSettings"]["*/*"]

    def throttle(rate: float, burst: int) -> None:
        figures = {"rateLimit": str(rate), "burstLimit": str(burst)}
        changes = [
            {"op": "replace", "path": f"/*/*/throttling/{name}", "value": value} for name, value in figures.items()
        ]
        gateway.update_stage(**stage, patchOperations=changes)

    throttle(RATE, BURST)
    yield
    throttle(settings["throttlingRateLimit"], settings["throttlingBurstLimit"])


@pytest.fixture
def no_permits(api: Api) -> Iterator[None]:
    """Exhausts the rate limiter: the next permit is free later than any caller waits."""
    table: dict[str, Any] = {"TableName": api.stack.outputs["TableName"]}
    dynamodb = emulator.client("dynamodb", api.stack.emulator_endpoint)

    def set_next_permit(seconds_from_now: float) -> None:
        ends = {"free_at": {"N": str(round(time.time() + seconds_from_now, 3))}}
        for lane in Lane:
            key = {"pk": {"S": "GOVERNOR"}, "sk": {"S": f"crun#{lane}"}}
            dynamodb.put_item(**table, Item=key | ends)

    set_next_permit(600)
    yield
    set_next_permit(0)


def test_no_request_of_a_flood_reaches_crun_while_no_permit_is_left(
    api: Api, crun: SimulatorControl, narrow_stage: None, no_permits: None
) -> None:
    before = crun.calls("session")
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        answers = list(
            pool.map(lambda _: api("POST", "/sessions", json={"reference": "flood-of-alice"}), range(REQUESTS))
        )
    assert {each.status_code for each in answers} == {429}, {each.text for each in answers if each.status_code != 429}
    assert {each.headers["Content-Type"] for each in answers} == {"application/problem+json"}
    by_code = {
        code: [each for each in answers if each.json()["code"] == code] for code in ("throttled", "rate_limited")
    }
    assert sum(map(len, by_code.values())) == REQUESTS
    # The throttle admits a few, and only those invoke the function.
    assert BURST <= len(by_code["rate_limited"]) < len(by_code["throttled"])
    assert all(int(each.headers["Retry-After"]) > 0 for each in answers)
    assert crun.calls("session") == before


def test_after_the_flood_the_next_request_is_served(api: Api, crun: SimulatorControl) -> None:
    before = crun.calls("session")
    assert api.session()["attempt"]["h5_link"]
    assert crun.calls("session") == before + 1
    assert api("GET", "/sessions", params={"reference": "flood-of-alice"}).json()["sessions"] == []
