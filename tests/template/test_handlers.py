"""Handlers are thin: each parses, calls one step and responds. Shared code is in the layer's runtime."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.template_file import ROOT

MAX_LINES = 40
HANDLERS = sorted((ROOT / "functions").glob("*/app.py"))


def test_every_function_has_a_handler() -> None:
    assert len(HANDLERS) == len([each for each in (ROOT / "functions").iterdir() if each.name != "__pycache__"]) > 20


@pytest.mark.parametrize("app", HANDLERS, ids=lambda app: app.parent.name)
def test_a_handler_has_at_most_forty_lines_and_does_not_catch_errors(app: Path) -> None:
    text = app.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert not [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Try)]
