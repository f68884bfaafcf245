"""The Makefile, the groups of pyproject.toml and the lock files: each target installs little, on Linux and macOS."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.template_file import ROOT, TEMPLATE

MAKEFILES = [ROOT / "Makefile", *sorted((ROOT / "layers").glob("*/Makefile"))]
LAYER_LOCK = ROOT / "layers/dependencies/requirements.txt"
MODELS_LOCK = ROOT / "layers/likeness/models.txt"
SWAGGER_UI_LOCK = ROOT / "layers/likeness/swagger_ui.txt"
LOCKS = [*sorted((ROOT / "requirements").glob("*.txt")), LAYER_LOCK, MODELS_LOCK, SWAGGER_UI_LOCK]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: A pinned package of a lock file, and the lines with its hashes.
PIN = re.compile(
    r"^([\w.-]+(?:\[[\w,-]+\])?)==(\S+)([^\\\n]*)((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", re.MULTILINE
)


def pins(lock: Path) -> dict[str, set[str]]:
    """Returns the versions of each package in a lock file: several when they depend on the Python version."""
    found: dict[str, set[str]] = {}
    for name, version, _, _ in PIN.findall(lock.read_text()):
        found.setdefault(canonicalize_name(name.partition("[")[0]), set()).add(version)
    return found


def wanted(group: str) -> set[str]:
    """Returns the packages of a group in pyproject.toml, with those of the groups that it includes."""
    found: set[str] = set()
    for each in PROJECT["dependency-groups"][group]:
        if isinstance(each, dict):
            found |= wanted(each["include-group"])
        else:
            found.add(canonicalize_name(Requirement(each).name))
    return found


def lock_of(group: str) -> Path:
    return LAYER_LOCK if group == "layer" else ROOT / "requirements" / f"{group}.txt"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_installed_package_has_a_version_and_hashes(lock: Path) -> None:
    rest = PIN.sub("", lock.read_text())
    assert [each for each in rest.splitlines() if each and not each.startswith("#")] == []
    assert pins(lock)
    assert all(hashes for *_, hashes in PIN.findall(lock.read_text()))


@pytest.mark.parametrize("file", [*LOCKS, *MAKEFILES, ROOT / "pyproject.toml"], ids=lambda each: each.name)
def test_no_file_names_a_source_of_packages(file: Path) -> None:
    """Each machine configures its own index, mirror or folder of wheels."""
    text = file.read_text()
    assert not re.search(r"--(extra-)?index-url|--(default-)?index\b|--find-links|file://|/simple\b", text)
    assert file.suffix != ".txt" or "://" not in text
    assert not (ROOT / "uv.lock").exists()


@pytest.mark.parametrize("group", PROJECT["dependency-groups"])
def test_each_group_is_locked(group: str) -> None:
    assert wanted(group) <= set(pins(lock_of(group)))


def test_a_package_has_the_same_version_in_all_groups() -> None:
    groups = [lock_of(each) for each in PROJECT["dependency-groups"] if each != "checkov"] + [MODELS_LOCK]
    versions: dict[str, set[frozenset[str]]] = {}
    for lock in groups:
        for name, found in pins(lock).items():
            versions.setdefault(name, set()).add(frozenset(found))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_every_required_package_has_a_reason() -> None:
    """The reason is a comment on the package's line, or a self-explanatory name."""
    section = (ROOT / "pyproject.toml").read_text().partition("[dependency-groups]")[2].partition("\n[")[0]
    speaking = {"pytest", "mypy", "ruff", "types-pyyaml", "types-requests", "boto3-stubs"}
    for line in section.splitlines():
        name = re.match(r'\s+"([\w.-]+)', line)
        assert not name or name[1] in speaking or "# " in line, line


def test_the_demo_installs_no_packages_of_tests_checks_or_figures() -> None:
    local = set(pins(lock_of("local")))
    assert local.isdisjoint({"pytest", "moto", "playwright", "mypy", "ruff", "matplotlib", "awslambdaric", "duckdb"})
    assert set(pins(lock_of("deploy"))) < local < set(pins(lock_of("test"))) < set(pins(lock_of("check")))


def test_lambdas_runtime_client_is_only_for_linux_and_figures() -> None:
    for lock in LOCKS:
        found = [each for each in PIN.findall(lock.read_text()) if each[0] == "awslambdaric"]
        assert bool(found) is (lock.stem in ("bench", "check"))
        assert all("sys_platform == 'linux'" in marker for _, _, marker, _ in found)


