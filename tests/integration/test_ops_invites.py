"""`python -m ops invite` against the deployed stack: a batch that is interrupted, and one link."""

from __future__ import annotations

import csv
import io
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ops.cli import main
from ops.client_keys import ClientKeys
from tests.integration.conftest import Api, Canaries
from tests.template_file import ROOT

PEOPLE = 12


@pytest.fixture
def client(api: Api, keys: ClientKeys, canaries: Canaries) -> Api:
    key = keys.add("inviter")
    canaries.secrets.add(key)
    return api.with_credential(key)


@pytest.fixture
def people(tmp_path: Path, canaries: Canaries) -> Path:
    references = [f"invited-person-{each}" for each in range(PEOPLE)]
    canaries.personal |= set(references)
    lines = [f'{each},en,"front:Image:Look at the camera; voice:Audio?"\r\n' for each in references]
    (tmp_path / "people.csv").write_text("reference,language,requests\r\n" + "".join(lines), "utf-8-sig", newline="")
    return tmp_path / "people.csv"


def run(client: Api, state_file: Path, *arguments: str) -> Result:
    runner = CliRunner(mix_stderr=False, env={"LIKENESS_API_KEY": client.credential})
    return runner.invoke(main, ["invite", *arguments, "--state-file", str(state_file)])


def sessions(client: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client("GET", "/sessions?limit=100").json()["sessions"]
    return found


def links(path: Path, canaries: Canaries) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    canaries.notice(rows)
    return rows


def test_a_batch_that_was_killed_is_continued_and_creates_nothing_twice(
    client: Api, state_file: Path, people: Path, canaries: Canaries
) -> None:
    command = [sys.executable, "-m", "ops", "invite", "--csv", str(people), "--state-file", str(state_file.resolve())]
    killed = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"LIKENESS_API_KEY": str(client.credential)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(sessions(client)) < 2 and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.kill()
    output = b"".join(killed.communicate())
    assert 2 <= len(sessions(client)) < PEOPLE
    result = people.with_suffix(".links.csv")
    assert not result.exists()

    again = run(client, state_file, "--csv", str(people))
    assert again.exit_code == 0, again.output
    first = links(result, canaries)
    assert stat.S_IMODE(result.stat().st_mode) == 0o600
    assert len({each["invite_url"] for each in first}) == len(sessions(client)) == PEOPLE
    assert {each["session_id"] for each in first} == {each["id"] for each in sessions(client)}
    assert {each["problem"] for each in first} == {""}

    assert run(client, state_file, "--csv", str(people)).exit_code == 1, "the result exists"
    assert run(client, state_file, "--csv", str(people), "--overwrite").exit_code == 0
    assert links(result, canaries) == first
    assert len(sessions(client)) == PEOPLE

    shown = output.decode() + again.stdout + again.stderr
    assert not [each for each in first if each["invite_url"] in shown or each["reference"] in shown]
    person = client.with_credential(first[0]["invite_url"].partition("#")[2])
    view = person.get(first[0]["session_id"])
    assert [(each["name"], each["required"]) for each in view["requests"]] == [("front", True), ("voice", False)]


def test_a_link_is_renewed_and_revoked(client: Api, state_file: Path, canaries: Canaries) -> None:
    made = client.session(start="on_open")
    renewed = run(client, state_file, "renew", made["id"])
    assert renewed.exit_code == 0, renewed.stderr
    canaries.notice(renewed.stdout)
    person = client.with_credential(renewed.stdout.strip().partition("#")[2])
    assert person("GET", f"/sessions/{made['id']}").status_code == 200
    for _ in range(2):
        revoked = run(client, state_file, "revoke", made["id"])
        assert revoked.exit_code == 0, revoked.stderr
        assert person("GET", f"/sessions/{made['id']}").status_code == 403
    assert run(client, state_file, "renew", made["id"]).exit_code == 0
    missing = run(client, state_file, "revoke", "ses_01K00000000000000000000000")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)
