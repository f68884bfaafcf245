"""The documents: links work, decisions and versions have dates, and the Git hooks check what `make check` checks."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from tests.template_file import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "clients/python/README.md"]
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))
_CODE = re.compile(r"```.*?```", re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Returns the fragments of a page's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_link_within_the_repository_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", _CODE.sub("", page.read_text("utf-8")))
    dead = []
    for link in links:
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in _anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", DECISIONS, ids=lambda each: each.stem)
def test_a_decision_has_a_number_a_status_and_a_date(page: Path) -> None:
    number, status, day = re.findall(r"\A# (\d+)\. .+\n\n- Status: (.+)\n- Date: (\S+)\n\n", page.read_text("utf-8"))[0]
    assert int(number) == int(page.name[:4])
    assert re.match(r"(proposed|accepted|rejected|superseded by ADR \d+)\b", status)
    assert date.fromisoformat(day)


def test_each_version_in_the_changelog_has_a_date_and_only_the_first_may_be_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    versions = [re.fullmatch(r"(\d+\.\d+\.\d+) - (unreleased|\d{4}-\d\d-\d\d)", each) for each in headings]
    assert None not in versions, headings
    assert "unreleased" not in [each[2] for each in versions[1:] if each]


def test_the_hooks_are_local_and_check_the_same_types_as_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert {each["repo"] for each in hooks["repos"]} == {"local"}
    by_id = {hook["id"]: hook["entry"] for each in hooks["repos"] for hook in each["hooks"]}
    sources = re.findall(r"^SOURCES := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert [by_id["mypy"]] == [f".venv/bin/python -m mypy {each}" for each in sources]
    assert all(each.startswith(".venv/bin/python -m ") for name, each in by_id.items() if name != "conventional-commit")


@pytest.mark.parametrize(
    ("message", "good"),
    [
        ("feat(steps): add a step\n\nBecause.\n", True),
        ("feat(api)!: drop a field", True),
        ("Merge branch 'main'", True),
        ("wip", False),
        ("feat steps: add a step", False),
        ("fix: " + "x" * 68, False),
        ("more\n\nfix: not in the subject\n", False),
    ],
)
def test_the_hook_accepts_only_conventional_commits(message: str, good: bool) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    entries = [hook["entry"] for hook in hooks["repos"][0]["hooks"] if hook["id"] == "conventional-commit"]
    assert [bool(re.search(each, message, re.MULTILINE | re.DOTALL)) for each in entries] == [good]