@pytest.mark.parametrize(
    ("target", "group"),
    [
        ("demo", "local"), ("up", "local"), ("down", "local"), ("build", "deploy"), ("redrive", "deploy"),
        ("inventory", "deploy"), ("test-unit", "test"), ("black-box", "test"), ("bench-check", "bench"),
    ],
)  # fmt: skip
def test_a_target_installs_only_its_own_group(target: str, group: str, tmp_path: Path) -> None:
    commands = make("--dry-run", target, f"VENV={tmp_path / 'none'}")
    installed = set(re.findall(r"--requirement requirements/(\w+)\.txt", commands))
    assert installed == {"installer", group}


def test_an_installed_group_is_not_installed_again(tmp_path: Path) -> None:
    for each in (".ready", "groups/local"):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).touch()
    assert "--requirement" not in make("--dry-run", "demo", f"VENV={tmp_path}")


def test_an_unsupported_python_is_refused_before_anything_is_created(tmp_path: Path) -> None:
    old = tmp_path / "python2"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    venv = tmp_path / "venv"
    for python in (old, tmp_path / "none"):
        command = ["make", "setup", f"PYTHON={python}", f"VENV={venv}"]
        done = subprocess.run(command, cwd=ROOT, env=own(), capture_output=True, text=True, check=False)
        assert done.returncode
        assert "make PYTHON=" in done.stderr
        assert not venv.exists()


def test_up_passes_its_variables() -> None:
    commands = make("--dry-run", "up", "PORT=1", "EMULATOR_PORT=2", "STATE_FILE=.local/second.json")
    assert "local up --port 1 --emulator-port 2 --state-file .local/second.json" in commands
    assert "local up --port 8080 --emulator-port 4566 --state-file .local/stack.json" in make("--dry-run", "up")


@pytest.mark.parametrize("file", [*MAKEFILES, ROOT / ".ci/run"], ids=lambda each: str(each.relative_to(ROOT)))
def test_macos_supports_everything_that_the_makefiles_use(file: Path) -> None:
    """GNU make 3.81 and BSD tools: no option or function that is newer or specific to GNU."""
    text = "\n".join(each for each in file.read_text().splitlines() if not each.startswith("#"))
    newer_make = r"--output-sync|\s-O\w*\s|::=|^\w+\s*!=|\$\(file |\$\(let |\$\(intcmp |\.ONESHELL|&:|^\s*undefine "
    gnu_tools = (
        r"sed -i|sed -r|\\t/|date -d|date --|find -[a-z]+ |-printf|readlink -f|grep -P|cp --|xargs -r|stat -c|nproc"
    )
    assert not re.search(newer_make, text, re.MULTILINE)
    assert not re.search(gnu_tools, text)


def test_the_layer_is_built_for_lambda_unless_the_host_is_requested() -> None:
    build = [
        "--dry-run",
        "--directory",
        "layers/dependencies",
        "build-DependenciesLayer",
        "ARTIFACTS_DIR=none",
        "UV=true",
    ]
    assert "--python-version 3.13 --python-platform aarch64-manylinux2014" in make(*build)
    here = make(*build, "LAYER_PLATFORM=", "LAYER_PYTHON_VERSION=3.12")
    assert "--python-version 3.12" in here
    assert "--python-platform" not in here


def test_a_build_passes_the_runtime_and_architecture_to_the_layers(tmp_path: Path) -> None:
    commands = make("--dry-run", "build", f"VENV={tmp_path}", "PYTHON_RUNTIME=python3.12", "ARCHITECTURE=arm64")
    assert re.search(r"LAYER_PYTHON_VERSION=3.12\s+LAYER_PLATFORM=aarch64-manylinux2014 .*sam build", commands)
    assert re.search(r"-m ops.layers \S+ --python-runtime python3.12 .*--architecture arm64", commands, re.DOTALL)
    assert "LAYER_PLATFORM=x86_64-manylinux2014 " in make("--dry-run", "build-gradual", "ARCHITECTURE=x86_64")
    plain = make("--dry-run", "build", f"VENV={tmp_path}")
    assert not re.search("LAYER_|ops.layers", plain)


