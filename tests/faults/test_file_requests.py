"""File requests with every fault at every call: one file fills a request, and a retry finds what happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from likeness.domain.asset import AssetStatus
from tests.faults.fault_injection import MOMENTARY, Fault
from tests.faults.onboarding import FACES, registration, take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import SimulatedAws, simulated_aws

SESSION = "/sessions/{session_id}"
#: test_crash_points.py breaks the calls of the other functions.
CALLERS = ("request_files", "register_asset", "check_upload")
WANTED = {"name": "face 0", "asset_type": "Image", "hint": "In daylight"}


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as where:
        yield where


def _until(where: SimulatedAws, method: str, resource: str, good: tuple[int, ...], **options: Any) -> Any:
    """Sends a request until it succeeds, as its caller does. Returns the body."""
    answers: list[int] = []
    while len(answers) < 4:
        answer = where.api(method, resource, **options)
        if answer.status in good:
            return answer.body
        answers.append(answer.status)
    raise AssertionError(f"{method} {resource}: {answers}")


def _fill(where: SimulatedAws, plan: dict[int, Fault]) -> tuple[list[int], dict[str, Any]]:
    """Asks for a file, and for a second one later; receives the first and takes the second back. Ends the session.

    Returns the numbers of the calls that concern file requests, and the session's view.
    """
    where.begin({})
    made = where.api("POST", "/sessions", body={"requests": [WANTED]}).body
    where.browser(take_check(made["attempt"]["h5_link"], "pass"))
    where.settle()
    begin, on = len(where.injector.calls), {"session_id": made["id"]}
    where.injector.plan = {begin + number: fault for number, fault in plan.items()}
    later = {"requests": [WANTED | {"name": "later"}]}
    _until(where, "POST", f"{SESSION}/requests", (200, 201), body=later, **on)
    body = registration(0) | {"request": "face 0"}
    place = _until(where, "POST", f"{SESSION}/assets", (200, 201), body=body, **on)
    where.put_object(place["upload"]["fields"]["key"], FACES[0])
    where.settle()
    # Nobody knows whether a withdrawal took place whose answer was lost, so "not found" is an answer too.
    _until(where, "DELETE", f"{SESSION}/requests/{{name}}", (200, 404), name="later", **on)
    _until(where, "POST", f"{SESSION}/finish", (200,), **on)
    calls = [number for number, call in enumerate(where.injector.calls[begin:], 1) if call.by in CALLERS]
    where.injector.plan = {}
    view = where.api("GET", SESSION, **on).body
    return calls, view


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", MOMENTARY)
def test_a_request_is_filled_by_one_file_whatever_call_fails(account: SimulatedAws, fault: Fault) -> None:
    calls, view = _fill(account, {})
    assert (len(calls) > 10, view["settled"]) == (True, True)
    for number in calls:
        _, view = _fill(account, {number: fault})
        assert account.injector.fired, number
        (request,) = view["requests"]
        assert (request["name"], request["status"], view["settled"]) == ("face 0", "active", True), number
        assert view["finished_at"]
        # A registration whose answer was lost is replaced by the next one, and never receives a file.
        statuses = {each["id"]: each["status"] for each in view["assets"]}
        assert statuses.pop(request["asset_id"]) == AssetStatus.ACTIVE
        assert set(statuses.values()) <= {AssetStatus.AWAITING_UPLOAD}, number
        assert len(account.simulator.store.assets) == 1
