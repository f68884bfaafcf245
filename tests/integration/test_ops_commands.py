"""`python -m ops doctor`, `session` and `client rotate` against the deployed stack."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local import emulator
from local.media import DemoMedia
from ops.cli import main
from ops.client_keys import ClientKeys
from tests.integration.conftest import (
    Api,
    Canaries,
    SimulatorControl,
    come_back,
    face_check,
    registration,
    send_file,
    settled,
)
from tests.shown import rows_of, shown

Ops = Callable[..., Result]


@pytest.fixture
def ops(api: Api, state_file: Path) -> Ops:
    def run(*arguments: str) -> Result:
        return CliRunner(mix_stderr=False).invoke(main, [*arguments, "--state-file", str(state_file)])

    return run


@pytest.fixture
def verified(api: Api, media: DemoMedia) -> str:
    """Creates a session with one active file."""
    made = api.session(language="en", reference="the operators commands")
    come_back(face_check(made["attempt"]["h5_link"]))
    asset = api(
        "POST", f"/sessions/{made['id']}/assets", json=registration(media.portrait_jpeg, "Image", "image/jpeg")
    ).json()
    assert send_file(asset["upload"], media.portrait_jpeg.read_bytes()).status_code in (200, 201, 204)
    api.wait(made["id"], lambda each: bool(each["assets"]) and settled(each))
    found: str = made["id"]
    return found


def test_the_doctor_reads_key_and_base_url_from_the_stack(ops: Ops, crun: SimulatorControl, tmp_path: Path) -> None:
    made, uploaded = set(crun.tokens("session")), crun.calls("upload")
    result = ops("doctor", "--record", str(tmp_path))
    assert result.exit_code == 0, result.output
    its_own = set(crun.tokens("session")) - made
    assert its_own
    assert not its_own & set(crun.tokens("result"))
    assert crun.calls("upload") == uploaded
    assert len(list(tmp_path.iterdir())) == 12


def test_a_crun_that_breaks_the_contract_is_reported(ops: Ops, crun: SimulatorControl) -> None:
    crun.fault(call="session", kind="html", times=1)
    result = ops("doctor")
    assert result.exit_code == 1, result.output
    assert "HTTP 502" in result.stdout


def test_a_verified_session_is_shown_without_a_secret(ops: Ops, verified: str, canaries: Canaries) -> None:
    result = ops("session", "show", verified, "--json", "--dead-letters")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["id"], found["status"], found["client_id"]) == (verified, "verified", "demo")
    assert found["group_id"]
    assert [each["status"] for each in found["attempts"]] == ["verified"]
    assert f"{verified}-a1" in {each["name"] for each in found["executions"]}
    assert all(each["arn"].endswith(each["name"]) and each["console"] is None for each in found["executions"])
    (asset,) = found["assets"]
    assert (asset["status"], asset["file"]) == ("active", "kept")
    assert {each["mention_it"] for each in found["dead_letters"].values()} == {0}
    shown = result.stdout + ops("session", "show", verified).stdout
    shown += ops("session", "list", "--client-id", "demo", "--limit", "100").stdout
    assert verified in shown
    assert not {each[:6] + "…" for each in canaries.secrets if each in shown}
    assert "the operators commands" not in shown


def test_a_session_is_erased_as_with_the_api(ops: Ops, api: Api, verified: str) -> None:
    result = ops("session", "erase", verified, "--yes")
    assert result.exit_code == 0, result.output
    after = api.get(verified)
    assert after["status"] == "redacted"
    assert after["erasure"]["erased_at"] in result.stdout
    found = json.loads(ops("session", "show", verified, "--json").stdout)
    assert found["erasure"]["complete"]
    assert [each["file"] for each in found["assets"]] == ["none"]
    assert api("DELETE", f"/sessions/{verified}").json()["erasure"] == after["erasure"]
    assert {each["status"] for each in after["erasure"]["deletion_requests"]} == {"not_asked"}
    (group,), (asset,) = after["erasure"]["group_ids"], after["erasure"]["asset_ids"]
    letter = ops("erasure", "report")
    assert (letter.exit_code, f"- group {group}\n  - asset {asset}\n" in letter.stdout) == (0, True), letter.output
    for command in (["asked", verified], ["done", asset, "--yes", "--ticket", "CR-4711"]):
        result = ops("erasure", *command)
        assert result.exit_code == 0, result.output
    shown = {each["id"]: each["status"] for each in api.get(verified)["erasure"]["deletion_requests"]}
    assert shown == {group: "asked", asset: "done"}
    assert group not in ops("erasure", "report").stdout


def test_a_session_is_followed_until_it_is_settled(
    api: Api, media: DemoMedia, state_file: Path, canaries: Canaries
) -> None:
    made = api.session(language="en", reference="the operators commands")
    command = [sys.executable, "-m", "ops", "tail", made["id"], "--json", "--timeout", "120"]
    command += ["--state-file", str(state_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        first = running.stdout.readline()
        come_back(face_check(made["attempt"]["h5_link"]))
        file = registration(media.portrait_jpeg, "Image", "image/jpeg")
        asset = api("POST", f"/sessions/{made['id']}/assets", json=file).json()
        send_file(asset["upload"], media.portrait_jpeg.read_bytes())
        output = first + running.stdout.read()
    assert running.returncode == 0
    lines = [json.loads(each) for each in output.splitlines()]
    assert (lines[0]["what"], lines[0]["value"], lines[0]["event"]) == ("session", "requires_input", None)
    seen = {(each["what"], each["value"]): each for each in lines}
    assert seen["session", "verified"]["event"] == "likeness.session.verified"
    assert seen["attempt", "verified"]["detail"] == "10000"
    assert seen["asset", "active"]["event"] == "likeness.asset.active"
    assert "the operators commands" not in output
    assert not {each[:6] + "…" for each in canaries.secrets if each in output}


def test_an_unknown_session_is_reported(ops: Ops) -> None:
    result = ops("session", "show", "ses_01K00000000000000000000000")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_a_rotated_key_works_beside_the_old_one(ops: Ops, api: Api, keys: ClientKeys, canaries: Canaries) -> None:
    old = keys.add("rotating")
    result = ops("client", "rotate", "--key-id", hashlib.sha256(old.encode()).hexdigest()[:12])
    assert result.exit_code == 0, result.output
    new = result.stdout.strip()
    canaries.secrets |= {old, new}
    assert new not in result.stderr
    for key in (old, new):
        assert api.with_credential(key)("GET", "/sessions").status_code == 200


def test_uninstall_names_every_resource_and_asks_first(api: Api, state_file: Path) -> None:
    result = CliRunner().invoke(main, ["uninstall", "--state-file", str(state_file)], input="another\n")
    assert (result.exit_code, "nothing was changed" in result.output) == (1, True), result.output
    cloudformation = emulator.client("cloudformation", api.stack.emulator_endpoint)
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=api.stack.stack_name)
    rows = rows_of(result.output)
    names = {name for row in rows for name in re.split(r"[ ,]+", row[2])}
    for each in (each for page in pages for each in page["StackResourceSummaries"]):
        assert {each["LogicalResourceId"], each["PhysicalResourceId"]} & names, each["LogicalResourceId"]

    def kinds(found: list[tuple[str, ...]]) -> set[tuple[str, str]]:
        return {(row[0], row[1].rpartition(" ")[2] if row[0] == "removed" else row[1]) for row in found}

    assert kinds(rows) == kinds(rows_of(shown("deploying.md", "python -m ops uninstall")))
