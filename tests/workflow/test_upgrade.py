"""A deployment while executions run: they keep their definition, and invoke the new functions.

``previous/onboard_person.asl.json`` is the definition of the previous version.
"""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from likeness.runtime import bootstrap
from local.simulator import FaultRule
from tests.template_file import ROOT
from tests.workflow.conftest import WorkflowHarness, definition
from tests.workflow.test_onboard_person import come_back, create, run, statuses, upload

PREVIOUS = Path(__file__).parent / "previous" / "onboard_person.asl.json"


@pytest.fixture
def started_before(harness: WorkflowHarness) -> WorkflowHarness:
    """The harness with the previous version's definition."""
    machines = boto3.client("stepfunctions")
    machines.update_state_machine(stateMachineArn=harness.machine_arn, definition=definition(PREVIOUS, harness.table))
    return harness


def test_the_previous_definition_is_different() -> None:
    assert PREVIOUS.read_text() != (ROOT / "statemachine/onboard_person.asl.json").read_text()


@pytest.mark.slow
def test_an_execution_started_before_the_upgrade_completes(started_before: WorkflowHarness) -> None:
    session = create(started_before, "good 1", "other_person", "lost")
    upload(started_before, session)
    row = run(started_before, session)
    assert (row.status, row.driver) == ("verified", None)
    assert statuses(session["id"]) == {"good 1": "active", "other_person": "failed", "lost": "active"}
    assert {each["status"] for each in started_before.executions()} == {"SUCCEEDED"}


@pytest.mark.slow
def test_errors_after_the_upgrade_are_retried(started_before: WorkflowHarness) -> None:
    started_before.simulator.add_faults(
        FaultRule(call="result", kind="both", code=455, times=1),
        FaultRule(call="upload", kind="both", code=429, times=1),
    )
    session = create(started_before, "good")
    upload(started_before, session)
    assert run(started_before, session).status == "verified"
    assert statuses(session["id"]) == {"good": "active"}


def test_an_execution_started_before_the_upgrade_is_followed_by_a_new_one(started_before: WorkflowHarness) -> None:
    session = create(started_before, "good 1", "good 2")
    come_back(started_before, session)
    started_before.drain()
    started_before.wait()
    current = definition(ROOT / "statemachine/onboard_person.asl.json", started_before.table)
    boto3.client("stepfunctions").update_state_machine(stateMachineArn=started_before.machine_arn, definition=current)
    upload(started_before, session)
    while started_before.drain():
        pass
    assert {each["status"] for each in started_before.wait()} == {"SUCCEEDED"}
    assert statuses(session["id"]) == {"good 1": "active", "good 2": "active"}
    row = bootstrap.store().get_session(session["id"])
    assert row
    assert row.driver is None
