"""`python -m ops session`, against an account in moto: what an operator sees, and what is never shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.receipts import DynamoReceipts
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.file_requests import FileRequest
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.receipt import Holder, IssuedReceipt
from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Problem, Session, SessionStatus
from ops.cli import main
from tests.aws import described_stack, isolated_aws_environment, make_table

NOW = 1_800_000_000.0
TOKEN, RETURN_URL, REFERENCE, NAME = (
    "20270115080000SECRETTOKEN",
    "https://app.acme.com/back",
    "order-4711",
    "anna-smith",
)
UNKNOWN = session_id(int(NOW * 1000), b"?" * 10)


@dataclass
class Account:
    """A stack in moto, which the commands find like one on AWS."""

    store: DynamoStore
    outputs: dict[str, str]
    queues: dict[str, str]

    def run(self, *arguments: str, **options: Any) -> Result:
        return CliRunner(mix_stderr=False).invoke(main, ["session", *arguments], **options)

    def put_file(self, key: str) -> str:
        """Stores an object. Returns its version."""
        made = boto3.client("s3").put_object(Bucket=self.outputs["UploadBucketName"], Key=key, Body=b"bytes")
        return made["VersionId"]

    def start(self, name: str) -> None:
        boto3.client("stepfunctions").start_execution(stateMachineArn=self.outputs["StateMachineArn"], name=name)

    def status_of(self, name: str) -> str:
        prefix = self.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
        return str(boto3.client("stepfunctions").describe_execution(executionArn=f"{prefix}:{name}")["status"])


def _deploy() -> Account:
    make_table("Table", "inventory")
    boto3.client("s3").create_bucket(Bucket="uploads")
    boto3.client("s3").put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    role = boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    # moto's executions run until they are stopped, regardless of the definition.
    definition = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}})
    machine = boto3.client("stepfunctions").create_state_machine(name="machine", definition=definition, roleArn=role)[
        "stateMachineArn"
    ]
    outputs = {"TableName": "inventory", "UploadBucketName": "uploads", "StateMachineArn": machine}
    sqs, names = boto3.client("sqs"), ("OnboardingDeadLetterQueue", "UploadDeadLetterQueue")
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}
    return Account(DynamoStore(boto3.client("dynamodb"), "inventory"), outputs, queues)


@pytest.fixture
def account() -> Iterator[Account]:
    with isolated_aws_environment(), mock_aws():
        made = _deploy()
        with described_stack("likeness", made.outputs, made.queues, {}):
            yield made


@pytest.fixture
def make(account: Account) -> Callable[..., Session]:
    """Stores a session of ``acme`` with one file in the bucket, and one that was deleted."""

    def make(index: int = 1, **changes: Any) -> Session:
        made = Session(
            id=session_id(int(NOW * 1000) + index, bytes([index] * 10)),
            client_id="acme",
            status=SessionStatus.REQUIRES_INPUT,
            language=Language.EN,
            created_at=NOW,
            updated_at=NOW,
            reference=REFERENCE,
            return_url=RETURN_URL,
            consent=Consent("2026-11", "2027-01-15T08:00:00Z"),
            attempts={1: Attempt(1, AttemptStatus.OPEN, TOKEN, NOW, NOW + 120)},
            asset_count=2,
            requests={NAME: FileRequest(NAME, AssetType.IMAGE, hint=f"for {REFERENCE}")},
        )
        made = replace(made, **changes)
        key = f"uploads/{made.id}/a/{NAME}.jpg"
        kept = _asset(made, 1, key, account.put_file(key))
        gone = _asset(made, 2, key, "no-such-version")
        account.store.create_session(made, [kept, gone])
        return made

    return make


def _asset(of: Session, index: int, key: str, version: str) -> Asset:
    return Asset(
        id=asset_id(int(NOW * 1000), bytes([index] * 10)),
        session_id=of.id,
        name=NAME,
        asset_type=AssetType.IMAGE,
        content_type="image/jpeg",
        status=AssetStatus.FAILED,
        object_key=key,
        created_at=NOW,
        updated_at=NOW,
        version_id=version,
        crun_asset_id=f"asset-{index}",
        error=Problem("face_mismatch", "Another face.", "FaceMismatch"),
    )


def test_show_has_the_facts_for_an_incident(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    account.start(f"{made.id}-a1")
    assert account.store.claim_driver(made.id, f"{made.id}-a1", None)

    result = account.run("show", made.id, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["status"], found["client_id"], found["created_at"]) == (
        "requires_input", "acme", "2027-01-15T08:00:00Z",
    )  # fmt: skip
    (attempt,) = found["attempts"]
    assert (attempt["status"], attempt["expires_at"]) == ("open", "2027-01-15T08:02:00Z")
    (execution,) = found["executions"]
    assert (execution["drives"], execution["status"]) == (True, "RUNNING")
    assert execution["console"].endswith(f"executions/details/{execution['arn']}")
    assert [each["file"] for each in found["assets"]] == ["kept", "gone"]
    assert found["assets"][0]["error"]["code"] == "face_mismatch"
    assert found["consent"]["text_version"] == "2026-11"
    assert found["erasure"] is None
    wanted = {"asset_type": "Image", "required": True, "asset_id": None, "status": "open"}
    assert (found["requests"], found["settled"], found["finished_at"]) == ([wanted], False, None)


def test_show_lists_executions_of_fresh_names(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    names = [f"{made.id}-a1-check", f"{made.id}-a1-r1", f"{made.id}-a1-r2"]
    for executions, name in enumerate(names):
        account.start(name)
        if executions:
            account.store.next_execution(made.id, 1, executions - 1)
    found = json.loads(account.run("show", made.id, "--json").stdout)["executions"]
    assert [each["name"] for each in found] == names


@pytest.mark.parametrize("options", [[], ["--json"], ["--dead-letters"]])
def test_no_token_link_or_personal_data_is_shown(
    account: Account, make: Callable[..., Session], options: list[str]
) -> None:
    made = make()
    shown = account.run("show", made.id, *options).output + account.run("list", "--client-id", "acme").output
    shown += account.run("list", "--client-id", "acme", "--json").output
    assert made.id in shown
    assert not [each for each in (TOKEN, RETURN_URL, REFERENCE, NAME) if each in shown]


def test_a_file_without_an_event_is_shown(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    for index, key, arrived in ((3, f"uploads/{made.id}/c/file", True), (4, f"uploads/{made.id}/d/file", False)):
        waiting = _asset(made, index, key, "")
        assert account.store.add_asset(
            replace(waiting, status=AssetStatus.AWAITING_UPLOAD, version_id=None, crun_asset_id=None, error=None)
        )
        if arrived:
            account.put_file(key)
    found = json.loads(account.run("show", made.id, "--json").stdout)["assets"]
    assert [(each["status"], each["file"]) for each in found[2:]] == [
        ("awaiting_upload", "kept"),
        ("awaiting_upload", "none"),
    ]


def test_a_driver_that_step_functions_does_not_know_is_reported(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    assert account.store.claim_driver(made.id, f"{made.id}-g7", None)
    (execution,) = json.loads(account.run("show", made.id, "--json").stdout)["executions"]
    assert (execution["name"], execution["status"]) == (f"{made.id}-g7", "unknown")


def test_dead_letters_are_shown_and_stay_in_the_queue(account: Account, make: Callable[..., Session]) -> None:
    made, sqs = make(), boto3.client("sqs")
    queue = account.queues["OnboardingDeadLetterQueue"]
    for body in (json.dumps({"session_id": made.id}), json.dumps({"session_id": UNKNOWN})):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    for _ in range(2):
        found = json.loads(account.run("show", made.id, "--json", "--dead-letters").stdout)["dead_letters"]
        assert found == {
            "OnboardingDeadLetterQueue": {"mention_it": 1, "seen": 2},
            "UploadDeadLetterQueue": {"mention_it": 0, "seen": 0},
        }
    assert len(sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]) == 2


def test_show_as_text_names_every_fact_once(account: Account, make: Callable[..., Session]) -> None:
    lines = account.run("show", make().id).stdout.splitlines()
    assert "status: requires_input" in lines
    assert "  file: gone" in lines
    assert not [each for each in lines if each.endswith(": None")]


@pytest.mark.parametrize("command", [["show"], ["erase", "--yes"]])
def test_an_unknown_session_is_reported_as_such(account: Account, command: list[str]) -> None:
    result = account.run(*command, UNKNOWN)
    assert (result.exit_code, result.stderr) == (1, f"Error: no session has the id {UNKNOWN}\n")


@pytest.mark.parametrize("given", ["", "ses_", "acme", UNKNOWN.lower(), f"{UNKNOWN}\n", "../../x"])
def test_an_invalid_id_causes_no_read_of_the_table(account: Account, given: str) -> None:
    assert account.run("show", given).exit_code == 2


def test_a_listing_is_newest_first_and_paged(account: Account, make: Callable[..., Session]) -> None:
    ids = [make(index).id for index in (1, 2, 3)]
    make(4, status=SessionStatus.PROCESSING)
    first = json.loads(
        account.run("list", "--client-id", "acme", "--status", "requires_input", "--limit", "2", "--json").stdout
    )
    assert [each["id"] for each in first["sessions"]] == [ids[2], ids[1]]
    rest = account.run("list", "--client-id", "acme", "--cursor", first["cursor"])
    assert ids[0] in rest.stdout
    assert account.run("list", "--client-id", "other").stdout == ""


def test_erase_stops_executions_and_deletes_the_files(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    account.start(f"{made.id}-a1")
    account.start(f"{made.id}-g0")

    result = account.run("erase", made.id, "--yes")
    assert result.exit_code == 0, result.output
    assert "still at crun, which has no call to delete them" in result.stdout
    assert "asset-1 asset-2" in result.stdout
    assert (account.status_of(f"{made.id}-a1"), account.status_of(f"{made.id}-g0")) == ("ABORTED", "ABORTED")
    assert boto3.client("s3").list_object_versions(Bucket="uploads").get("Versions", []) == []
    stored, assets = account.store.load(made.id)
    assert stored
    assert (stored.status, stored.reference, stored.attempts[1].byted_token) == (SessionStatus.REDACTED, None, "")
    assert {each.status for each in assets} == {AssetStatus.REDACTED}

    shown = json.loads(account.run("show", made.id, "--json").stdout)
    assert shown["erasure"]["complete"]
    assert account.run("erase", made.id, "--yes").stdout == result.stdout, "a second time changes nothing"


def test_a_receipt_is_revoked_for_one_holder(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    receipts = DynamoReceipts(boto3.client("dynamodb"), "inventory")
    for holder in Holder:
        receipts.add(IssuedReceipt(f"digest of {holder}", made.id, "acme", holder, NOW), None)
    assert account.run("revoke-receipt", made.id, input="n\n").exit_code == 1
    assert receipts.find("digest of person")
    result = account.run("revoke-receipt", made.id, "--yes")
    assert result.stdout == f"the person's link of {made.id} has ended\n"
    assert (receipts.find("digest of person"), bool(receipts.find("digest of client"))) == (None, True)
    assert account.run("revoke-receipt", made.id, "--yes").stdout.endswith("does not exist\n")
    assert account.run("revoke-receipt", made.id, "--holder", "client", "--yes").exit_code == 0
    assert receipts.find("digest of client") is None


def test_an_interrupted_erasure_is_shown_and_can_be_finished(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    assert account.store.redact_session(made, NOW + 1)
    assert json.loads(account.run("show", made.id, "--json").stdout)["erasure"]["complete"] is False
    assert account.run("erase", made.id, "--yes").exit_code == 0
    assert json.loads(account.run("show", made.id, "--json").stdout)["erasure"]["complete"] is True


def test_without_a_confirmation_nothing_is_erased(account: Account, make: Callable[..., Session]) -> None:
    made = make()
    result = account.run("erase", made.id, input="n\n")
    assert result.exit_code == 1
    stored = account.store.get_session(made.id)
    assert stored
    assert stored.status is SessionStatus.REQUIRES_INPUT


def test_consent_shows_status_and_ledger_and_withdraws_in_the_persons_name(
    account: Account, make: Callable[..., Session]
) -> None:
    made = make()
    shown = json.loads(account.run("consent", made.id, "--json").stdout)
    assert (shown["consent_status"], shown["consent_withdrawal"]) == ("given", None)
    assert [each["text_version"] for each in shown["ledger"]] == ["2026-11"]
    refused = account.run("consent", made.id, "--withdraw", input="n\n")
    assert refused.exit_code == 1
    assert json.loads(account.run("consent", made.id, "--json").stdout) == shown
    for _ in range(2):
        withdrawn = account.run("consent", made.id, "--withdraw", "--yes", "--json")
        found = json.loads(withdrawn.stdout)
        assert found["consent_status"] == "withdrawn"
        assert found["consent_withdrawal"]["source"] == "person"
        assert sorted("withdrawn_at" in each for each in found["ledger"]) == [False, True]
    text = account.run("consent", made.id).stdout
    assert "consent_status: withdrawn" in text
    assert account.run("consent", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV").exit_code == 1
