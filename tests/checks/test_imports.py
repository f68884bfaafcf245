"""import-linter finds a forbidden import in each of the root packages: in one copy of the sources with all of them.

Part of ``make check``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template_file import ROOT

#: A file, the module that it imports, and how lint-imports reports that.
PLANTED = [
    (
        "layers/likeness/likeness/domain/ids.py",
        "likeness.runtime.bootstrap",
        "likeness.domain.ids -> likeness.runtime.bootstrap",
    ),
    ("layers/likeness/likeness/errors.py", "ops.template", "likeness.errors -> ops.template"),
    ("ops/template.py", "local.emulator", "ops.template -> local.emulator"),
    ("ops/template.py", "tests.aws", "ops.template -> tests"),
    ("local/processes.py", "bench.table", "local.processes -> bench.table"),
    ("local/processes.py", "tests.aws", "local.processes -> tests"),
    ("bench/checked/calls.py", "bench.studies.warm", "bench.checked.calls -> bench.studies.warm"),
    ("local/simulator/crun.py", "local.simulator.server", "No cycles are allowed in local.simulator."),
]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports prints for a copy of the sources with every planted import."""
    folder = tmp_path_factory.mktemp("imports")
    for package in ("ops", "local", "bench", "layers/likeness/likeness"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for file, imported, _ in PLANTED:
        with (folder / file).open("a") as source:
            source.write(f"\nimport {imported}\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder / "layers" / "likeness"), "NO_COLOR": "1", "COLUMNS": "500"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("expected", [expected for *_, expected in PLANTED])
def test_a_forbidden_import_is_found(output: str, expected: str) -> None:
    assert expected in output


def test_every_contract_can_fail(output: str) -> None:
    assert " KEPT" not in output
