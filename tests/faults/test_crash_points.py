"""A person who passed is verified, whatever fault occurs at whatever call of the onboarding."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.domain.session import AttemptStatus, Problem, Session
from likeness.errors import ConditionFailed
from tests.faults.fault_injection import Call, Fault
from tests.faults.scenarios import INVARIANTS, SETTINGS, Scenario, explore, number_calls, pairs, play, singles
from tests.faults.simulated_aws import simulated_aws
from tests.template_file import ROOT

WORKERS = os.cpu_count() or 1
SEED = 20_261_124
PAIRS = 240


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return number_calls()


@pytest.mark.timeout(1800)
def test_no_single_fault_at_any_call_breaks_a_promise(calls: list[Call]) -> None:
    outcomes = list(explore(singles(calls), workers=WORKERS))
    assert all(each.fired for each in outcomes), "a planned fault did not occur"
    assert {str(each.scenario): each.broken for each in outcomes if each.broken} == {}
    assert len(outcomes) >= len(calls) * len(Fault)


@pytest.mark.timeout(1800)
def test_no_drawn_pair_of_faults_breaks_a_promise(calls: list[Call]) -> None:
    outcomes = explore(pairs(calls, PAIRS, SEED), workers=WORKERS)
    assert {str(each.scenario): each.broken for each in outcomes if each.broken} == {}, f"seed {SEED}"


def test_every_kind_of_outside_call_is_numbered(calls: list[Call]) -> None:
    assert {each.service for each in calls} == {"dynamodb", "sqs", "s3", "secretsmanager", "stepfunctions", "crun"}
    assert [each.number for each in calls] == list(range(1, len(calls) + 1))


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
    function: str, store: type[DynamoStore], operation: str, fault: Fault, found: str
) -> None:
    with simulated_aws(SETTINGS) as where:
        where.spoiled = {function: store}
        assert not play(where, Scenario()).broken, "without a fault the mistake has no effect"
        number = next(
            each.number for each in where.injector.calls if (each.by, each.operation) == (function, operation)
        )
        outcome = play(where, Scenario(((number, fault),)))
    assert any(found in name for name in outcome.broken), outcome
