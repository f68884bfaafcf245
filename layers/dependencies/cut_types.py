"""Removes the fields of the TypedDicts in a module of type declarations, because creating them slows down cold starts.

Run by the layer's Makefile: ``python cut_types.py <pydantic_core/core_schema.py>``. Python compiles the type of each
field of a TypedDict when the module is imported. pydantic_core declares 500 of them for type checkers: they are 45
million instructions, a seventh of what Pydantic adds to a start. At run time, a TypedDict is a dict, with or without
fields.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path


class NothingToCut(ValueError):
    """When a module has no TypedDict with fields: its package has changed."""


def cut(source: str) -> str:
    """Returns ``source`` without the fields of its TypedDicts. Raises NothingToCut."""
    lines, removed = source.splitlines(keepends=True), 0
    declared = [each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and _is_typed_dict(each)]
    for each in reversed(declared):
        fields = [node for node in each.body if isinstance(node, ast.AnnAssign)]
        if fields:
            # Docstrings and comments go too: nothing else is in such a class.
            first, last = each.body[0], each.body[-1]
            lines[first.lineno - 1 : last.end_lineno] = [f"{' ' * first.col_offset}pass\n"]
            removed += len(fields)
    if not removed:
        raise NothingToCut("no TypedDict with fields was found")
    return "".join(lines)


def _is_typed_dict(declared: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "TypedDict" for base in declared.bases)


if __name__ == "__main__":
    module = Path(sys.argv[1])
    made = cut(module.read_text("utf-8"))
    module.unlink()  # uv links files to its cache: only this copy may change
    module.write_text(made, "utf-8")
