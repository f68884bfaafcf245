"""Runs the commands of the restore runbook in docs/operations.md, from the backup to the last repeated erasure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import session_key
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.session import SessionStatus
from ops.cli import main
from ops.client_keys import ClientKeys
from tests.aws import described_stack, make_table
from tests.functions import cold_start
from tests.template_file import ROOT
from tests.unit.api_harness import ApiHarness, service

IMAGE = {"name": "anna-smith", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 1000}
MACHINE = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}


def commands(heading: str) -> list[list[str]]:
    """Returns the words of each command in a section of the runbook: ``python -m ops …``, ``aws dynamodb …``."""
    text = (ROOT / "docs/operations.md").read_text()
    section = text.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    return [each.split() for each in re.findall(r"`((?:python -m ops|aws dynamodb) [^`]+)`", section)]


@dataclass
class RunbookHarness:
    """A stack in moto, with the actions of its clients and of the operator."""

    api: ApiHarness
    outputs: dict[str, str]
    folder: Path
    played: list[str] = field(default_factory=list)

    def ops(self, command: list[str], **values: str) -> str:
        """Runs a command of the runbook with its placeholders filled in."""
        text = " ".join(command)
        self.played.append(text)
        for name, value in values.items():
            text = text.replace(name, value)
        assert "<" not in text, text
        done = CliRunner().invoke(main, text.removeprefix("python -m ops ").split())
        assert done.exit_code == 0, done.output
        return done.output

    @property
    def store(self) -> DynamoStore:
        return DynamoStore(boto3.client("dynamodb"), self.outputs["TableName"])

    def person(self, reference: str) -> tuple[str, list[Asset]]:
        """Creates a session with two files in the bucket."""
        made = self.api.session(reference=reference, assets=[IMAGE, IMAGE | {"name": "second-name"}])
        for each in self.store.list_assets(made):
            boto3.client("s3").put_object(Bucket="uploads", Key=each.object_key, Body=b"face")
        return made, self.store.list_assets(made)

    def erase(self, session: str, asset: str = "") -> None:
        """Sends the client's erasure request."""
        resource = "/sessions/{session_id}" + ("/assets/{asset_id}" if asset else "")
        parameters = {"session_id": session} | ({"asset_id": asset} if asset else {})
        answer = self.api.request("erase_session", "DELETE", resource, parameters=parameters)
        assert answer.status == 200

    def withdraw(self, session: str) -> None:
        """Sends the client's withdrawal."""
        path = "/sessions/{session_id}/consent/withdraw"
        answer = self.api.request("withdraw_consent", "POST", path, parameters={"session_id": session})
        assert answer.status == 200


@pytest.fixture
def runbook(tmp_path: Path) -> Iterator[RunbookHarness]:
    with service() as running:
        boto3.client("s3").put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
        boto3.client("s3").create_bucket(Bucket="inventory")
        role = boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        machine = boto3.client("stepfunctions").create_state_machine(
            name="none", definition=json.dumps(MACHINE), roleArn=role
        )["stateMachineArn"]
        running.apps["erase_session"] = cold_start("erase_session")
        running.apps["withdraw_consent"] = cold_start("withdraw_consent")
        outputs = {"TableName": "Table", "UploadBucketName": "uploads", "StateMachineArn": machine}
        with described_stack("likeness", outputs, {"InventoryBucket": "inventory"}, {}):
            yield RunbookHarness(running, outputs, tmp_path)


def everything(table: str) -> str:
    return json.dumps(boto3.client("dynamodb").scan(TableName=table)["Items"])


