"""The layers and the functions fit each other: a runtime or processor that they are not built for does not deploy."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.layers import PARAMETERS, built_for, main
from tests.template_file import RESOURCES, TEMPLATE


def _refused(template: dict[str, Any], **given: str) -> list[str]:
    """What CloudFormation says of the parameters before it touches anything."""
    values = {name: each.get("Default") for name, each in template["Parameters"].items()} | given
    refused = []
    for assertion in template["Rules"]["LayersFit"]["Assertions"]:
        parameter, value = assertion["Assert"]["Fn::Equals"]
        if values[parameter["Ref"]] != value:
            refused.append(assertion["AssertDescription"])
    return refused


def test_the_defaults_deploy_and_every_other_choice_says_what_to_build() -> None:
    assert "RuleCondition" not in TEMPLATE["Rules"]["LayersFit"]
    assert _refused(TEMPLATE) == []
    for name, variable in zip(PARAMETERS, ("PYTHON_RUNTIME", "ARCHITECTURE"), strict=True):
        others = set(TEMPLATE["Parameters"][name]["AllowedValues"]) - {TEMPLATE["Parameters"][name]["Default"]}
        assert others
        for value in others:
            (said,) = _refused(TEMPLATE, **{name: value})
            assert f"make build with {variable}" in said


def test_both_parameters_reach_every_function() -> None:
    shared = TEMPLATE["Globals"]["Function"]
    assert (shared["Runtime"], shared["Architectures"]) == ({"Ref": PARAMETERS[0]}, [{"Ref": PARAMETERS[1]}])
    assert not [name for name, each in RESOURCES.items() if {"Runtime", "Architectures"} & set(each["Properties"])]


def test_a_build_for_others_deploys_for_these_alone(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(yaml.safe_dump(TEMPLATE))
    main([str(file), "--python-runtime", "python3.12", "--architecture", "x86_64"])
    built = yaml.safe_load(file.read_text())
    assert _refused(built) == []
    assert len(_refused(built, PythonRuntime="python3.13", Architecture="arm64")) == 2
    assert built["Resources"] == RESOURCES
    main([str(file), "--python-runtime", "python3.14"])
    assert yaml.safe_load(file.read_text())["Parameters"]["Architecture"]["Default"] == "x86_64"


@pytest.mark.parametrize(("runtime", "architecture"), [("3.12", None), ("python3.10", None), (None, "amd64")])
def test_what_the_template_does_not_allow_is_refused(runtime: str | None, architecture: str | None) -> None:
    with pytest.raises(ValueError, match=f"not {runtime or architecture}"):
        built_for(copy.deepcopy(TEMPLATE), runtime, architecture)
