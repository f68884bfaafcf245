"""Records in a built template the PythonRuntime and Architecture of its layers: the only values that deploy.

``make build PYTHON_RUNTIME=python3.12 ARCHITECTURE=x86_64`` builds the layers for those and then runs
``python -m ops.layers .aws-sam/build/template.yaml --python-runtime python3.12 --architecture x86_64``. SAM does not
pass parameters to a layer's Makefile, so the layers cannot depend on parameters of the deployment.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

#: The functions' parameters that a layer with compiled packages must match.
PARAMETERS = ("PythonRuntime", "Architecture")
_RULE = "LayersFit"

_yaml = YAML()
_yaml.width = 4096


def built_for(template: Any, python_runtime: str | None = None, architecture: str | None = None) -> Any:
    """Makes the given values the defaults and the only deployable values, in place; returns the built ``template``.

    A built template has no short forms. A value of None changes nothing. Raises ValueError when the template's
    parameter does not allow a value.
    """
    for name, value in zip(PARAMETERS, (python_runtime, architecture), strict=True):
        if value is None:
            continue
        parameter = template["Parameters"][name]
        if value not in parameter["AllowedValues"]:
            raise ValueError(f"{name} is one of {', '.join(parameter['AllowedValues'])}, not {value}")
        parameter["Default"] = value
        for assertion in template["Rules"][_RULE]["Assertions"]:
            asserted = assertion["Assert"]["Fn::Equals"]
            if asserted[0] == {"Ref": name}:
                asserted[1] = value
    return template


def record(file: Path, python_runtime: str | None, architecture: str | None) -> None:
    """Changes the built template ``file`` in place, with `built_for`. Raises ValueError as that does."""
    template = _yaml.load(file)
    built_for(template, python_runtime, architecture)
    _yaml.dump(template, file)


def main(arguments: list[str] | None = None) -> None:
    """Changes a built template in place."""
    parser = argparse.ArgumentParser(prog="python -m ops.layers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("template", type=Path, help="the template that `sam build` wrote")
    parser.add_argument("--python-runtime", metavar="python3.12")
    parser.add_argument("--architecture", metavar="x86_64")
    chosen = parser.parse_args(arguments)
    try:
        record(chosen.template, chosen.python_runtime, chosen.architecture)
    except ValueError as exc:
        parser.error(str(exc))


if __name__ == "__main__":
    main()
