"""A snapshot of a started function may be restored many times, so imports create nothing random, timed or secret."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template_file import ROOT

MODULES = sorted(
    [*(ROOT / "layers/likeness/likeness").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")],
)
FORBIDDEN = {
    "uuid", "uuid1", "uuid4", "token_bytes", "token_hex", "token_urlsafe", "randbytes", "random", "randint", "urandom",
    "now", "utcnow", "today", "time", "time_ns", "monotonic", "value", "get_secret_value", "current", "fresh",
}  # fmt: skip


def _at_import(tree: ast.AST) -> Iterator[ast.Call]:
    """Yields the calls that run when a module is imported: all outside of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _at_import(node)


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_id_time_or_secret_is_created_at_import(module: Path) -> None:
    calls = {_name(each) for each in _at_import(ast.parse(module.read_text("utf-8")))}
    assert not calls & FORBIDDEN


def test_a_planted_id_is_found() -> None:
    planted = ast.parse("import uuid\nclass A:\n    nonce = uuid.uuid4()\n")
    assert {_name(each) for each in _at_import(planted)} & FORBIDDEN == {"uuid4"}
