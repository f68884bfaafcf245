"""The black-box tests, run against the local stack as a rollout runs them against AWS."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

from local import emulator
from local.stack import Stack
from ops.black_box import CLIENT_ID
from ops.client_keys import ClientKeys
from tests.template_file import ROOT


def test_a_stage_is_tested_from_outside(stack: Stack, tmp_path: Path) -> None:
    state_file = tmp_path / "stack.json"
    state_file.write_text(json.dumps(dataclasses.asdict(stack)))
    command = ["make", "black-box", f"PYTHON={sys.executable}", f"STATE_FILE={state_file}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout
    keys = ClientKeys(emulator.client("dynamodb", stack.emulator_endpoint), stack.outputs["TableName"]).known()
    made = [each for each in keys if each.client_id == CLIENT_ID]
    assert made
    assert all(each.revoked_at for each in made), "the key is revoked after the tests"
