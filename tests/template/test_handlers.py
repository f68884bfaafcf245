"""Handlers stay thin: a file parses, calls one step and answers; what several share is in the layer's runtime."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.template_file import ROOT

LONGEST = 40
HANDLERS = sorted((ROOT / "functions").glob("*/app.py"))


def test_every_function_has_a_handler() -> None:
    assert len(HANDLERS) == len([each for each in (ROOT / "functions").iterdir() if each.name != "__pycache__"]) > 20


@pytest.mark.parametrize("app", HANDLERS, ids=lambda app: app.parent.name)
def test_a_handler_has_at_most_forty_lines_and_leaves_errors_to_the_runtime(app: Path) -> None:
    text = app.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert not [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Try)]
