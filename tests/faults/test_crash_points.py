"""A person who passed is verified, whatever fault occurs at whatever call of the onboarding."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.domain.session import AttemptStatus, Problem, Session
from likeness.errors import ConditionFailed
from tests.faults.fault_injection import Call, Fault
from tests.faults.scenarios import INVARIANTS, SETTINGS, Scenario, calls_of, can_meet, pairs, play, singles
from tests.faults.simulated_aws import SimulatedAws, simulated_aws, with_store
from tests.template_file import ROOT

SEED = 20_261_124
#: Pairs of faults: so many in each run of the tests, and so many by night.
PAIRS, PAIRS_BY_NIGHT = 60, 240


@pytest.fixture(scope="module")
def account() -> Iterator[SimulatedAws]:
    with simulated_aws(SETTINGS) as where:
        yield where


@pytest.fixture(scope="module")
def calls(account: SimulatedAws) -> list[Call]:
    return calls_of(account)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", Fault)
def test_no_single_fault_at_any_call_breaks_a_promise(account: SimulatedAws, calls: list[Call], fault: Fault) -> None:
    outcomes = [play(account, each) for each in singles(calls, [fault])]
    assert all(each.fired for each in outcomes), "a planned fault did not occur"
    assert {str(each.scenario): each.broken for each in outcomes if each.broken} == {}
    assert len(outcomes) >= sum(can_meet(each, fault) for each in calls) > len(calls) / 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("first", "last"), [(0, PAIRS), pytest.param(PAIRS, PAIRS_BY_NIGHT, marks=pytest.mark.nightly)]
)
def test_no_drawn_pair_of_faults_breaks_a_promise(
    account: SimulatedAws, calls: list[Call], first: int, last: int
) -> None:
    drawn = itertools.islice(pairs(calls, PAIRS_BY_NIGHT, SEED), first, last)
    outcomes = [play(account, each) for each in drawn]
    assert {str(each.scenario): each.broken for each in outcomes if each.broken} == {}, f"seed {SEED}"
    assert len(outcomes) == last - first


def test_every_kind_of_outside_call_is_numbered(calls: list[Call]) -> None:
    assert {each.service for each in calls} == {"dynamodb", "sqs", "s3", "secretsmanager", "stepfunctions", "crun"}
    assert [each.number for each in calls] == list(range(1, len(calls) + 1))


@pytest.mark.slow
def test_the_command_prints_a_table_of_its_results() -> None:
    command = ["make", "faults", f"PYTHON={sys.executable}", "ARGS=--no-singles --pairs 4 --seed 7"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = dict(re.findall(r"│ +(\S[^│]*?) +│ (\d+) +│", run.stdout))
    assert int(rows["calls numbered"]) > 75
    assert {name: rows[name] for name in ("scenarios run", "passed", "failed")} == {
        "scenarios run": "5",
        "passed": "5",
        "failed": "0",
    }
    assert int(rows["invariants checked"]) == 5 * len(INVARIANTS)


# -- the harness detects mistakes ----------------------------------------------------------------------------------


class Forgetful(DynamoStore):
    """Treats a failed condition as a duplicate: a pass that is already stored sends no message."""

    def record_pass(self, session_id: str, number: int, result_code: str, now: float) -> Session:
        session = self.get_session(session_id)
        if session and session.attempts[number].status is AttemptStatus.PASSED:
            raise ConditionFailed
        return super().record_pass(session_id, number, result_code, now)


class Careless(DynamoStore):
    """Does not store a refused result, so nobody knows that the check has to be repeated."""

    def record_refused_result(
        self, session: Session, number: int, status: AttemptStatus, why: Problem, now: float
    ) -> None:
        """Writes nothing."""


@pytest.mark.parametrize(
    ("function", "store", "operation", "fault", "found"),
    [
        pytest.param("receive_callback", Forgetful, "SendMessage", Fault.FAILS, "link check", id="duplicate"),
        pytest.param("look_up_result", Careless, "visual-validate-result", Fault.LOST, "completes", id="unrecorded"),
    ],
)
def test_the_harness_finds_a_broken_promise(
    account: SimulatedAws,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    store: type[DynamoStore],
    operation: str,
    fault: Fault,
    found: str,
) -> None:
    monkeypatch.setattr(account, "spoiled", {function: with_store(store)})
    calls = calls_of(account)  # without a fault the mistake has no effect
    number = next(each.number for each in calls if (each.by, each.operation) == (function, operation))
    outcome = play(account, Scenario(((number, fault),)))
    assert any(found in name for name in outcome.broken), outcome
