"""The types that the layer's build removes from pydantic_core: Pydantic works without them, and nothing else is cut."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pydantic_core
import pytest

import cut_types
from tests.template_file import ROOT

PACKAGE = Path(pydantic_core.__file__).parent
SOURCE = (PACKAGE / "core_schema.py").read_text("utf-8")
#: Builds every request body, and prints the contract of each.
SHOW_BODIES = """
import json
from pydantic_core import core_schema
from likeness.contracts import body, consent, drop_in_bodies, http
cut = core_schema.CoreConfig.__annotations__ == {}
def below(kind):
    return [kind, *(deeper for each in kind.__subclasses__() for deeper in below(each))]
bodies = [*below(body.Body)[1:], *below(drop_in_bodies.DropInBody)[1:]]
print(json.dumps([cut, {each.__name__: each.model_json_schema() for each in bodies}]))
"""


def _bodies(*first: Path) -> list[object]:
    path = os.pathsep.join([*map(str, first), str(ROOT / "layers/likeness"), *filter(None, sys.path)])
    command = [sys.executable, "-c", SHOW_BODIES]
    ran = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout))


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A folder with pydantic_core as the layer has it."""
    package = tmp_path / "pydantic_core"
    package.mkdir()
    for each in PACKAGE.iterdir():
        if each.name not in ("core_schema.py", "__pycache__"):
            (package / each.name).symlink_to(each)
    (package / "core_schema.py").write_text(SOURCE, "utf-8")
    subprocess.run([sys.executable, cut_types.__file__, str(package / "core_schema.py")], check=True, timeout=60)
    return tmp_path


def test_request_bodies_are_the_same_without_the_types(shipped: Path) -> None:
    whole, cut = _bodies(), _bodies(shipped)
    assert (whole[0], cut[0]) == (False, True)
    assert cut[1] == whole[1]
    assert whole[1]


def test_only_fields_of_typed_dicts_are_removed() -> None:
    before, after = ast.parse(SOURCE).body, ast.parse(cut_types.cut(SOURCE)).body
    changed = [one for one, other in zip(before, after, strict=True) if ast.dump(one) != ast.dump(other)]
    assert changed
    for each in changed:
        assert isinstance(each, ast.ClassDef)
        assert all(isinstance(node, (ast.AnnAssign, ast.Expr)) for node in each.body)


def test_the_file_is_replaced_because_uv_links_it_to_its_cache(tmp_path: Path) -> None:
    cached, linked = tmp_path / "cached.py", tmp_path / "linked.py"
    cached.write_text(SOURCE, "utf-8")
    linked.hardlink_to(cached)
    subprocess.run([sys.executable, cut_types.__file__, str(linked)], check=True, timeout=60)
    assert cached.read_text("utf-8") == SOURCE
    assert linked.read_text("utf-8") != SOURCE


@pytest.mark.parametrize("source", ["", "class Other:\n    x: int\n", "class Empty(TypedDict):\n    pass\n"])
def test_a_package_that_has_changed_fails_the_build(source: str) -> None:
    with pytest.raises(cut_types.NothingToCut):
        cut_types.cut(source)
