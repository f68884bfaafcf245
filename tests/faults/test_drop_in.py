"""crun's own routes, with every fault at every call of their functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from likeness.domain.asset import AssetStatus
from likeness.domain.drop_in import session_of
from local.simulator import FaultRule
from tests.faults.crun_caller import CALLBACK, CrunCaller, served_face
from tests.faults.fault_injection import MOMENTARY, Call, Fault
from tests.faults.onboarding import take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import LINK_CHECK_SECONDS, SimulatedAws, simulated_aws

_READS = ("BatchGetItem", "GetItem", "GetSecretValue", "Query")
BEHIND = ("open_validation", "get_result", "fetch_asset")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_face() as url:
        yield url


@pytest.fixture(scope="module")
def where() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as made:
        yield made


def play(where: SimulatedAws, url: str, plan: dict[int, Fault]) -> CrunCaller:
    where.begin(plan)
    caller = CrunCaller(where, url)
    where.play(caller.story())
    where.settle()
    return caller


def check(caller: CrunCaller, fault: Fault | None = None) -> None:
    """Checks what holds after any fault."""
    where = caller.account
    assert caller.ended, "the program gave up"
    session_id = session_of(caller.issued_token)
    assert session_id
    session, assets = where.store.load(session_id)
    assert session
    assert session.group_id == caller.group_id
    at_crun = where.simulator.store.assets
    # asset-info finds the id that the program received, and an Active one exists at crun.
    if caller.info["Status"] == "Active":
        assert at_crun[caller.info["AssetId"]].status == "Active"
    else:
        assert fault in (Fault.LOST, Fault.DIES), caller.info
    # Each asset has settled. Other assets at crun come from lost responses.
    assert {each.status for each in assets} <= {AssetStatus.ACTIVE, AssetStatus.FAILED}
    strays = set(at_crun) - {each.crun_asset_id for each in assets}
    assert len(strays) <= (fault is not None)
    lookups = [each.successful_lookups for each in where.simulator.store.validations.values()]
    assert max(lookups) == 1
    assert not [each for each in where.lookups if each.before_pass and each.age < LINK_CHECK_SECONDS]


def test_a_caller_of_crun_routes_completes(where: SimulatedAws, url: str) -> None:
    caller = play(where, url, {})
    check(caller)
    assert caller.asset_ids == [caller.info["AssetId"]]


@pytest.fixture(scope="module")
def calls(where: SimulatedAws, url: str) -> list[Call]:
    play(where, url, {})
    behind = [each for each in where.injector.calls if each.by in BEHIND]
    # All polls make the same calls, so five of these are enough.
    questions = [each for each in behind if each.by == "get_result"]
    return [each for each in behind if each not in questions[5:]]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", MOMENTARY)
def test_no_single_fault_at_any_call_breaks_a_promise(
    where: SimulatedAws, url: str, calls: list[Call], fault: Fault
) -> None:
    assert {each.by for each in calls} == set(BEHIND)
    for call in calls:
        if fault in (Fault.LOST, Fault.REPEATED) and call.operation in _READS:
            continue  # repeating a read has no effect
        caller = play(where, url, {call.number: fault})
        assert where.injector.fired, call
        try:
            check(caller, fault)
        except AssertionError as exc:
            raise AssertionError(f"{call} {fault}: {exc}") from exc


def test_an_upload_that_crun_defers_for_hours_becomes_active(where: SimulatedAws, url: str) -> None:
    where.begin({})
    where.simulator.add_faults(FaultRule(call="upload", kind="both", code=455, times=12, retry_after=600))
    caller = CrunCaller(where, url)
    where.play(caller.story())
    where.settle()
    check(caller)
    (first,) = caller.asset_ids
    assert first.startswith("ast_"), "crun's id was not known in time"
    assert caller.info["AssetId"] != first


def test_the_link_check_finds_a_lost_callback_and_polls_consume_no_token(where: SimulatedAws) -> None:
    where.begin({})
    made = where.crun_route("visual-validate-session", body={"callback_url": CALLBACK}).body["data"]
    for _ in range(3):
        assert where.crun_route("visual-validate-result", byted_token=made["BytedToken"]).status == 404
    take_check(made["H5Link"], "pass")
    where.settle()
    answer = where.crun_route("visual-validate-result", byted_token=made["BytedToken"])
    assert answer.status == 200
    assert [each.lookups for each in where.simulator.store.validations.values()] == [1]
