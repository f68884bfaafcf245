"""mypy finds mistakes between a function, its step and the step's arguments, in copies with one mistake each.

Part of ``make check``, after its run of mypy, because that run's cache makes this one short.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template_file import ROOT

BOOTSTRAP = "layers/likeness/likeness/runtime/bootstrap.py"
#: A file, its correct text, the mistake that replaces it, and mypy's messages.
MISTAKES = [
    (
        "functions/claim_assets/app.py",
        'event["execution"],\n        takes_over=',
        "42,\n        no_such_argument=True,\n        takes_over=",
        ['Unexpected keyword argument "no_such_argument"', 'has incompatible type "int"; expected "str"'],
    ),
    (
        BOOTSTRAP,
        '_secret("CRUN_API_KEY_SECRET_ARN").value,',
        '_secret("CRUN_API_KEY_SECRET_ARN").previous,',
        ['Argument 2 to "CrunClient" has incompatible type "Callable[[bool], str | None]"'],
    ),
    (
        "functions/look_up_result/app.py",
        'event["session_id"], event["attempt"], event["execution"]',
        'event["attempt"], event["session_id"], event["execution"]',
        ['has incompatible type "int"; expected "str"', 'has incompatible type "str"; expected "int"'],
    ),
    (
        "functions/poll_assets/app.py",
        'plan["wait_seconds"]',
        'plan["wait"]',
        ['TypedDict "NextAction" has no key "wait"'],
    ),
    (
        "functions/send_webhooks/app.py",
        "send_webhooks(message, tried)",
        "send_webhooks(tried, message)",
        ['has incompatible type "int"; expected "Announcement | Delivery | Resumption | TaskOver"'],
    ),
    (
        "functions/start_onboarding/app.py",
        "def _start(message: Message, tried: int) -> None:",
        "def _start(message: str, tried: int) -> None:",
        ['Argument 1 to "__call__" of "StartOnboarding" has incompatible type "str"'],
    ),
    (
        "layers/likeness/likeness/runtime/batches.py",
        'self.queue.hide(record["receiptHandle"], seconds)',
        'self.queue.hide(record["receipt_handle"], seconds)',
        ['TypedDict "QueueMessage" has no key "receipt_handle"'],
    ),
    (
        "layers/likeness/likeness/adapters/queue.py",
        "QueueUrl=self._url, MessageBody=body",
        "QueueUrl=self._url, Body=body",
        ['Unexpected keyword argument "Body" for "send_message"'],
    ),
]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns mypy's output for all mistakes in one run, with a copy of the cache to keep the mistakes out of it."""
    folder = tmp_path_factory.mktemp("types")
    shadows: list[str] = []
    for index, (file, right, wrong, _) in enumerate(MISTAKES):
        text = (ROOT / file).read_text()
        assert text.count(right) == 1, file
        shadow = folder / f"{index}.py"
        # mypy's cache identifies a file by its size and its time, so the copy has the time of the original.
        shadow.write_text(text.replace(right, wrong) + "# another length\n")
        shadows += ["--shadow-file", file, str(shadow)]
    cache = folder / "cache"
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", cache)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(cache), *shadows, "layers", "functions"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("file", "expected"), [(file, expected) for file, _, _, expected in MISTAKES])
def test_a_mistake_is_found_in_its_file(output: str, file: str, expected: list[str]) -> None:
    lines = [each for each in output.splitlines() if each.startswith(f"{file}:")]
    for words in expected:
        assert any(words in each for each in lines), output


def test_nothing_else_is_found(output: str) -> None:
    files = {Path(each.partition(":")[0]) for each in output.splitlines() if ": error: " in each}
    assert files == {Path(file) for file, *_ in MISTAKES}


def test_factories_declare_their_return_types() -> None:
    """An ``Any`` would exclude every call of a step from the check. Clients get their types from their decorator."""
    lines = (ROOT / BOOTSTRAP).read_text().splitlines()
    assert [each for each in lines if "-> Any" in each] == ["def client(service: str) -> Any:"]
