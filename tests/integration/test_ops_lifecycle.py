"""`python -m ops preflight`, `deploy` and `uninstall` with their own emulator and the simulated crun.

The stack has the template's stored and named resources but no functions, so it is created within a second.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from local import emulator
from local.processes import environment, free_port, stop
from local.simulator import Simulator
from ops.cli import main
from ops.client_keys import ClientKeys
from ops.inventory import folder_source, parts_of
from tests.shown import rows_of, shown
from tests.template_file import RESOURCES, ROOT, TEMPLATE

KEY = "ak_0123456789abcdef0123456789abcdef"
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()
_KINDS = (
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
)


@dataclass
class Account:
    """An empty account in an emulator, and crun's simulator."""

    endpoint: str
    simulator: Simulator

    def client(self, service: str) -> Any:
        """Returns a client of the account."""
        return emulator.client(service, self.endpoint)

    def preflight(self, *options: str) -> Result:
        """Runs the command."""
        arguments = ["preflight", "--base-url", self.simulator.url, *options]
        return CliRunner(mix_stderr=False).invoke(main, arguments)

    def deploy(self, name: str, *, parameters: Any = None, globals_: Any = None, **resources: Any) -> None:
        """Creates the stack ``name``; the arguments replace parts of the template."""
        kept = {each: RESOURCES[each] for each in RESOURCES if RESOURCES[each]["Type"] in _KINDS}
        resources = {each: {**found, "Metadata": {}} for each, found in kept.items()} | resources
        resources |= {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": name}}}
        # The topic's KMS key is not in this stack.
        resources["AlarmTopic"] = resources["AlarmTopic"] | {"Properties": {}}
        outputs = {each: TEMPLATE["Outputs"][each] for each in ("TableName", "UploadBucketName", "RestApiId")}
        changed = parameters or {}
        known = {each: found | changed.get(each, {}) for each, found in TEMPLATE["Parameters"].items()}
        body = {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Parameters": known,
            "Conditions": TEMPLATE["Conditions"],
            "Resources": resources,
            "Outputs": outputs,
        } | ({"Globals": globals_} if globals_ else {})
        given = [{"ParameterKey": "CrunApiKey", "ParameterValue": KEY}]
        self.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(body), Parameters=given)
        self.wait(name, "CREATE_COMPLETE")

    def wait(self, name: str, wanted: str) -> None:
        """Waits until the stack has a status."""
        deadline = time.monotonic() + 60
        while (found := self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0])[
            "StackStatus"
        ] != wanted:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("emulator")
    endpoint, log = f"http://127.0.0.1:{port}", folder / "emulator.log"
    (folder / "home").mkdir()
    # A new account allows ten concurrent invocations.
    settings = environment(folder, endpoint) | {"LAMBDA_ACCOUNT_CONCURRENCY": "10"}
    child = emulator.start(port, log, folder, settings)
    try:
        emulator.wait_until_ready(child, endpoint, log)
        yield endpoint
    finally:
        stop(child)


@pytest.fixture
def account(emulated: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulated)
    monkeypatch.setenv("CRUN_API_KEY", KEY)
    with Simulator(api_key=KEY) as simulator:
        yield Account(emulated, simulator)


def cells(result: Result, check: str) -> list[str]:
    """Returns the rows of a table about ``check``, each on one line."""
    return [" | ".join(each[1:]).strip(" |") for each in rows_of(result.stdout) if each[0] == check]


# -- preflight ----------------------------------------------------------------------------------------------------


def role(account: Account, name: str, *statements: dict[str, Any]) -> str:
    """Creates a role with a policy; returns its ARN."""
    iam = account.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ALLOWED))["Role"]["Arn"]
    policy = ALLOWED | {"Statement": [*ALLOWED["Statement"], *statements]}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    return str(arn)


def test_a_new_account_has_one_thing_to_do(account: Account) -> None:
    result = account.preflight("--stack-name", "fresh", "--principal-arn", role(account, "deployer"))
    assert result.exit_code == 1, result.output
    assert [each[0] for each in rows_of(result.stdout) if each[1] == "to do"] == ["concurrency"]
    assert cells(result, "crun") == [f"ready | {account.simulator.url} accepts the key, 1000 credits left"]
    assert cells(result, "stack") == ["ready | fresh is free"]
    assert KEY not in result.output
    assert [each.call for each in account.simulator.log()] == ["balance"], "no session, no upload: nothing is spent"


