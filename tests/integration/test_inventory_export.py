"""The inventory of the deployed stack: exported by the function and the command, rechecked, restored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
from click.testing import CliRunner
from moto import mock_aws

from likeness.adapters.table.dynamodb import DynamoStore
from local import emulator
from local.media import DemoMedia
from ops.cli import main
from ops.inventory import Restore, lines_in, parts_of, s3_source
from tests.aws import isolated_aws_environment, make_table
from tests.integration.conftest import Api, Canaries, come_back, face_check, registration, send_file, settled


def _run(api: Api, logical_id: str) -> dict[str, Any]:
    functions = emulator.client("lambda", api.stack.emulator_endpoint)
    answer = functions.invoke(FunctionName=api.stack.resource(logical_id), Payload=b"{}")
    assert "FunctionError" not in answer, answer
    done: dict[str, Any] = json.loads(answer["Payload"].read())
    return done


def test_an_export_restores_every_person_and_contains_no_secret(
    api: Api, media: DemoMedia, canaries: Canaries, state_file: Path, tmp_path: Path
) -> None:
    file = registration(media.portrait_jpeg, "Image", "image/jpeg", name="portrait-of-the-export.jpg")
    made = api.session(language="en", reference="order-of-the-export", assets=[file])
    assert send_file(made["assets"][0]["upload"], media.portrait_jpeg.read_bytes()).ok
    assert come_back(face_check(made["attempt"]["h5_link"])).status_code == 303
    before = api.wait(made["id"], lambda found: found["status"] == "verified" and settled(found))
    assert before["assets"][0]["status"] == "active"

    # The schedule may have run before: then nothing is due, and only the command exports.
    assert _run(api, "ExportInventoryFunction")["outcome"] in ("exported", "not_due")
    done = CliRunner().invoke(main, ["inventory", "export", "--state-file", str(state_file)])
    assert done.exit_code == 0, done.output
    url = done.output.splitlines()[0]
    s3 = emulator.client("s3", api.stack.emulator_endpoint)
    source = s3_source(s3, url)
    bucket = api.stack.resource("InventoryBucket")
    assert url.startswith(f"s3://{bucket}/inventory/")
    parts = parts_of(source)
    text = b"".join(source.read(each) for each in parts).decode()
    assert [each for each in canaries.secrets if each in text] == []
    assert "portrait-of-the-export" not in text
    assert "order-of-the-export" in text

    bad: list[str] = []
    with isolated_aws_environment(), mock_aws():
        make_table("Table", "fresh")
        client = boto3.client("dynamodb")
        lines = [line for part in parts for line in lines_in(source, part, bad)]
        Restore(client, "fresh")(iter(lines))
        session, assets = DynamoStore(client, "fresh").load(made["id"])
    assert bad == []
    assert session
    assert (session.group_id, session.reference) == (before["group_id"], "order-of-the-export")
    assert [each.uri for each in assets] == [before["assets"][0]["uri"]]

    again = CliRunner().invoke(main, ["inventory", "restore", "--from", url, "--state-file", str(state_file)])
    assert again.exit_code == 0, again.output
    assert "asset restored" not in again.output
    assert api.get(made["id"]) == before


def test_the_scheduled_functions_run(api: Api) -> None:
    assert _run(api, "RecheckAssetsFunction")["outcome"] == "rechecked"
    assert _run(api, "CheckCreditsFunction") == {"outcome": "checked"}
