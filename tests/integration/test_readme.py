"""The README's commands lead a reader to an `asset://` id, and to a video."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from local.media import DemoMedia
from local.stack import Stack
from tests.integration.conftest import Api, agree, come_back, face_check, registration, send_file
from tests.template_file import ROOT

SECONDS = 120


def test_the_readme_s_commands_end_with_an_asset_id_and_a_video(stack: Stack, state_file: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    onboard, make_video = [each for each in blocks if "API=" in each or "/generations" in each]
    commands = onboard + make_video
    for there, here in (
        ("http://127.0.0.1:8080/v1", stack.api_url),
        (".local/stack.json", str(state_file)),
        (".local/media", f"{tmp_path}/media"),
        (".local/session.json", f"{tmp_path}/session.json"),
        (".local/passed.html", f"{tmp_path}/passed.html"),
        (".local/place.json", f"{tmp_path}/place.json"),
        (".local/generation.json", f"{tmp_path}/generation.json"),
        (".local/clip.mp4", f"{tmp_path}/clip.mp4"),
        (".venv/bin/python", sys.executable),
        ("--client-id acme", "--client-id readme"),
    ):
        assert there in commands
        commands = commands.replace(there, here)
    # The loops would never end if the check failed.
    commands = commands.replace("until curl", f"until [ $SECONDS -gt {SECONDS} ] || curl")
    before = untracked()
    command = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *_, uri, uses = done.stdout.splitlines()
    assert re.fullmatch(r"asset://\S+", uri)
    (use,) = json.loads(uses)["uses"]
    film = (tmp_path / "clip.mp4").read_bytes()
    assert (use["outcome"], use["media_sha256"]) == ("succeeded", [hashlib.sha256(film).hexdigest()])
    assert film[4:8] == b"ftyp"
    assert untracked() == before
    # The gateway logged each request, without secrets.
    log = (Path(stack.log_dir) / "gateway.log").read_text()
    assert re.search(r"^POST /v1/sessions/ses_\w{26}/assets 201 \d+ ms$", log, re.MULTILINE)
    assert re.search(r"^GET /v1/callback/\*\*\*/\*\*\*/\*\*\* 303 \d+ ms$", log, re.MULTILINE)


def test_the_readme_asks_for_named_files(api: Api, media: DemoMedia, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (helper,) = re.findall(r"^get\(\) .*$", readme, re.MULTILINE)
    (commands,) = [each for each in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "requests" in each]
    commands = commands.replace(".local/", f"{tmp_path}/")
    commands = commands.replace("until curl", f"until [ $SECONDS -gt {SECONDS} ] || curl")
    ask, wait = commands.split("# Settled")

    def run(commands: str) -> list[str]:
        script = f"API={api.stack.api_url}; KEY={api.credential}; {helper}\n{commands}"
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()

    (link,) = run(ask)
    person = api.with_credential(urlsplit(link).fragment)
    session = json.loads((tmp_path / "asked.json").read_text())
    agree(person, session["id"])
    attempt = person("POST", f"/sessions/{session['id']}/attempts").json()["attempt"]
    come_back(face_check(attempt["h5_link"]))
    for name, file, kind, content_type in (
        ("front", media.portrait_jpeg, "Image", "image/jpeg"), ("voice", media.voice_wav, "Audio", "audio/wav"),
    ):  # fmt: skip
        body = registration(file, kind, content_type) | {"request": name}
        made = person("POST", f"/sessions/{session['id']}/assets", json=body).json()
        assert send_file(made["upload"], file.read_bytes()).ok
    assert [each.partition("asset-")[0] for each in run(f"# Settled{wait}")] == ["asset://"] * 2


def untracked() -> str:
    """Returns the files that git neither tracks nor ignores."""
    command = ["git", "ls-files", "--others", "--exclude-standard"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