def test_the_docs_show_the_output_for_a_new_account(account: Account) -> None:
    result = account.preflight("--principal-arn", role(account, "deploy"))
    # These depend on the simulator's address and on the other tests.
    answer = result.stdout.replace(account.simulator.url, "https://api.crun.ai")
    variable = ("account", "names", "quotas")
    found = [each for each in rows_of(answer) if each[0] not in variable]
    assert found == [
        each for each in rows_of(shown("deploying.md", "python -m ops preflight")) if each[0] not in variable
    ]


def test_missing_permissions_are_named(account: Account) -> None:
    denied = {"Effect": "Deny", "Action": ["dynamodb:CreateTable", "iam:*"], "Resource": "*"}
    result = account.preflight("--principal-arn", role(account, "weak", denied))
    assert result.exit_code == 1, result.output
    (found,) = cells(result, "permissions")
    assert found.startswith("to do | role/weak may not: iam:AttachRolePolicy, iam:CreateRole"), found
    assert "dynamodb:CreateTable" in found
    assert "sqs:CreateQueue" not in found


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, "to do | CRUN_API_KEY is not set | read -rs CRUN_API_KEY && export CRUN_API_KEY"),
        ("ak_short", "note | crun's keys are ak_ and 32 characters, not 8 in total | check whether it was copied"),
        (f"{KEY}\n", "ready | has the form of crun's keys"),
    ],
)
def test_the_form_of_the_key(account: Account, monkeypatch: pytest.MonkeyPatch, key: str | None, expected: str) -> None:
    monkeypatch.setenv("CRUN_API_KEY", key) if key else monkeypatch.delenv("CRUN_API_KEY")
    (found,) = cells(account.preflight(), "crun key")
    assert found.startswith(expected), found


