"""The files of a page are found by what names them, as a browser does."""

from __future__ import annotations

import pytest

from bench.checked.pages import PAGES, names_in, views


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("text/html", '<link rel="stylesheet" href="pages/1/a.css"><script type="module" src="pages/1/a.js">',
         ["pages/1/a.css", "pages/1/a.js"]),
        ("text/html", '<a href="elsewhere">link</a><link rel="icon" href="data:,">', []),
        ("text/javascript", 'import { h } from "./dom.js";\nimport "./b.js";\nawait import("./c.js");\nx("./no.js")',
         ["./dom.js", "./b.js", "./c.js"]),
        ("text/css", "a { background: url(icon.svg) } b { mask: url('data:image/svg+xml,x') }", ["icon.svg"]),
        ("image/svg+xml", '<image href="a.png"/>', []),
    ],
)  # fmt: skip
def test_the_names_in_a_file(kind: str, body: str, expected: list[str]) -> None:
    assert names_in(kind, body) == expected


def test_each_page_is_served_with_its_files() -> None:
    found = views()
    assert set(found) == set(PAGES)
    assert all(each["requests"] >= 1 and 500 < each["bytes"] < 70_000 for each in found.values())
