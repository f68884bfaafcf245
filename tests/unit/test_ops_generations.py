"""`python -m ops generation`, against an account in moto: what an operator sees, and what is never shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.generation import Generation, GenerationStatus, Media, PersonUse, TaskReport, failed, generation_id
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Language, Problem, Session, SessionStatus
from ops.cli import main
from ops.client_keys import ClientKeys
from tests.aws import described_stack, isolated_aws_environment, make_table

NOW = 1_800_000_000.0
MODEL = "bytedance/seedance2-0-r2v"
PROMPT, LINK, REFERENCE, CALLBACK, WORDS = (
    "anna walks along the beach",
    "https://media.crun.example/film.mp4?signature=secret",
    "order-4711",
    "https://app.acme.com/crun",
    "blocked because of: anna walks",
)


@dataclass
class Account:
    """A stack in moto with one person, which the commands find like one on AWS."""

    store: DynamoGenerations
    person: PersonUse
    outputs: dict[str, str]
    made: list[Generation] = field(default_factory=list)

    def run(self, *arguments: str) -> Result:
        return CliRunner(mix_stderr=False).invoke(main, ["generation", *arguments])

    def found(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def make(self, client_id: str = "acme", **changes: Any) -> Generation:
        """Stores a queued generation, a second later than the last one."""
        number = len(self.made)
        made = Generation(
            id=generation_id(client_id, str(number)),
            client_id=client_id,
            status=GenerationStatus.QUEUED,
            model=MODEL,
            created_at=NOW + number,
            updated_at=NOW + number,
            body_sha256="0" * 64,
            input=json.dumps({"prompt": PROMPT}),
            people=(self.person,),
            purpose="advertising",
            reference=REFERENCE,
            drop_in=True,
            callback_url=CALLBACK,
        )
        made = replace(made, **changes)
        self.store.create(made, None)
        self.made.append(made)
        return made

    def end(self, generation: Generation, status: GenerationStatus, **changes: Any) -> None:
        ended = replace(generation.ended(status, NOW + 60), **changes)
        self.store.end(ended, generation)


def _person(store: DynamoStore) -> PersonUse:
    session = Session(
        id=session_id(int(NOW * 1000), b"s" * 10),
        client_id="acme",
        status=SessionStatus.VERIFIED,
        language=Language.EN,
        created_at=NOW,
        updated_at=NOW,
        group_id="group-1",
        asset_count=1,
    )
    asset = Asset(
        id=asset_id(int(NOW * 1000), b"a" * 10),
        session_id=session.id,
        name="front",
        asset_type=AssetType.IMAGE,
        content_type="image/jpeg",
        status=AssetStatus.ACTIVE,
        object_key="uploads/front",
        created_at=NOW,
        updated_at=NOW,
        crun_asset_id="asset-1",
    )
    store.create_session(session, [asset])
    return PersonUse(session.id, (asset.id,), ("asset-1",))


@pytest.fixture
def account() -> Iterator[Account]:
    with isolated_aws_environment(), mock_aws():
        make_table("Table", "inventory")
        boto3.client("s3").create_bucket(Bucket="uploads")
        role = boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        definition = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}})
        machine = boto3.client("stepfunctions").create_state_machine(name="make", definition=definition, roleArn=role)[
            "stateMachineArn"
        ]
        outputs = {"TableName": "inventory", "UploadBucketName": "uploads", "GenerationStateMachineArn": machine}
        table = boto3.client("dynamodb")
        made = Account(DynamoGenerations(table, "inventory"), _person(DynamoStore(table, "inventory")), outputs)
        with described_stack("likeness", outputs, {}, {}):
            yield made


def test_show_has_the_facts_for_an_incident(account: Account) -> None:
    made = account.store.intend(account.make(), "request-1", NOW + 1)
    made = account.store.next_execution(account.store.record_task(made, "task-1", NOW + 2))
    report = TaskReport("task-1", "success", (LINK,), 12.5, message=WORDS, provider="byteplus")
    account.store.record_report(made, report, NOW + 3)
    key = f"generations/{made.id}/1.mp4"
    boto3.client("s3").put_object(Bucket="uploads", Key=key, Body=b"film")
    media = (Media(key, "video/mp4", 4, "1" * 64), Media(f"generations/{made.id}/2.jpg", "image/jpeg", 4, "2" * 64))
    account.end(made, GenerationStatus.SUCCEEDED, media=media, credits=12.5)
    for name in (made.id, f"{made.id}-r1", f"{made.id}-r2"):
        boto3.client("stepfunctions").start_execution(
            stateMachineArn=account.outputs["GenerationStateMachineArn"], name=name
        )
    found = account.found("show", made.id)
    assert (found["status"], found["task_id"], found["credits"]) == ("succeeded", "task-1", 12.5)
    assert (found["intended_by"], found["intended_at"]) == ("request-1", "2027-01-15T08:00:01Z")
    (person,) = found["people"]
    assert (person["session_id"], person["crun_asset_ids"]) == (account.person.session_id, "asset-1")
    assert (found["report"]["provider"], found["report"]["files"]) == ("byteplus", 1)
    assert [each["file"] for each in found["media"]] == ["kept", "gone"]
    assert [each["name"] for each in found["executions"]] == [made.id, f"{made.id}-r1"]
    assert found["executions"][0]["console"].endswith(found["executions"][0]["arn"])


def test_no_prompt_link_reference_or_words_of_crun_are_shown(account: Account) -> None:
    made = account.store.record_task(account.make(), "task-1", NOW + 2)
    report = TaskReport("task-1", "failed", (LINK,), message=WORDS)
    account.store.record_report(made, report, NOW + 3)
    account.end(made, GenerationStatus.FAILED, error=failed(report), credits=0.5)
    shown = ""
    for arguments in (["show", made.id], ["list", "--client-id", "acme"], ["list"]):
        shown += account.run(*arguments).output + account.run(*arguments, "--json").output
    assert shown.count("generation_failed") == 4  # no key: the client is not in the listing of every client
    assert not [each for each in (PROMPT, LINK, REFERENCE, CALLBACK, WORDS) if each in shown]


def test_a_file_that_no_row_names_is_reported(account: Account) -> None:
    made = account.make()
    key = f"generations/{made.id}/1.mp4"
    boto3.client("s3").put_object(Bucket="uploads", Key=key, Body=b"film")
    assert account.found("show", made.id)["media"] == [{"key": key, "file": "not recorded"}]
    assert f"  key: {key}" in account.run("show", made.id).stdout.splitlines()


def test_a_listing_of_a_client_is_newest_first_and_paged(account: Account) -> None:
    ids = [account.make().id for _ in range(3)]
    account.make("other")
    first = account.found("list", "--client-id", "acme", "--limit", "2")
    assert [each["id"] for each in first["generations"]] == [ids[2], ids[1]]
    rest = account.found("list", "--client-id", "acme", "--limit", "2", "--cursor", first["cursor"])
    assert ([each["id"] for each in rest["generations"]], rest["cursor"], rest["complete"]) == ([ids[0]], None, True)


def test_uncertain_ones_of_every_client_are_found(account: Account) -> None:
    keys = ClientKeys(boto3.client("dynamodb"), "inventory")
    keys.revoke(keys.known()[0].key_id if keys.add("acme") else "")
    keys.add("other")
    wanted = [account.make(client) for client in ("acme", "other", "acme")]
    account.make()
    for each in wanted:
        account.end(each, GenerationStatus.UNCERTAIN, error=Problem("task_unknown", "crun did not answer"))
    result = account.run("list", "--status", "uncertain")
    assert [line.split()[0] for line in result.stdout.splitlines()] == [each.id for each in reversed(wanted)]
    assert result.stdout.splitlines()[0].endswith("task_unknown")
    assert result.stderr == ""
    assert "more generations may follow" in account.run("list", "--limit", "2").stderr


def test_the_generations_of_a_person_need_no_client(account: Account) -> None:
    shown = account.make()
    account.make(people=())
    assert [each["id"] for each in account.found("list", "--session", account.person.session_id)["generations"]] == [
        shown.id
    ]
    unknown = session_id(int(NOW * 1000), b"?" * 10)
    result = account.run("list", "--session", unknown)
    assert (result.exit_code, result.stderr) == (1, f"Error: no session has the id {unknown}\n")


def test_an_older_stack_without_the_state_machine_shows_its_rows(account: Account) -> None:
    made = account.make()
    outputs = {name: each for name, each in account.outputs.items() if name != "GenerationStateMachineArn"}
    with described_stack("likeness", outputs, {}, {}):
        assert account.found("show", made.id)["executions"] == []


@pytest.mark.parametrize("given", ["", "gen_", "acme", "gen_01ke1q5v0g8z6w3n4r2t7y9xab", "../../x"])
def test_an_invalid_id_causes_no_read_of_the_table(account: Account, given: str) -> None:
    assert account.run("show", given).exit_code == 2


def test_an_unknown_generation_is_reported_as_such(account: Account) -> None:
    unknown = generation_id("acme", "?")
    result = account.run("show", unknown)
    assert (result.exit_code, result.stderr) == (1, f"Error: no generation has the id {unknown}\n")
    assert account.run("list", "--cursor", "x").exit_code == 2
