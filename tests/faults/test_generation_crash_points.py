"""A video is created once and made, whatever fault occurs at whatever call of a generation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.generation import Generation, GenerationStatus
from likeness.errors import UpstreamAmbiguous
from likeness.ports.generations import CrunTasks
from tests.faults.fault_injection import Call, Fault
from tests.faults.generating import PARAMETERS, SETTINGS
from tests.faults.generation_scenarios import Scenario, calls_of, can_meet, pairs, play, singles
from tests.faults.simulated_aws import SimulatedAws, simulated_aws, with_store

SEED = 20_261_127
#: Pairs of faults: so many in each run of the tests, and so many by night.
PAIRS, PAIRS_BY_NIGHT = 12, 240
#: The faults after which a caller does not know what has happened. The others are tried at some calls in each run, and
#: at all of them by night.
_TELLING = (Fault.LOST, Fault.DIES)


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS, **PARAMETERS) as where:
        yield where


@pytest.fixture(scope="module")
def calls(account: SimulatedAws) -> list[Call]:
    return calls_of(account)


def _play_all(account: SimulatedAws, scenarios: list[Scenario]) -> None:
    outcomes = [play(account, each) for each in scenarios]
    assert {str(each.scenario): (each.fired, each.broken) for each in outcomes if each.broken} == {}
    assert all(each.fired for each in outcomes), "a planned fault did not occur"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "fault", [each if each in _TELLING else pytest.param(each, marks=pytest.mark.nightly) for each in Fault]
)
def test_no_single_fault_at_any_call_breaks_a_promise(account: SimulatedAws, calls: list[Call], fault: Fault) -> None:
    scenarios = list(singles(calls, [fault]))
    assert len(scenarios) >= sum(can_meet(each, fault) for each in calls) > len(calls) / 2
    _play_all(account, scenarios)


@pytest.mark.slow
def test_no_other_fault_at_some_calls_breaks_a_promise(account: SimulatedAws, calls: list[Call]) -> None:
    others = [each for each in Fault if each not in _TELLING]
    _play_all(account, list(singles(calls, others))[::9])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("first", "last"), [(0, PAIRS), pytest.param(PAIRS, PAIRS_BY_NIGHT, marks=pytest.mark.nightly)]
)
def test_no_drawn_pair_of_faults_breaks_a_promise(
    account: SimulatedAws, calls: list[Call], first: int, last: int
) -> None:
    drawn = itertools.islice(pairs(calls, PAIRS_BY_NIGHT, SEED), first, last)
    outcomes = [play(account, each) for each in drawn]
    assert {str(each.scenario): (each.fired, each.broken) for each in outcomes if each.broken} == {}, f"seed {SEED}"
    assert len(outcomes) == last - first


def test_every_part_of_a_generation_is_numbered(calls: list[Call]) -> None:
    assert {each.by for each in calls} == {
        "authorize", "create_generation", "create_task", "poll_task", "receive_task", "save_media"
    }  # fmt: skip
    assert {each.operation for each in calls if each.service == "crun"} == {
        "EstimateTask", "CreateTask", "TaskInfo", "media"
    }  # fmt: skip
    assert {each.service for each in calls} == {"dynamodb", "s3", "secretsmanager", "stepfunctions", "crun"}


# -- the harness detects mistakes ---------------------------------------------------------------------------------


class Repeating:
    """Calls CreateTask again when it is not known whether crun has the task."""

    def __init__(self, crun: CrunTasks) -> None:
        self._crun = crun

    def create_task(self, *arguments: Any) -> str:
        try:
            return self._crun.create_task(*arguments)
        except UpstreamAmbiguous:
            return self._crun.create_task(*arguments)


class Unintended(DynamoGenerations):
    """Does not store the intent of CreateTask."""

    def intend(self, generation: Generation, by: str, now: float) -> Generation:
        return replace(generation, intended_at=now, intended_by=by, updated_at=now)


class Impatient(DynamoGenerations):
    """Takes an intent whose invocation has ended for one that nobody has."""

    def get(self, generation_id: str) -> Generation | None:
        found = super().get(generation_id)
        if found and found.status is GenerationStatus.QUEUED and found.intended_at:
            self.release_intent(found, found.intended_at)
            return super().get(generation_id)
        return found


class Unrecorded(DynamoGenerations):
    """Stores a generation without the entries in the ledger of its people."""

    def _transact(self, writes: Sequence[Any]) -> None:
        super()._transact([each for each in writes if not _is_use(each)])


def _unrecorded(step: Any) -> Any:
    return replace(step, store=with_store(Unrecorded, "generations")(step.store))


def _is_use(write: Mapping[str, Any]) -> bool:
    return str(write.get("Put", {}).get("Item", {}).get("pk", {}).get("S")).startswith("USES#")


class Spendthrift(DynamoGenerations):
    """Ends a generation without a change of the client's day."""

    def _transact(self, writes: Sequence[Any]) -> None:
        super()._transact([each for each in writes if not _is_day(each)])


def _is_day(write: Mapping[str, Any]) -> bool:
    return str(write.get("Update", {}).get("Key", {}).get("pk", {}).get("S")).startswith("SPENDING#")


def _repeating(step: Any) -> Any:
    return replace(step, crun=Repeating(step.crun))


@pytest.mark.parametrize(
    ("function", "spoiled", "operation", "fault", "found"),
    [
        pytest.param("create_task", _repeating, "CreateTask", Fault.LOST, "at most once", id="ambiguous repeated"),
        pytest.param("create_task", with_store(Impatient), "CreateTask", Fault.DIES, "at most once", id="no lease"),
        pytest.param("create_task", with_store(Unintended), "CreateTask", None, "its intent", id="no intent"),
        pytest.param("create_generation", _unrecorded, "", None, "its intent", id="no entries"),
        pytest.param("save_media", with_store(Spendthrift), "", None, "reserved", id="no settlement"),
    ],
)
def test_the_harness_finds_a_broken_promise(
    account: SimulatedAws,
    calls: list[Call],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    spoiled: Callable[[Any], Any],
    operation: str,
    fault: Fault | None,
    found: str,
) -> None:
    monkeypatch.setattr(account, "spoiled", {function: spoiled})
    numbers = [each.number for each in calls if (each.by, each.operation) == (function, operation)]
    outcome = play(account, Scenario(((numbers[0], fault),) if fault else ()))
    assert any(found in name for name in outcome.broken), outcome
