"""asl-validator finds nothing in the state machines, and finds the mistakes in changed copies of it.

Part of ``make check``, which installs asl-validator and sets its path (``ASL_VALIDATOR``).
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.template_file import ASL, MACHINES, ROOT

Machine = dict[str, Any]


def _parameters(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = machine["States"]["LookUpResult"]["Parameters"]
    return found


#: Each mistake, with the message of asl-validator.
MISTAKES: dict[str, tuple[Callable[[Machine], Any], str]] = {
    "a path that does not parse": (
        lambda machine: _parameters(machine)["Payload"].update({"attempt.$": "$.attempt["}),
        "SCHEMA_VALIDATION_FAILED",
    ),
    "a state that does not exist": (
        lambda machine: machine["States"]["LookUpResult"].update(Next="Nowhere"),
        "MISSING_TRANSITION_TARGET",
    ),
    "a delay that is not a number": (
        lambda machine: machine["States"]["LookUpResult"]["Retry"][0].update(IntervalSeconds="soon"),
        "SCHEMA_VALIDATION_FAILED",
    ),
}


def _validate(machine: Machine, folder: Path) -> tuple[int, str]:
    file = folder / "machine.asl.json"
    file.write_text(json.dumps(machine).replace("${Partition}", "aws"))  # as the deployment does
    tool = Path(os.environ.get("ASL_VALIDATOR", ROOT / ".venv/node/node_modules/.bin/asl-validator")).absolute()
    done = subprocess.run(
        [str(tool), "--json-path", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_found_in_a_workflow(machine: str, tmp_path: Path) -> None:
    code, output = _validate(MACHINES[machine], tmp_path)
    assert code == 0, output


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: str, tmp_path: Path) -> None:
    spoil, words = MISTAKES[mistake]
    machine = copy.deepcopy(ASL)
    spoil(machine)
    code, output = _validate(machine, tmp_path)
    assert code, output
    assert words in output
