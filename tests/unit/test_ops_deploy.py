"""`python -m ops deploy`: the file that it writes, and how it handles an older stack's parameters."""

from __future__ import annotations

import copy
import stat
from pathlib import Path

import pytest
from samcli.cli.types import CfnParameterOverridesType

from ops.deploy import QUESTIONS, Change, Config, ConfigError, secret_overrides, upgrade, wrong
from ops.template import product_template
from tests.template_file import ROOT, TEMPLATE

KEY = "ak_0123456789abcdef0123456789abcdef"
VALUES = {
    "OperatorName": 'Acme "The Shop" Ltd, Zürich = 影像',
    "OperatorContact": "privacy@acme.example or Main Street 1, it's there",
    "AlarmEmail": "",
    "LogLevel": "DEBUG",
}


def test_sam_reads_the_written_parameters_and_the_rest_of_the_file_is_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "samconfig.toml"
    before = (ROOT / "samconfig.toml").read_text()
    file.write_text(before)
    config = Config(file, "dev")
    config.write("likeness-dev", "eu-west-1", config.overrides() | VALUES | {"CrunApiKey": KEY})
    assert config.overrides() == VALUES | {"UploadRetentionDays": "7"}
    assert config.settings() == {"stack_name": "likeness-dev", "region": "eu-west-1"}
    after = file.read_text()
    assert KEY not in after
    changed = {each for each in before.splitlines() if each not in after.splitlines()}
    assert {each.partition(" = ")[0] for each in changed} == {"parameter_overrides"}
    assert Config(file, "prod").settings() == {"stack_name": "likeness"}


@pytest.mark.parametrize("there", [None, "version = 0.1\n"])
def test_a_missing_section_is_added(tmp_path: Path, there: str | None) -> None:
    file = tmp_path / "samconfig.toml"
    if there:
        file.write_text(there)
    config = Config(file, "stage")
    assert (config.settings(), config.overrides()) == ({}, {})
    config.write("likeness-stage", "eu-west-1", {"Firewall": "on"})
    assert config.overrides() == {"Firewall": "on"}
    assert "[stage.deploy.parameters]" in file.read_text()


def test_a_key_in_the_file_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "samconfig.toml"
    file.write_text(
        f'version = 0.1\n[default.deploy.parameters]\nparameter_overrides = "CrunApiKey={KEY} Firewall=on"\n'
    )
    config = Config(file, "default")
    config.write("likeness", "eu-west-1", config.overrides())
    assert (config.overrides(), KEY in file.read_text()) == ({"Firewall": "on"}, False)


def test_an_invalid_file_is_named_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "samconfig.toml"
    file.write_text("version = [")
    with pytest.raises(ConfigError, match=r"samconfig\.toml"):
        Config(file, "default").overrides()
    assert file.read_text() == "version = ["


def test_the_key_is_passed_in_a_private_file_that_is_deleted() -> None:
    with secret_overrides(VALUES, KEY) as given:
        assert KEY not in given
        file = Path(given.removeprefix("file://"))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert CfnParameterOverridesType().convert(given, None, None) == VALUES | {"CrunApiKey": KEY}
    assert not file.exists()


def test_an_upgrade_distinguishes_a_new_default_from_a_choice() -> None:
    before = copy.deepcopy(TEMPLATE)
    parameters = before["Parameters"]
    parameters["InventoryHours"]["Default"], parameters["RecheckDays"]["Default"] = 12, 30
    parameters["Forgotten"] = parameters.pop("VideoMaxPixels")
    current = {name: str(each.get("Default", "")) for name, each in parameters.items() if name != "CrunApiKey"}
    current |= {"RecheckDays": "3", "LogLevel": "DEBUG"}
    found = upgrade(current, before, product_template())
    assert found.changes == [Change("InventoryHours", "12", "12", "24"), Change("RecheckDays", "3", "30", "7")]
    assert [each.follows for each in found.changes] == [True, False]
    assert (found.new, found.removed) == ({"VideoMaxPixels": "2086876"}, ["Forgotten"])
    # Without the old template they cannot be distinguished: all differences are shown, and nothing is changed.
    blind = upgrade(current, None, product_template())
    assert {each.parameter for each in blind.changes} == {"InventoryHours", "RecheckDays", "LogLevel"}
    assert not any(each.follows for each in blind.changes)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("AlarmEmail", "nobody"),
        ("DomainName", "Likeness.example.com"),
        ("Firewall", "yes"),
        ("OperatorName", "a" * 121),
        ("OperatorName", "a\\b"),
        ("OperatorContact", "a\nb"),
    ],
)
def test_an_invalid_answer_is_named(parameter: str, value: str) -> None:
    assert (wrong(product_template(), parameter, value) or "").startswith(parameter)


def test_every_question_is_about_a_parameter_and_they_are_few() -> None:
    for each in QUESTIONS:
        default = str(TEMPLATE["Parameters"][each.parameter]["Default"])
        assert wrong(product_template(), each.parameter, default) is None
    # Region, name, crun's key or the new defaults, and SAM's own about the change set.
    assert len(QUESTIONS) + 4 <= 10


def test_the_readme_deploys_in_six_lines() -> None:
    section = (ROOT / "README.md").read_text().partition("## Deploy it to AWS\n")[2].partition("\n## ")[0]
    assert len([each for each in section.splitlines() if each and not each.startswith("```")]) <= 6
