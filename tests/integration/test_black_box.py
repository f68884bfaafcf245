"""The tests of a stage, run against the stack on this machine as a rollout runs them against AWS."""

from __future__ import annotations

import os
import subprocess
import sys

from local.stack import Stack
from tests.template_file import ROOT


def test_a_stage_is_tested_from_outside(stack: Stack) -> None:
    command = ["make", "black-box", f"PYTHON={sys.executable}", f"API_URL={stack.api_url}"]
    environment = os.environ | {"LIKENESS_API_KEY": stack.api_key}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout
