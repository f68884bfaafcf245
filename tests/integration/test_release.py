"""A release deploys with a shell and the AWS CLI: its own script, from the folder that `make release` writes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from build_operator import COLORED
from copy_swagger_ui import FILES
from local import emulator
from local.processes import environment
from local.stack import Stack, build_for_host
from ops.client_keys import ClientKeys
from ops.layers import record
from ops.release import ReleaseError, write_release
from tests.integration.conftest import Api, Canaries
from tests.roles import deployed, template
from tests.template_file import RESOURCES, ROOT

STACK_NAME = "likeness-released"
BUCKET = "likeness-archives"
#: With characters that are special in JSON and in a shell.
CRUN_KEY = 'released "key" \\ $HOME `'
MADE_AT = datetime(2026, 11, 1, tzinfo=UTC)


HOST = {
    "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
    "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
}


def for_this_host(built: Path) -> Path:
    """Returns the built template, with layers recorded as built for this machine."""
    template = built.with_name(f"for-this-host-{os.getpid()}.yaml")  # each worker writes its own
    shutil.copyfile(built, template)
    record(template, HOST["PythonRuntime"], HOST["Architecture"])
    return template


@pytest.fixture(scope="module")
def built(stack: Stack) -> Path:
    """The built template of the tests' stack."""
    return for_this_host(build_for_host(Path(".local").resolve(), Path(stack.log_dir), dict(os.environ)))


@pytest.fixture(scope="module")
def released(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(built, tmp_path_factory.mktemp("dist"), MADE_AT)


def test_each_file_has_its_checksum(released: Path) -> None:
    lines = (line.split("  ") for line in (released / "SHA256SUMS").read_text().splitlines())
    sums = {name: digest for digest, name in lines}
    files = {
        each.relative_to(released).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in released.rglob("*")
        if each.is_file() and each.name != "SHA256SUMS"
    }
    assert sums == files
    assert {"template.yaml", "deploy.sh", "add-client.sh", "set-operator.py", "sbom.cdx.json", "LICENSE"} <= set(files)


def test_the_template_refers_to_archives_and_to_no_local_file(released: Path) -> None:
    text = (released / "template.yaml").read_text()
    packaged = yaml.safe_load(text)
    named = set()
    for name, each in packaged["Resources"].items():
        for place in ("CodeUri", "ContentUri", "DefinitionUri"):
            code = each.get("Properties", {}).get(place)
            assert code is None or code["Bucket"] == {"Ref": "ArtifactBucket"}, name
            named |= {code["Key"]} if code else set()
    assert named == {f"likeness/{each.name}" for each in (released / "archives").iterdir()}
    assert len(named) > 20
    assert packaged["Transform"] == "AWS::Serverless-2016-10-31"
    assert "Fn::Transform" not in text
    assert "SamResourceId" not in text
    assert set(packaged["Resources"]) == set(RESOURCES)


def test_a_release_creates_the_resources_that_sam_creates(released: Path) -> None:
    """Except for their code, and for the dashboard's body, which the release has inline."""
    made = deployed(yaml.safe_load((released / "template.yaml").read_text()))
    wanted = deployed(template())
    for each in (made, wanted):
        for resource in each.values():
            resource.pop("Metadata", None)
            resource["Properties"].pop("DashboardBody", None)
    assert made == wanted


def test_two_releases_of_the_same_files_are_the_same_bytes(built: Path, released: Path, tmp_path: Path) -> None:
    """The copy has other times, another folder and another order of files."""
    copied = tmp_path / "deep" / "in" / "another" / "build"
    shutil.copytree(built.parent, copied, copy_function=shutil.copyfile)
    for name in ("functions", "statemachine", "dashboard"):  # the built template has relative paths to these
        shutil.copytree(ROOT / name, copied.parents[2] / name, copy_function=shutil.copyfile)
    again = write_release(copied / built.name, tmp_path / "dist", MADE_AT)
    assert (again / "SHA256SUMS").read_text() == (released / "SHA256SUMS").read_text()


@pytest.mark.nightly
def test_two_builds_are_the_same_bytes(stack: Stack, released: Path, tmp_path: Path) -> None:
    env = environment(Path(".local").resolve(), stack.emulator_endpoint)
    again = write_release(for_this_host(build_for_host(tmp_path / "state", tmp_path, env)), tmp_path / "dist", MADE_AT)
    assert (again / "SHA256SUMS").read_text() == (released / "SHA256SUMS").read_text()


def test_layers_without_bytecode_are_not_released(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built.parent, tmp_path / "build", ignore=shutil.ignore_patterns("*.pyc"))
    with pytest.raises(ReleaseError, match="DependenciesLayer contains no bytecode"):
        write_release(tmp_path / "build" / built.name, tmp_path / "dist", MADE_AT)


def test_the_bill_of_materials_lists_what_is_in_the_archives(released: Path) -> None:
    text = (released / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = {each["name"]: each for each in json.loads(text)["components"]}
    (layer,) = released.glob("archives/DependenciesLayer-*.zip")
    with zipfile.ZipFile(layer) as archive:
        metadata = [archive.read(each).decode() for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
    packages = {_field(each, "Name").replace("_", "-"): _field(each, "Version") for each in metadata}
    assert len(packages) > 10
    parts = {"botocore", "drf-spectacular-sidecar"}  # in the other layer
    assert {name: each["version"] for name, each in components.items() if name not in parts} == packages
    assert parts < set(components)
    assert all(each["licenses"][0]["license"]["id"] for each in components.values())


def test_swagger_ui_is_in_the_archive_with_its_licence_and_its_version(released: Path) -> None:
    components = json.loads((released / "sbom.cdx.json").read_text())["components"]
    (version,) = (each["version"] for each in components if each["name"] == "drf-spectacular-sidecar")
    (layer,) = released.glob("archives/LikenessLayer-*.zip")
    with zipfile.ZipFile(layer) as archive:
        shipped = {Path(each).name: each for each in archive.namelist() if "/swagger_ui/" in each}
        assert set(shipped) == set(FILES)
        licence = archive.read(shipped["swagger-ui-bundle.js.LICENSE.txt"]).decode()
    assert version in licence.partition("\n")[0]
    assert "Apache License" in licence


def _field(metadata: str, name: str) -> str:
    return next(line.partition(": ")[2] for line in metadata.splitlines() if line.startswith(f"{name}: "))


@dataclass(frozen=True)
class Release:
    """A release that the emulator accepts, and the environment of its scripts."""

    folder: Path
    env: dict[str, str]

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of the release from another folder."""
        command = ["sh", str(self.folder / script), *arguments]
        return subprocess.run(
            command, env=self.env | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def release(stack: Stack, released: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The release with alarms that the emulator accepts; everything else is unchanged."""
    state = tmp_path_factory.mktemp("release")
    (state / "home").mkdir()
    folder = Path(shutil.copytree(released, state / "likeness"))
    packaged = yaml.safe_load((folder / "template.yaml").read_text())
    emulator.without_expressions(packaged)
    text = yaml.safe_dump(packaged, sort_keys=False)
    sums = (folder / "SHA256SUMS").read_text()
    before = hashlib.sha256((folder / "template.yaml").read_bytes()).hexdigest()
    (folder / "template.yaml").write_text(text)
    (folder / "SHA256SUMS").write_text(sums.replace(before, hashlib.sha256(text.encode()).hexdigest()))
    emulator.client("s3", stack.emulator_endpoint).create_bucket(Bucket=BUCKET)
    yield Release(folder, environment(state, stack.emulator_endpoint) | {"PYTHONPATH": ""})
    emulator.client("cloudformation", stack.emulator_endpoint).delete_stack(StackName=STACK_NAME)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("deploy.sh", "--bucket is missing"),
        (f"deploy.sh --bucket {BUCKET} NoSuch=1", "template.yaml has no parameter NoSuch"),
        (f"deploy.sh --bucket {BUCKET} LogLevel", "LogLevel is neither"),
        (f"deploy.sh --bucket {BUCKET} CrunApiKey=secret", "the variable CRUN_API_KEY"),
        ("deploy.sh --bucket likeness-of-nobody", "aws s3 mb s3://likeness-of-nobody"),
        (f"deploy.sh --bucket {BUCKET} --stack-name likeness-new", "a new stack needs crun's API key"),
        ("add-client.sh --client-id Acme", "--client-id is 1 to 32"),
        ("add-client.sh --client-id acme --return-origin https://example.com/path", "nothing after it"),
        ("add-client.sh --client-id acme --return-origin https://example.com:443", "nothing after it"),
        ("add-client.sh --client-id acme --stack-name likeness-of-nobody", "does not exist"),
    ],
)
def test_invalid_arguments_are_refused_with_the_reason(release: Release, command: str, words: str) -> None:
    done = release.run(*command.split())
    assert done.returncode
    assert words in done.stderr


def test_an_operator_is_set_in_a_release_without_building_it(released: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(released, tmp_path / "release"))
    (before,) = folder.glob("archives/LikenessLayer-*.zip")
    operator = tmp_path / "operator"
    operator.mkdir()

    def set_operator(**facts: str) -> subprocess.CompletedProcess[str]:
        (operator / "operator.json").write_text(json.dumps(facts))
        command = [sys.executable, "-S", str(folder / "set-operator.py"), str(operator)]  # without any package
        return subprocess.run(command, capture_output=True, text=True, check=False)

    refused = set_operator(name="Acme", accent_color="#ffee00")
    assert refused.returncode
    assert "accent_color: #ffee00 has a contrast of" in refused.stderr
    assert before.exists()
    done = set_operator(name="Acme", accent_color="#0b6b3a")
    assert done.returncode == 0, done.stderr
    test_each_file_has_its_checksum(folder)
    test_the_template_refers_to_archives_and_to_no_local_file(folder)
    (after,) = folder.glob("archives/LikenessLayer-*.zip")
    assert after.name == f"LikenessLayer-{hashlib.sha256(after.read_bytes()).hexdigest()[:16]}.zip"
    contents = []
    for file in (released / "archives" / before.name, after):
        with zipfile.ZipFile(file) as archive:
            contents.append({name: archive.read(name) for name in archive.namelist()})
    changed = {name for name in contents[0] | contents[1] if contents[0].get(name) != contents[1].get(name)}
    pages = "python/pages/"
    shared = f"{pages}shared/"
    # The local stack's operator, whose build this is, has a logo.
    assert changed == {*(f"{pages}{name}" for name in COLORED), f"{shared}operator.json", f"{shared}logo.svg"}
    assert json.loads(contents[1][f"{shared}operator.json"])["name"] == "Acme"
    for name in ("shared/style.css", "built/invite.css", "built/console.css"):
        assert b"--main:#0b6b3a" in contents[1][f"{pages}{name}"]
    assert not any(name.startswith(f"{pages}invite/") and name.endswith(".js") for name in contents[1])
    assert f"{shared}logo.svg" not in contents[1]


def test_a_changed_file_is_not_deployed(release: Release, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(release.folder, tmp_path / "changed"))
    (archive, *_) = (folder / "archives").iterdir()
    archive.write_bytes(b"something else")
    done = replace(release, folder=folder).run("deploy.sh", "--bucket", BUCKET)
    assert done.returncode
    assert "does not match its checksum" in done.stderr


def test_it_deploys_and_updates_without_sam_or_python(release: Release, stack: Stack, canaries: Canaries) -> None:
    canaries.secrets.add(CRUN_KEY)
    host = HOST | {
        "CrunBaseUrl": str(stack.simulator_url),
        "PublicBaseUrl": "https://released.example.com/v1",
        "OperatorName": 'Somebody "and" Daughters \\ Co = 1',
    }
    name = ["--bucket", BUCKET, "--stack-name", STACK_NAME]
    done = release.run("deploy.sh", *name, *(f"{key}={value}" for key, value in host.items()), CRUN_API_KEY=CRUN_KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = emulator.outputs(stack.emulator_endpoint, STACK_NAME)
    assert dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line) == outputs
    assert CRUN_KEY not in done.stdout + done.stderr
    assert _parameters(stack).items() >= host.items()
    assert _crun_key(stack, outputs) == CRUN_KEY

    done = release.run("deploy.sh", *name, "LogLevel=DEBUG", CRUN_API_KEY=stack.crun_api_key)
    assert done.returncode == 0, done.stdout + done.stderr
    api_url = f"{stack.emulator_endpoint}/restapis/{outputs['RestApiId']}/v1/_user_request_"
    origin = "https://app.example.com"
    added = release.run("add-client.sh", *name[2:], "--client-id", "released", "--return-origin", origin)
    assert added.returncode == 0, added.stderr
    keys = ClientKeys(emulator.client("dynamodb", stack.emulator_endpoint), outputs["TableName"]).known()
    assert [(each.client_id, each.return_origins, each.revoked_at) for each in keys] == [("released", (origin,), None)]
    canaries.secrets.add(added.stdout.strip())
    api = Api(replace(stack, api_url=api_url, outputs=outputs), added.stdout.strip(), canaries)
    assert api.session()["invite_url"].startswith(host["PublicBaseUrl"])

    done = release.run("deploy.sh", *name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _parameters(stack).items() >= (host | {"LogLevel": "DEBUG"}).items()
    assert _crun_key(stack, outputs) == stack.crun_api_key


def _crun_key(stack: Stack, outputs: dict[str, str]) -> str:
    secrets = emulator.client("secretsmanager", stack.emulator_endpoint)
    return str(secrets.get_secret_value(SecretId=outputs["CrunApiKeySecretArn"])["SecretString"])


def _parameters(stack: Stack) -> dict[str, Any]:
    cloudformation = emulator.client("cloudformation", stack.emulator_endpoint)
    (found,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}