def test_a_crun_that_refuses_or_is_unavailable(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRUN_API_KEY", "ak_wrong6789abcdef0123456789abcdef0")
    result = account.preflight("--principal-arn", role(account, "other"))
    assert result.exit_code == 1
    assert "does not know the key" in cells(result, "crun")[0]
    unavailable = CliRunner().invoke(main, ["preflight", "--base-url", f"http://127.0.0.1:{free_port()}"])
    assert "unknown" in cells(unavailable, "crun")[0]


def test_an_existing_stack_and_a_stage_left_by_an_older_version(account: Account) -> None:
    account.deploy("old")
    found = cells(account.preflight("--stack-name", "old"), "stack")
    assert found == ["note | old exists: a deployment upgrades it"]
    api = account.client("apigateway")
    (rest,) = [each["id"] for each in api.get_rest_apis()["items"] if each["name"] == "old"]
    api.put_method(
        restApiId=rest,
        resourceId=api.get_resources(restApiId=rest)["items"][0]["id"],
        httpMethod="GET",
        authorizationType="NONE",
    )
    api.create_deployment(restApiId=rest, stageName="Stage")
    result = account.preflight("--stack-name", "old")
    assert result.exit_code == 1
    (stage,) = cells(result, "stage Stage")
    assert f"aws apigateway delete-stage --rest-api-id {rest} --stage-name Stage" in stage


def test_existing_resources_are_named(account: Account) -> None:
    account.client("cloudwatch").put_dashboard(DashboardName="taken-us-east-1", DashboardBody='{"widgets": []}')
    account.client("events").create_event_bus(Name="taken-events")
    account.client("dynamodb").create_table(
        TableName="taken-Table-ABC",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    result = account.preflight("--stack-name", "taken")
    assert result.exit_code == 1
    found = cells(result, "names")
    assert [each.rpartition(" | ")[0] for each in found] == [
        "to do | the event bus taken-events already exists",
        "to do | the dashboard taken-us-east-1 already exists",
        "note | an earlier stack has left the table taken-Table-ABC",
    ]


# -- uninstall ----------------------------------------------------------------------------------------------------


@dataclass
class Installed:
    """A stack with an inventory and files, and the command that removes it."""

    account: Account
    name: str
    folder: Path

    def uninstall(self, *options: str, typed: str | None = None, to: str = "export") -> Result:
        """Runs the command; ``typed`` answers its question."""
        arguments = ["uninstall", "--stack-name", self.name, "--to", str(self.folder / to), *options]
        return CliRunner(mix_stderr=False).invoke(main, arguments, input=f"{typed or self.name}\n")

    def tables(self) -> list[str]:
        found = self.account.client("dynamodb").list_tables()["TableNames"]
        return [each for each in found if each.startswith(f"{self.name}-")]

    def buckets(self) -> list[str]:
        found = [each["Name"] for each in self.account.client("s3").list_buckets()["Buckets"]]
        return [each for each in found if each.startswith(f"{self.name}-")]

    def status(self) -> str:
        stacks = self.account.client("cloudformation").list_stacks()["StackSummaries"]
        return next(str(each["StackStatus"]) for each in stacks if each["StackName"] == self.name)


@pytest.fixture
def installed(account: Account, tmp_path: Path) -> Installed:
    name = f"shop-{len(account.client('cloudformation').list_stacks()['StackSummaries'])}"
    table = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
    properties = RESOURCES["Table"]["Properties"] | {"DeletionProtectionEnabled": True}
    account.deploy(name, Table=RESOURCES["Table"] | table | {"Metadata": {}, "Properties": properties})
    (outputs,) = account.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    found = {each["OutputKey"]: each["OutputValue"] for each in outputs["Outputs"]}
    ClientKeys(account.client("dynamodb"), found["TableName"]).add("acme")
    s3 = account.client("s3")
    for body in (b"one", b"two"):  # two versions, and a marker
        s3.put_object(Bucket=found["UploadBucketName"], Key="uploads/a", Body=body)
    s3.delete_object(Bucket=found["UploadBucketName"], Key="uploads/a")
    s3.create_multipart_upload(Bucket=found["UploadBucketName"], Key="uploads/b")
    return Installed(account, name, tmp_path)


def test_a_stack_is_removed_and_its_inventory_is_kept(installed: Installed) -> None:
    result = installed.uninstall()
    assert result.exit_code == 0, result.output
    assert installed.status() == "DELETE_COMPLETE"
    assert [each.rpartition("-")[0] for each in installed.tables()] == [f"{installed.name}-Table"]
    assert len(installed.buckets()) == 2
    for each in RESOURCES:  # everything is named, by its logical or physical id
        if RESOURCES[each]["Type"] in _KINDS:
            assert each in result.stdout.replace("\n", "") or each.lower() in result.stdout, each
    assert len(parts_of(folder_source(installed.folder / "export"))) >= 1
    end = re.sub(r"(?s).* to go on: ", "", result.stdout).replace(str(installed.folder / "export"), "<folder>")
    documented = re.sub(r"(?s).* to go on: ", "", shown("deploying.md", "python -m ops uninstall"))
    documented = re.sub(r"likeness-inventory-\w+", "<folder>", documented).replace("likeness", installed.name)
    assert end.replace(f"{installed.name}: DELETE_IN_PROGRESS\n", "") == documented.replace(
        f"{installed.name}: DELETE_IN_PROGRESS\n", ""
    ), "the emulator may finish before the first poll"


def test_the_inventory_is_deleted_only_with_the_option_and_again_is_allowed(installed: Installed) -> None:
    assert installed.uninstall(to="first").exit_code == 0
    again = installed.uninstall(to="second")
    assert (again.exit_code, installed.tables() != []) == (0, True), again.output
    assert "use --yes-delete-the-inventory" in again.stdout
    last = installed.uninstall("--yes-delete-the-inventory", to="third")
    assert last.exit_code == 0, last.output
    assert (installed.tables(), installed.buckets()) == ([], [])
    assert len(parts_of(folder_source(installed.folder / "third"))) >= 1
    once_more = installed.uninstall("--yes-delete-the-inventory", to="fourth")
    assert (once_more.exit_code, "is deleted, and its inventory too" in once_more.stdout) == (0, True)


def test_deleting_everything_exports_what_was_written_until_the_end(installed: Installed) -> None:
    result = installed.uninstall("--yes-delete-the-inventory")
    assert result.exit_code == 0, result.output
    assert (installed.tables(), installed.buckets()) == ([], [])
    for each in ("export", "export-last"):
        assert len(parts_of(folder_source(installed.folder / each))) >= 1


def test_a_wrong_name_or_an_existing_folder_changes_nothing(installed: Installed) -> None:
    wrong = installed.uninstall(typed="likeness")
    (installed.folder / "there").mkdir()
    there = installed.uninstall(to="there")
    for result, expected in ((wrong, "nothing was changed"), (there, "already exists")):
        assert (result.exit_code, expected in result.stderr) == (1, True), result.output
    assert installed.status() == "CREATE_COMPLETE"
    assert not (installed.folder / "export").exists()


def test_termination_protection_is_respected(installed: Installed) -> None:
    cloudformation = installed.account.client("cloudformation")
    cloudformation.update_termination_protection(StackName=installed.name, EnableTerminationProtection=True)
    result = installed.uninstall()
    assert (result.exit_code, "--no-enable-termination-protection" in result.stderr) == (1, True)
    assert installed.status() == "CREATE_COMPLETE"


@pytest.mark.parametrize("killed_in", ["delete_objects", "delete_bucket", "update_table", "delete_table"])
def test_an_interrupted_run_is_completed_by_the_next(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    """The first call of that name ends the process; the second run completes the work."""
    boto3.setup_default_session()
    session = boto3.DEFAULT_SESSION
    assert session
    operation = "".join(each.capitalize() for each in killed_in.split("_"))

    def die(**_: Any) -> None:
        raise KeyboardInterrupt

    session.events.register(f"before-call.*.{operation}", die)
    first = installed.uninstall("--yes-delete-the-inventory", to="first")
    session.events.unregister(f"before-call.*.{operation}", die)
    assert first.exit_code == 1, first.output
    assert installed.tables(), "the table still exists and can be exported again"
    second = installed.uninstall("--yes-delete-the-inventory", to="second")
    assert second.exit_code == 0, second.output
    assert (installed.tables(), installed.buckets()) == ([], [])
    assert len(parts_of(folder_source(installed.folder / "second"))) >= 1


def test_a_missing_stack_and_a_foreign_one_are_refused(account: Account) -> None:
    queue = {"Resources": {"Table": {"Type": "AWS::SQS::Queue", "Properties": {}}}}
    account.client("cloudformation").create_stack(StackName="else", TemplateBody=json.dumps(queue))
    account.wait("else", "CREATE_COMPLETE")
    for name, expected in (("nobody", "no stack is named nobody"), ("else", "else is not a Likeness stack")):
        result = CliRunner(mix_stderr=False).invoke(main, ["uninstall", "--stack-name", name])
        assert (result.exit_code, expected in result.stderr) == (1, True), result.output


# -- deploy -------------------------------------------------------------------------------------------------------

#: Replaces SAM: records its arguments and files, and fails when SAM_FAILS names its command.
_RECORDER = """#!{python}
import json, os, pathlib, sys
given = [each.removeprefix("file://") for each in sys.argv if each.startswith("file://")]
record = {{"arguments": sys.argv[1:], "files": [pathlib.Path(each).read_text() for each in given]}}
record["environment"] = dict(os.environ)
with open({log!r}, "a") as file:
    file.write(json.dumps(record) + "\\n")
sys.exit(int(os.environ.get("SAM_FAILS") == sys.argv[1]))
"""


@dataclass
class Deployer:
    """The command with a recorder instead of `sam`, and its own samconfig.toml."""

    account: Account
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "samconfig.toml"

    def arguments(self, *options: str) -> list[str]:
        return ["deploy", "--config-file", str(self.config), *options]

    def __call__(self, *answers: str, options: tuple[str, ...] = ()) -> Result:
        return CliRunner(mix_stderr=False).invoke(main, self.arguments(*options), input="\n".join((*answers, "")))

    def written(self) -> dict[str, Any]:
        """Returns the deployment's section of samconfig.toml."""
        found: dict[str, Any] = tomllib.loads(self.config.read_text())["default"]["deploy"]["parameters"]
        return found

    def calls(self) -> list[dict[str, Any]]:
        """Returns the recorded calls of `sam`."""
        log = self.folder / "sam.jsonl"
        return [json.loads(each) for each in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def deployer(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployer:
    sam = tmp_path / "bin" / "sam"
    sam.parent.mkdir()
    sam.write_text(_RECORDER.format(python=sys.executable, log=str(tmp_path / "sam.jsonl")))
    sam.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sam.parent}{os.pathsep}{os.environ['PATH']}")
    shutil.copy(ROOT / "samconfig.toml", tmp_path)
    return Deployer(account, tmp_path)


def test_a_first_deployment_from_a_terminal(deployer: Deployer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are typed into a real terminal, and its output is read."""
    monkeypatch.delenv("CRUN_API_KEY")
    answers = {
        "Region ": "eu-west-1",
        "Stack name ": "first",
        "crun's key": KEY,
        "AlarmEmail": "ops@acme.example",
        "OperatorName": "Acme Ltd",
        "OperatorContact": "",
        "DomainName": "",
        "Firewall ": "",
    }
    shown, code = terminal([sys.executable, "-m", "ops", *deployer.arguments()], answers)
    assert code == 0, shown
    build, deployed = deployer.calls()
    assert build["arguments"][0] == "build"
    assert deployed["arguments"][:-2] == [
        "deploy", "--config-file", str(deployer.config), "--config-env", "default", "--confirm-changeset",
    ]  # fmt: skip
    (secret,) = deployed["files"]
    assert json.loads(secret)["CrunApiKey"] == KEY
    for seen in (
        shown,
        deployer.config.read_text(),
        json.dumps([build, deployed["arguments"], deployed["environment"]]),
    ):
        assert KEY not in seen
    written = deployer.written()
    assert (written["stack_name"], written["region"]) == ("first", "eu-west-1")
    assert 'OperatorName="Acme Ltd"' in written["parameter_overrides"]
    assert len(answers) <= 9, "and SAM asks for confirmation"


def test_the_docs_show_the_questions(deployer: Deployer) -> None:
    result = deployer("eu-west-1", "", "ops@acme.example", "Acme Ltd", "privacy@acme.example", "", "")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == shown("deploying.md", "python -m ops deploy").partition("\n…")[0].strip()


def terminal(command: list[str], answers: dict[str, str]) -> tuple[str, int]:
    """Runs a command in a terminal and types each answer at its question; returns the output and the exit code."""
    process, descriptor = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.execv(command[0], command)  # noqa: S606, our own command
    shown, left, deadline = "", list(answers.items()), time.monotonic() + 60
    with suppress(OSError):  # the terminal closes when the command ends
        while time.monotonic() < deadline:
            if select.select([descriptor], [], [], 0.5)[0]:
                shown += os.read(descriptor, 4096).decode()
            if left and re.search(re.escape(left[0][0]) + r"[^\n]*: $", shown):
                os.write(descriptor, f"{left.pop(0)[1]}\n".encode())
                shown += "\n"
        os.kill(process, signal.SIGKILL)
    return shown, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_an_upgrade_shows_changed_defaults_and_asks_for_no_key(deployer: Deployer) -> None:
    deployer.account.deploy("older", parameters={"InventoryHours": {"Default": 12}, "RecheckDays": {"Default": 30}})
    result = deployer("older", "", "", "", "", "", "y", options=("--region", "us-east-1"))
    assert result.exit_code == 0, result.output
    (documented,) = re.findall(r"```\n( +Defaults that have changed.*?)```", DEPLOYING, re.DOTALL)
    assert [each for each in rows_of(result.stdout) if each[0] == "InventoryHours"] == rows_of(documented)
    assert documented.split("\n\n")[1].splitlines()[0] in result.stdout
    assert "Use the new defaults of InventoryHours, RecheckDays?" in result.stdout
    deployed = deployer.calls()[-1]
    assert deployed["files"] == [], "the stack keeps its key"
    written = deployer.written()["parameter_overrides"]
    assert 'InventoryHours="24" RecheckDays="7"' in written


def test_declined_defaults_are_not_written(deployer: Deployer) -> None:
    deployer.account.deploy("kept", parameters={"InventoryHours": {"Default": 12}})
    result = deployer("kept", "", "", "", "", "", "n", options=("--region", "us-east-1"))
    assert result.exit_code == 0, result.output
    assert "InventoryHours" not in deployer.config.read_text()


def test_an_invalid_answer_is_asked_for_again(deployer: Deployer) -> None:
    result = deployer(
        "new", "not an address", "ops@acme.example", "", "", "", "maybe", "on", options=("--region", "us-east-1")
    )
    assert result.exit_code == 0, result.output
    assert "AlarmEmail does not match the template" in result.stderr
    assert "Firewall must be one of on, off" in result.stderr
    assert 'AlarmEmail="ops@acme.example"' in deployer.written()["parameter_overrides"]


@pytest.mark.parametrize(("fails", "calls"), [("build", 1), ("deploy", 2)])
def test_the_command_fails_when_sam_fails(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch, fails: str, calls: int
) -> None:
    monkeypatch.setenv("SAM_FAILS", fails)
    result = deployer("new", "", "", "", "", "", options=("--region", "us-east-1"))
    assert (result.exit_code, len(deployer.calls())) == (1, calls)
    assert f"sam {fails} failed with exit code 1" in result.stderr
    assert KEY not in result.output + result.stderr


def test_a_gradual_stack_is_refused(deployer: Deployer) -> None:
    deployer.account.deploy("gradual", globals_={"Function": {"AutoPublishAlias": "live"}})
    result = deployer("gradual", options=("--region", "us-east-1"))
    assert (result.exit_code, "make build-gradual" in result.stderr, deployer.calls()) == (1, True, [])
