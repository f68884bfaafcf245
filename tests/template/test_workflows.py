"""The commands and packages of the GitHub workflows that deploy a stage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template.test_setup import make
from tests.template_file import ROOT

WORKFLOWS = ROOT / ".github/workflows"
#: The conditions of a stage's steps, by whether the black-box tests run in it.
_CONDITIONS = {"inputs.black_box": True, "!inputs.black_box": False}


def _jobs(name: str) -> dict[str, Any]:
    # This loader reads every value as a string, because YAML 1.1 reads `on` as a boolean.
    jobs: dict[str, Any] = yaml.load((WORKFLOWS / name).read_text("utf-8"), yaml.BaseLoader)["jobs"]  # noqa: S506
    return jobs


def _commands(*, black_box: bool) -> list[str]:
    """Returns the commands of a stage's job, in order."""
    (job,) = _jobs("stage.yml").values()
    steps = [each for each in job["steps"] if _CONDITIONS.get(each.get("if"), black_box) is black_box]
    return [each["run"] for each in steps if "run" in each]


def _installed(commands: list[str], folder: Path) -> set[str]:
    """Returns the package groups that the commands install with make. Each installation requires hashes."""
    groups = set()
    for target in re.findall(r"^make ([a-z-]+)", "\n".join(commands), re.MULTILINE):
        lines = make("--dry-run", target, f"VENV={folder / 'none'}").replace("\\\n", " ").splitlines()
        installs = [each for each in lines if re.search(r"pip install", each)]
        assert all("--require-hashes" in each for each in installs)
        groups |= {group for each in installs for group in re.findall(r"--requirement requirements/(\w+)\.txt", each)}
    return groups - {"installer"}


def test_production_installs_only_deployment_packages_with_hashes(tmp_path: Path) -> None:
    prod = _jobs("deploy.yml")["prod"]
    assert prod["with"]["black_box"] == "false"
    commands = _commands(black_box=False)
    assert _installed(commands, tmp_path) == {"deploy"}
    assert any("sam deploy" in each for each in commands)
    assert "openapi.json" in commands[-1], "the last step checks that the API responds"


def test_the_stage_before_production_runs_the_black_box_tests(tmp_path: Path) -> None:
    dev = _jobs("deploy.yml")["dev"]
    assert dev["with"]["black_box"] == "true"
    commands = _commands(black_box=True)
    assert commands[-1].startswith("make black-box")
    assert _installed(commands[:-1], tmp_path) == {"deploy", "test"}


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yml")), ids=lambda each: each.name)
def test_workflows_install_packages_only_from_lock_files(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.search(r"\b(pip3?|pipx|uv|npm|npx|poetry) (install|i|add|ci|sync|run|tool)\b|\buvx\b|setup-sam", text)


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yml")), ids=lambda each: each.name)
def test_every_action_is_pinned_to_a_commit(file: Path) -> None:
    for used in re.findall(r"uses: (\S+)", file.read_text("utf-8")):
        assert used.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), used
