"""The repository has no third-party source code: packages come from registries, pinned by hashes."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.template_file import ROOT

#: Licence headers of third-party files, also in the form that a bundler keeps.
NOTICE = re.compile(
    r"copyright\s+(\(c\)|©|\d{4})|©\s*\d{4}|permission\s+is\s+hereby\s+granted|licen[cs]ed\s+under\s+the"
    r"|redistribution\s+and\s+use\s+in|(general|mozilla)\s+public\s+licen[cs]e|spdx-licen[cs]e-identifier:\s|@licen[cs]e\b"
    r"|^\s*/\*!",
    re.IGNORECASE | re.MULTILINE,
)


@pytest.mark.parametrize(
    "head",
    [
        "/*!_lean-qr_2.7.4", "//_@license_MIT", "*_Copyright_(c)_2021_David_Evans", "#_Copyright_2019_The_Authors",
        "#_SPDX-License-Identifier:_MIT", "Permission_is_hereby_granted,_free_of_charge",
        "#_Licensed_under_the_Apache_License", "Redistribution_and_use_in_source_and_binary_forms",
        "GNU_Lesser_General_Public_License",
    ],
)  # fmt: skip
def test_a_third_party_header_is_recognised(head: str) -> None:
    assert NOTICE.search(head.replace("_", " "))


def test_no_file_has_a_third_party_header() -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [ROOT / name for name in names if name and not name.endswith("LICENSE")]
    assert len(files) > 200
    found = [
        str(file.relative_to(ROOT))
        for file in files
        if file.is_file() and NOTICE.search(file.read_text("utf-8", "replace"))
    ]
    assert found == []
