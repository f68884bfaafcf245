"""A deployment while executions run: they keep the definition that they began with, and call the functions of today.

``previous/onboard_person.asl.json`` is the definition of the version before this one.
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
def begun_before(harness: WorkflowHarness) -> WorkflowHarness:
    """The same, with every execution as the previous version would have begun it."""
    machines = boto3.client("stepfunctions")
    machines.update_state_machine(stateMachineArn=harness.machine_arn, definition=definition(PREVIOUS, harness.table))
    return harness


def test_the_previous_definition_is_another_one() -> None:
    assert PREVIOUS.read_text() != (ROOT / "statemachine/onboard_person.asl.json").read_text()


def test_an_execution_that_was_begun_before_the_upgrade_ends_as_any_other(begun_before: WorkflowHarness) -> None:
    session = create(begun_before, "good 1", "other_person", "lost")
    upload(begun_before, session)
    row = run(begun_before, session)
    assert (row.status, row.driver) == ("verified", None)
    assert statuses(session["id"]) == {"good 1": "active", "other_person": "failed", "lost": "active"}
    assert {each["status"] for each in begun_before.executions()} == {"SUCCEEDED"}


def test_hiccups_after_the_upgrade_are_retried_as_before_it(begun_before: WorkflowHarness) -> None:
    begun_before.simulator.add_faults(
        FaultRule(call="result", kind="both", code=455, times=1),
        FaultRule(call="upload", kind="both", code=429, times=1),
    )
    session = create(begun_before, "good")
    upload(begun_before, session)
    assert run(begun_before, session).status == "verified"
    assert statuses(session["id"]) == {"good": "active"}


def test_an_execution_that_was_begun_before_hands_over_to_one_of_today(begun_before: WorkflowHarness) -> None:
    session = create(begun_before, "good 1", "good 2")
    come_back(begun_before, session)
    begun_before.drain()
    begun_before.wait()
    today = definition(ROOT / "statemachine/onboard_person.asl.json", begun_before.table)
    boto3.client("stepfunctions").update_state_machine(stateMachineArn=begun_before.machine_arn, definition=today)
    upload(begun_before, session)
    while begun_before.drain():
        pass
    assert {each["status"] for each in begun_before.wait()} == {"SUCCEEDED"}
    assert statuses(session["id"]) == {"good 1": "active", "good 2": "active"}
    row = bootstrap.store().get_session(session["id"])
    assert row
    assert row.driver is None
