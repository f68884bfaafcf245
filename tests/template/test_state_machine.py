"""The workflow's definition: statelint finds nothing in it, and it meets our additional rules."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from statelint.linter import Linter

from tests.template_file import ASL, MACHINES, RESOURCES

Machine = dict[str, Any]


def _states(machine: Machine) -> dict[str, dict[str, Any]]:
    """Returns every state of the machine and of its Map states."""
    found = dict(machine["States"])
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            found |= _states(state["ItemProcessor"])
    return found


def _unreached(machine: Machine) -> list[str]:
    """Returns the unreachable states. statelint only requires a transition to each, which a cycle of two has."""
    found, reached, todo = [], set(), {machine["StartAt"]}
    while todo:
        name = todo.pop()
        reached.add(name)
        state = machine["States"].get(name, {})
        exits = [state, *state.get("Choices", []), *state.get("Catch", [])]
        todo |= {each[key] for each in exits for key in ("Next", "Default") if key in each} - reached
        if "ItemProcessor" in state:
            found += _unreached(state["ItemProcessor"])
    return found + [f"{name}: no path leads here" for name in machine["States"] if name not in reached]


def _unbounded(machine: Machine) -> list[str]:
    """Returns where a task could wait or retry without a bound, or fail without a Catch: "state: what is missing"."""
    found = []
    for name, state in _states(machine).items():
        if state["Type"] != "Task":
            continue
        retries = state.get("Retry", [])
        found += [f"{name}: {field}" for field in ("Retry", "Catch") if not state.get(field)]
        if not 0 < state.get("TimeoutSeconds", 0) < 120:
            found.append(f"{name}: TimeoutSeconds")
        found += [f"{name}: MaxAttempts" for each in retries if "MaxAttempts" not in each]
        # The first retriers may list errors that are never retried. The last one is for all other errors.
        wanted = ("IntervalSeconds", "BackoffRate", "MaxDelaySeconds")
        found += [f"{name}: {field}" for each in retries[-1:] for field in wanted if field not in each]
        found += [f"{name}: JitterStrategy" for each in retries[-1:] if each.get("JitterStrategy") != "FULL"]
        if not any({"States.ALL", "States.TaskFailed"} & set(each["ErrorEquals"]) for each in retries[-1:]):
            found.append(f"{name}: a retry of all other errors")
    return found


#: What is not a mistake there: an execution of make_generation fails, and a download takes longer than other tasks.
_MEANT = {
    "MakeGeneration": {
        "CreateTask: Catch",
        "PollTask: Catch",
        "SaveMedia: Catch",
        "SaveMedia: TimeoutSeconds",
    }
}


def _findings(machine: Machine) -> list[str]:
    linted: list[str] = Linter.validate(machine)
    return linted + _unreached(machine) + _unbounded(machine)


@pytest.mark.parametrize("name", MACHINES)
def test_nothing_is_found_in_a_workflow(name: str) -> None:
    machine = MACHINES[name]
    assert [each for each in _findings(machine) if each not in _MEANT.get(name, ())] == []
    assert machine["TimeoutSeconds"] <= 14 * 86_400


def test_an_execution_without_a_failure_exit_leaves_its_work_to_reconcile() -> None:
    """No state of make_generation writes to the table: what an execution leaves behind is found by its due time."""
    assert not any("dynamodb" in state.get("Resource", "") for state in MACHINES["MakeGeneration"]["States"].values())


def test_a_round_of_polls_is_three_transitions() -> None:
    machine = MACHINES["MakeGeneration"]["States"]
    assert machine["RouteTask"]["Choices"][0]["Next"] == "Wait"
    assert (machine["Wait"]["Next"], machine["PollTask"]["Next"]) == ("PollTask", "RouteTask")


def _inner(machine: Machine) -> dict[str, Any]:
    states: dict[str, Any] = machine["States"]["SubmitAssets"]["ItemProcessor"]["States"]
    return states


FAULTS: dict[str, tuple[Callable[[Machine], Any], str]] = {
    "a dangling Next": (
        lambda machine: machine["States"]["LookUpResult"].update(Next="Nowhere"),
        'No state found named "Nowhere", referenced at State Machine.States.LookUpResult.Next',
    ),
    "a dangling Default": (
        lambda machine: machine["States"]["RoutePlan"].update(Default="Nowhere"),
        'No state found named "Nowhere", referenced at State Machine.States.RoutePlan.Default',
    ),
    "a Catch that leaves its Map": (
        lambda machine: _inner(machine)["SubmitAsset"]["Catch"][0].update(Next="Done"),
        'No state found named "Done"',
    ),
    "an unreachable state": (
        lambda machine: machine["States"].update(Island={"Type": "Succeed"}),
        "No transition found to state State Machine.Island",
    ),
    "an unreachable state in a Map": (
        lambda machine: _inner(machine).update(Island={"Type": "Succeed"}),
        "No transition found to state State Machine.States.SubmitAssets.ItemProcessor.Island",
    ),
    "an unreachable cycle of states": (
        lambda machine: machine["States"].update(
            Ring={"Type": "Pass", "Next": "OfTwo"}, OfTwo={"Type": "Pass", "Next": "Ring"}
        ),
        "OfTwo: no path leads here",
    ),
    "a Retry without MaxAttempts": (
        lambda machine: machine["States"]["PollAssets"]["Retry"][0].pop("MaxAttempts"),
        "PollAssets: MaxAttempts",
    ),
    "a Retry without MaxAttempts in a Map": (
        lambda machine: _inner(machine)["GiveUpAsset"]["Retry"][0].pop("MaxAttempts"),
        "GiveUpAsset: MaxAttempts",
    ),
    "a Retry without jitter": (
        lambda machine: machine["States"]["SaveGroup"]["Retry"][-1].update(JitterStrategy="NONE"),
        "SaveGroup: JitterStrategy",
    ),
    "a Retry for only some errors": (
        lambda machine: machine["States"]["ClaimAssets"]["Retry"][0].update(ErrorEquals=["Lambda.Unknown"]),
        "ClaimAssets: a retry of all other errors",
    ),
    "a Task without a timeout": (
        lambda machine: machine["States"]["ClaimAssets"].pop("TimeoutSeconds"),
        "ClaimAssets: TimeoutSeconds",
    ),
    "a Task without a Catch": (lambda machine: _inner(machine)["SubmitAsset"].pop("Catch"), "SubmitAsset: Catch"),
    "a misspelt field": (
        lambda machine: machine["States"]["PollAssets"]["Retry"][0].update(MaxDelay=60),
        'Field "MaxDelay" not allowed',
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_in_the_workflow_is_found(fault: str) -> None:
    spoil, expected = FAULTS[fault]
    machine = copy.deepcopy(ASL)
    spoil(machine)
    assert any(finding.startswith(expected) for finding in _findings(machine)), _findings(machine)


@pytest.mark.parametrize("name", MACHINES)
def test_a_machines_substitutions_are_those_of_the_template(name: str) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(MACHINES[name])))
    assert used == set(RESOURCES[name]["Properties"]["DefinitionSubstitutions"])


@pytest.mark.parametrize("name", MACHINES)
def test_no_secret_is_in_an_input_or_output_of_a_machine(name: str) -> None:
    text = json.dumps(MACHINES[name]).lower()
    secrets = ("byted_token", "asset_url", "h5_link", "api_key", "media_url", "callback_url", "prompt", "signature")
    assert not {word for word in secrets if word in text}
