"""The README's commands lead a reader to an `asset://` id."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from local.stack import Stack
from tests.template_file import ROOT

SECONDS = 120


def test_the_readme_s_commands_end_with_an_asset_id(stack: Stack, state_file: Path, tmp_path: Path) -> None:
    (commands,) = [
        each for each in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "API=" in each
    ]
    for there, here in (
        ("http://127.0.0.1:8080/v1", stack.api_url),
        (".local/stack.json", str(state_file)),
        (".local/media", f"{tmp_path}/media"),
        (".local/session.json", f"{tmp_path}/session.json"),
        (".local/passed.html", f"{tmp_path}/passed.html"),
        (".local/place.json", f"{tmp_path}/place.json"),
        (".venv/bin/python", sys.executable),
        ("--client-id acme", "--client-id readme"),
    ):
        assert there in commands
        commands = commands.replace(there, here)
    # The loop would never end if the check failed.
    commands = commands.replace("until curl", f"until [ $SECONDS -gt {SECONDS} ] || curl")
    before = untracked()
    command = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"asset://\S+", done.stdout.splitlines()[-1])
    assert untracked() == before
    # The gateway logged each request, without secrets.
    log = (Path(stack.log_dir) / "gateway.log").read_text()
    assert re.search(r"^POST /v1/sessions/ses_\w{26}/assets 201 \d+ ms$", log, re.MULTILINE)
    assert re.search(r"^GET /v1/callback/\*\*\*/\*\*\*/\*\*\* 303 \d+ ms$", log, re.MULTILINE)


def untracked() -> str:
    """Returns the files that git neither tracks nor ignores."""
    command = ["git", "ls-files", "--others", "--exclude-standard"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
