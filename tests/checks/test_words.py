"""The list of words finds them in every kind of file, in names, comments and sentences."""

from __future__ import annotations

import pytest

from tests.checks.words import LEFT_OUT, findings


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("class RateGovernor:\n", "Governor"),
        ("def is_told(): ...\n", "told"),
        ("x = 1  # asks the vendor\n", "vendor"),
        ('"""Raises NotFound when there is no such thing."""\n', "there is no such"),
        ("The client is told of it.\n", "told"),
        ("const strangerHost = 1;\n", "stranger"),
        ("<p>Have patience</p>\n", "patience"),
        (".twin-row { color: red }\n", "twin"),
        ("      Description: Who asks for a result\n", "who asks for"),
        ("deploy: ## opens the gates\n", "gates"),
    ],
)
def test_a_word_is_found(text: str, word: str) -> None:
    assert [found for _, found, _ in findings("first line\n" + text)] == [word]
    assert next(iter(findings("first line\n" + text)))[0] == 2


def test_stored_names_and_longer_words_are_not_found() -> None:
    assert list(findings('"GOVERNOR" GovernorWaitSeconds Eyes gateway investigate toldness')) == []


def test_what_is_left_out_is_no_code_of_ours() -> None:
    assert not LEFT_OUT.match("layers/likeness/likeness/errors.py")
    assert LEFT_OUT.match("requirements/test.txt")