def erasures(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Returns the log lines that the runbook's query *Erasures* finds."""
    lines: list[dict[str, Any]] = [vars(each) for each in log.records]
    return [each for each in lines if each["message"] in ("session erased", "asset erased")]


def test_restore_a_deleted_table(runbook: RunbookHarness, caplog: pytest.LogCaptureFixture) -> None:
    keys = ClientKeys(boto3.client("dynamodb"), "Table")
    keys.add("acme")
    revoked = keys.known()[0].key_id
    kept, gone, part, back = (runbook.person(each) for each in ("kept-1", "gone-2", "part-3", "back-4"))
    # The backup, by schedule or on demand.
    assert CliRunner().invoke(main, ["inventory", "export"]).exit_code == 0
    (manifest,) = [
        each["Key"]
        for each in boto3.client("s3").list_objects_v2(Bucket="inventory")["Contents"]
        if each["Key"].endswith("manifest.json")
    ]
    # The changes between the backup and the damage.
    keys.revoke(revoked)
    runbook.erase(gone[0])
    runbook.erase(part[0], part[1][0].id)
    runbook.withdraw(back[0])
    withdrawn = [vars(each) for each in caplog.records if each.message == "consent withdrawn"]
    assert [(each["session_id"], each["source"]) for each in withdrawn] == [(back[0], "client")]
    erased = erasures(caplog)
    assert [(each["message"], each["session_id"], each["client_id"]) for each in erased] == [
        ("session erased", gone[0], "acme"),
        ("asset erased", part[0], "acme"),
    ]
    # The table is deleted, and the stack is deployed with an empty one.
    boto3.client("dynamodb").delete_table(TableName="Table")
    make_table("Table", "Table")
    listed = [each for each in commands("At night: the table is gone") if each[0] == "python"]
    restore, erase_session, erase_asset, withdraw, revoke, *others = listed
    assert restore[3:5] == ["inventory", "restore"]
    folder = manifest.removesuffix("manifest.json").removeprefix("inventory/").rstrip("/")
    for _ in range(2):
        runbook.ops(restore, **{"$BUCKET": "inventory", "<date>/<export>": folder})
    assert "gone-2" in everything("Table"), "an export does not have later changes"
    assert [each.revoked_at for each in keys.known()] == [None]
    # Step 4: repeat the later erasures, which are in the logs.
    for _ in range(2):
        for each in erased:
            if "asset_id" in each:
                ids = {"<session_id>": each["session_id"], "<asset_id>": each["asset_id"]}
                runbook.ops(erase_asset, **ids)
            else:
                runbook.ops(erase_session, **{"<session_id>": each["session_id"]})
        for entry in withdrawn:
            runbook.ops(withdraw, **{"<session_id>": entry["session_id"], "<source>": entry["source"]})
        runbook.ops(revoke, **{"<key_id>": revoked})
        for further in others:
            runbook.ops(further)
    assert keys.known()[0].revoked_at
    again = runbook.store.get_session(back[0])
    assert again
    assert again.withdrawal
    assert again.withdrawal.source == "client"
    session, assets = runbook.store.load(gone[0])
    assert session
    assert session.status is SessionStatus.REDACTED
    assert {each.status for each in assets} == {AssetStatus.REDACTED}
    assert [each.status for each in runbook.store.list_assets(part[0])].count(AssetStatus.REDACTED) == 1
    found = everything("Table")
    assert "gone-2" not in found
    assert "kept-1" in found
    assert "part-3" in found
    assert [each.id for each in runbook.store.list_assets(kept[0])] == [each.id for each in kept[1]]
    left = boto3.client("s3").list_object_versions(Bucket="uploads", Prefix=f"uploads/{gone[0]}/")
    assert not left.get("Versions")


def test_restore_a_table_that_was_damaged_some_hours_ago(runbook: RunbookHarness) -> None:
    dynamodb = boto3.client("dynamodb")
    lost, gone = runbook.person("lost-1"), runbook.person("gone-2")
    pitr, wait, export, restore, *others, drop = commands("At night: the table was damaged, some hours ago at most")
    options = dict(zip(pitr[3::2], pitr[4::2], strict=True))
    assert pitr[2] == "restore-table-to-point-in-time"
    # moto restores the current items, so this runs before the damage.
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="Table", TargetTableName=options["--target-table-name"], UseLatestRestorableTime=True
    )
    runbook.erase(gone[0])
    for each in lost[1]:
        dynamodb.delete_item(TableName="Table", Key={"pk": session_key(lost[0])["pk"], "sk": {"S": f"ASSET#{each.id}"}})
    dynamodb.delete_item(TableName="Table", Key=session_key(lost[0]))
    assert wait[2:4] == ["wait", "table-exists"]
    dynamodb.get_waiter("table_exists").wait(TableName=wait[-1])
    to = str(runbook.folder / "recovered")
    runbook.ops(export, **{"--to recovered": f"--to {to}"})
    for _ in range(2):
        runbook.ops(restore, **{"--from recovered": f"--from {to}"})
        for further in others:
            runbook.ops(further)
    session, assets = runbook.store.load(lost[0])
    assert session
    assert session.reference == "lost-1"
    assert [each.id for each in assets] == [each.id for each in lost[1]]
    tombstone = runbook.store.get_session(gone[0])
    assert tombstone
    assert tombstone.status is SessionStatus.REDACTED
    assert "gone-2" not in everything("Table")
    dynamodb.delete_table(TableName=drop[-1])
    assert dynamodb.list_tables()["TableNames"].count("likeness-restored") == 0


def test_a_refused_erasure_writes_no_log_line(runbook: RunbookHarness, caplog: pytest.LogCaptureFixture) -> None:
    event = {"session_id": "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"}
    answer = runbook.api.request("erase_session", "DELETE", "/sessions/{session_id}", parameters=event)
    assert answer.status == 404
    assert erasures(caplog) == []
