"""The scheduled function continues work that is stuck on the deployed stack."""

from __future__ import annotations

import json
import time
from typing import Any

from local import emulator
from tests.integration.conftest import TIMEOUT_SECONDS, Api, SimulatorControl, come_back, face_check


def _reconcile(api: Api) -> dict[str, Any]:
    """Invokes ReconcileFunction as its schedule does."""
    functions = emulator.client("lambda", api.stack.emulator_endpoint)
    answer = functions.invoke(FunctionName=api.stack.resource("ReconcileFunction"), Payload=b"{}")
    done: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, done
    return done


def _execution(api: Api, name: str) -> str:
    return f"{api.stack.outputs['StateMachineArn'].replace(':stateMachine:', ':execution:')}:{name}"


def _make_due(api: Api, session_id: str) -> None:
    emulator.client("dynamodb", api.stack.emulator_endpoint).update_item(
        TableName=api.stack.outputs["TableName"],
        Key={"pk": {"S": f"SESSION#{session_id}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="SET due_at = :now",
        ExpressionAttributeValues={":now": {"N": str(int(time.time()))}},
    )


def _is_pausing(api: Api, name: str) -> bool:
    """Returns whether a task of an execution has failed three times, and waits for the next try: for seconds."""
    states = emulator.client("stepfunctions", api.stack.emulator_endpoint)
    types = [each["type"] for each in states.get_execution_history(executionArn=_execution(api, name))["events"]]
    return types.count("TaskFailed") >= 3 and types[-1] == "TaskFailed"


def _wait_for(api: Api, name: str, status: str) -> None:
    states = emulator.client("stepfunctions", api.stack.emulator_endpoint)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            if states.describe_execution(executionArn=_execution(api, name))["status"] == status:
                return
        except states.exceptions.ExecutionDoesNotExist:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{name} never became {status}")


def test_a_stopped_validation_continues_in_a_new_execution(api: Api, crun: SimulatorControl) -> None:
    session = api.session()
    crun.fault(call="result", kind="both", code=455, times=1000)
    come_back(face_check(session["attempt"]["h5_link"]))
    first = f"{session['id']}-a1"
    # Between two look-ups: one that is under way could still get the result, after the fault is cleared.
    _wait_for(api, first, "RUNNING")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not _is_pausing(api, first):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    emulator.client("stepfunctions", api.stack.emulator_endpoint).stop_execution(executionArn=_execution(api, first))
    crun.calm()
    _make_due(api, session["id"])
    assert _reconcile(api)["reconciled"] >= 1
    api.wait(session["id"], lambda each: each["status"] == "verified")
    _wait_for(api, f"{first}-r1", "SUCCEEDED")


def test_a_group_that_only_the_history_has_is_saved_without_a_second_look_up(api: Api, crun: SimulatorControl) -> None:
    session = api.session()
    link = session["attempt"]["h5_link"]
    come_back(face_check(link))
    verified = api.wait(session["id"], lambda each: each["status"] == "verified")
    _wait_for(api, f"{session['id']}-a1", "SUCCEEDED")
    # The table is restored to a time before SaveGroup.
    emulator.client("dynamodb", api.stack.emulator_endpoint).update_item(
        TableName=api.stack.outputs["TableName"],
        Key={"pk": {"S": f"SESSION#{session['id']}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="SET #status = :processing, attempts.#one.#status = :passed, due_at = :now"
        " REMOVE group_id, upstream_id, verified_at",
        ExpressionAttributeNames={"#status": "status", "#one": "1"},
        ExpressionAttributeValues={
            ":processing": {"S": "processing"},
            ":passed": {"S": "passed"},
            ":now": {"N": str(int(time.time()))},
        },
    )
    assert api.get(session["id"])["status"] == "processing"
    assert _reconcile(api)["reconciled"] >= 1
    again = api.get(session["id"])
    assert (again["status"], again["group_id"]) == ("verified", verified["group_id"])
    assert crun.lookups(link) == 1
