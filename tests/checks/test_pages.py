"""tsc finds mistakes between the pages' modules, and the committed bundles are those of the sources.

Part of ``make check``, which installs tsc and esbuild and sets tsc's path (``TSC``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.template_file import ROOT

LAYER = ROOT / "layers/likeness"
#: A file of the pages, its correct text, the mistake that replaces it, and tsc's message.
MISTAKES = [
    ("invite.js", "error.retryAfter ?? wait", "error.retry_after ?? wait", "Property 'retry_after' does not exist"),
    ("uploads.js", "this.replaced(asset.id, before)", "this.replace(asset.id, before)", "'replace' does not exist"),
    ("frame.js", "setHeading, setText, ", "setHeading, setTexts, ", "no exported member named 'setTexts'"),
    (
        "console_dialogs.js",
        "showPicture(code, picture)",
        "showPicture(code, picture, 1)",
        "Expected 0-2 arguments, but got 3",
    ),
]


TSC = Path(os.environ.get("TSC", ROOT / ".venv/node/node_modules/.bin/tsc")).absolute()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns tsc's output for a copy of the pages with all mistakes."""
    folder = tmp_path_factory.mktemp("layer")
    shutil.copy(LAYER / "tsconfig.json", folder)
    shutil.copytree(LAYER / "pages", folder / "pages", ignore=shutil.ignore_patterns("built"))
    for name, right, wrong, _ in MISTAKES:
        (file,) = folder.glob(f"pages/*/{name}")
        text = file.read_text()
        assert text.count(right) == 1, name
        file.write_text(text.replace(right, wrong))
    command = [str(TSC), "--project", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("file", "words"), [(file, words) for file, _, _, words in MISTAKES])
def test_a_mistake_is_found_in_its_file(output: str, file: str, words: str) -> None:
    assert any(words in each for each in output.splitlines() if f"/{file}(" in each), output


def test_the_bundles_are_those_of_the_sources(tmp_path: Path) -> None:
    """After a change of the sources, `make pages` bundles them again."""
    node, tools, built = os.environ.get("NODE", "node"), TSC.parents[2], tmp_path / "built"
    subprocess.run([node, str(LAYER / "build_pages.mjs"), str(tools), str(built)], check=True)
    committed = LAYER / "pages/built"
    assert {each.name for each in built.iterdir()} == {each.name for each in committed.iterdir()}
    for file in sorted(built.iterdir()):
        assert file.read_text() == (committed / file.name).read_text(), f"{file.name} differs: run make pages"