def test_the_layers_are_built_for_the_template_s_defaults() -> None:
    defaults = {name: TEMPLATE["Parameters"][name]["Default"] for name in ("PythonRuntime", "Architecture")}
    assert defaults["Architecture"] == "arm64"
    for layer, target in (("dependencies", "build-DependenciesLayer"), ("likeness", "build-LikenessLayer")):
        commands = make("--dry-run", "--directory", f"layers/{layer}", target, "ARTIFACTS_DIR=none", "UV=true")
        assert set(re.findall(r"python3\.\d+", commands)) == {defaults["PythonRuntime"]}
        assert "--python-platform aarch64" in commands or layer == "likeness"


def test_the_layers_packages_are_locked_for_every_allowed_runtime_and_architecture(tmp_path: Path) -> None:
    allowed = {name: TEMPLATE["Parameters"][name]["AllowedValues"] for name in ("PythonRuntime", "Architecture")}
    platforms = [each.replace("arm64", "aarch64") for each in allowed["Architecture"]]
    wanted = {f"{each}-manylinux2014/{runtime[6:]}" for each in platforms for runtime in allowed["PythonRuntime"]}
    everything = make("--dry-run", "resolve-all", f"VENV={tmp_path}")
    assert set(re.findall(r"\w+-manylinux2014/[\d.]+", everything)) == wanted
    assert "layers/dependencies/requirements.txt" in everything


def test_the_tools_that_check_the_pages_are_pinned_with_digests_and_without_a_source() -> None:
    asked = json.loads((ROOT / "requirements/package.json").read_text())["devDependencies"]
    locked = json.loads((ROOT / "requirements/package-lock.json").read_text())["packages"]
    assert locked.pop("")["devDependencies"] == asked
    assert all(locked[f"node_modules/{name}"]["version"] == version for name, version in asked.items())
    assert all(each["integrity"].startswith("sha512-") and each["dev"] for each in locked.values())
    assert "resolved" not in {name for each in locked.values() for name in each}


@pytest.mark.parametrize("target", ["setup", "demo", "up", "build", "test-unit", "test-template"])
def test_node_is_only_for_the_check_of_the_pages(target: str, tmp_path: Path) -> None:
    assert "npm" not in make("--dry-run", target, f"VENV={tmp_path / 'none'}")


def test_without_node_the_check_of_the_pages_fails_with_a_reason(tmp_path: Path) -> None:
    command = ["make", "check-pages", f"VENV={tmp_path / 'none'}", f"NPM={tmp_path / 'npm'}"]
    done = subprocess.run(command, cwd=ROOT, env=own(), capture_output=True, text=True, check=False)
    assert done.returncode
    assert "FAILED" in done.stdout
    assert "needs Node.js" in done.stdout


def test_a_release_is_ignored_by_git_and_removed_by_make_clean() -> None:
    assert "dist/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "dist" in make("--dry-run", "clean").split()


def test_two_concurrent_runs_do_not_mix_their_output() -> None:
    commands = make("--dry-run", "whole-help")
    assert "> build/help.log 2>&1" in commands
    assert "cat build/help.log" in commands


def test_the_help_lists_targets_with_a_description() -> None:
    lines = make("help").splitlines()
    assert len(lines) > 20
    assert all(re.fullmatch(r"[a-z-]+ +\S.*", each) for each in lines)


@pytest.mark.parametrize(
    ("status", "chosen"), [(0, TEMPLATE["Parameters"]["PythonRuntime"]["Default"]), (127, "python3")]
)
def test_the_templates_python_is_used_where_it_is_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, chosen: str
) -> None:
    there = tmp_path / str(TEMPLATE["Parameters"]["PythonRuntime"]["Default"])
    there.write_text(f"#!/bin/sh\nexit {status}\n")
    there.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    commands = make("--dry-run", f"VENV={tmp_path / 'none'}", "setup-deploy")
    assert f"{chosen} -m venv" in commands


def make(*arguments: str) -> str:
    """Runs make. Returns its output."""
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=own(), capture_output=True, text=True, check=True).stdout


def own() -> dict[str, str]:
    """Returns the environment without the variables of a make that runs the tests."""
    theirs = (
        "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "PORT", "EMULATOR_PORT", "STATE_FILE", "PYTHON",
        "PYTHON_RUNTIME", "ARCHITECTURE",
    )  # fmt: skip
    return {name: value for name, value in os.environ.items() if name not in theirs}
