"""What a start leaves behind: no garbage collection of what it has loaded, and the usual ones afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from tests.functions import PAGES, cold_start, event_of_request, invoke
from tests.template_file import ROOT

#: Prints the collections of objects while the package's largest module is imported.
SHOW_COLLECTIONS = """
import gc, likeness
before = gc.get_stats()[0]["collections"]
import likeness.runtime.bootstrap, likeness.contracts.http
print(gc.get_stats()[0]["collections"] - before)
"""


def test_a_start_collects_no_garbage() -> None:
    environment = {"PYTHONPATH": str(ROOT / "layers/likeness"), "POWERTOOLS_SERVICE_NAME": "likeness"}
    ran = subprocess.run(
        [sys.executable, "-c", SHOW_COLLECTIONS], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (ran.stdout.strip(), ran.stderr) == ("0", "")


def test_a_warm_process_collects_garbage_but_nothing_that_the_start_has_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PAGES.items():
        monkeypatch.setenv(name, value)
    invoke(cold_start("serve_pages"), event_of_request("GET", "/invite", "/invite"))
    assert gc.isenabled()
    assert gc.get_threshold() == (50_000, 20, 20)
    assert gc.get_freeze_count() > 0
