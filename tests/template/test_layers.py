"""The layers match the functions: a runtime or architecture that they are not built for cannot be deployed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.layers import PARAMETERS, built_for, main
from tests.template_file import RESOURCES, TEMPLATE


def _refused(template: dict[str, Any], **given: str) -> list[str]:
    """Returns CloudFormation's errors for the parameters, before it changes anything."""
    values = {name: each.get("Default") for name, each in template["Parameters"].items()} | given
    refused = []
    for assertion in template["Rules"]["LayersFit"]["Assertions"]:
        parameter, value = assertion["Assert"]["Fn::Equals"]
        if values[parameter["Ref"]] != value:
            refused.append(assertion["AssertDescription"])
    return refused


def test_the_defaults_deploy_and_every_other_value_is_refused_with_the_build_option() -> None:
    assert "RuleCondition" not in TEMPLATE["Rules"]["LayersFit"]
    assert _refused(TEMPLATE) == []
    for name, variable in zip(PARAMETERS, ("PYTHON_RUNTIME", "ARCHITECTURE"), strict=True):
        others = set(TEMPLATE["Parameters"][name]["AllowedValues"]) - {TEMPLATE["Parameters"][name]["Default"]}
        assert others
        for value in others:
            (message,) = _refused(TEMPLATE, **{name: value})
            assert f"make build with {variable}" in message


def test_every_function_uses_both_parameters() -> None:
    shared = TEMPLATE["Globals"]["Function"]
    assert (shared["Runtime"], shared["Architectures"]) == ({"Ref": PARAMETERS[0]}, [{"Ref": PARAMETERS[1]}])
    assert not [name for name, each in RESOURCES.items() if {"Runtime", "Architectures"} & set(each["Properties"])]


def test_a_build_for_other_values_deploys_only_with_these(tmp_path: Path) -> None:
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
def test_a_value_that_the_template_does_not_allow_is_refused(runtime: str | None, architecture: str | None) -> None:
    with pytest.raises(ValueError, match=f"not {runtime or architecture}"):
        built_for(copy.deepcopy(TEMPLATE), runtime, architecture)
