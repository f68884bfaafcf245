"""The reduced service models of botocore: they have every operation that is called, unchanged."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest
from botocore.loaders import Loader
from moto import mock_aws

from likeness.adapters.aws import OLDEST_BOTOCORE, ShortLoader, make_session, reads_cut_models
from likeness.adapters.table.dynamodb import DynamoStore
from tests.aws import isolated_aws_environment, make_table
from tests.checks.model_requests import differences
from tests.template_file import ROOT

LAYER = ROOT / "layers/likeness"
SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "sqs", "stepfunctions")
DATA = Path(botocore.__file__).parent / "data"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target: Path = tmp_path_factory.mktemp("cut") / "models"
    subprocess.run([sys.executable, str(LAYER / "cut_models.py"), str(DATA), str(target)], check=True)
    return target


@pytest.fixture
def session(models: Path) -> Iterator[botocore.session.Session]:
    with isolated_aws_environment():
        made = botocore.session.get_session()
        made.register_component("data_loader", ShortLoader(models))
        yield made


def test_every_method_that_the_product_calls_is_included(session: Any) -> None:
    sources = [each.read_text() for folder in (LAYER / "likeness", ROOT / "functions") for each in folder.rglob("*.py")]
    called = set(re.findall(r"\b_?client\.([a-z_]+)\(", "\n".join(sources))) - {"meta"}
    assert {"batch_get_item", "put_events", "send_message", "get_secret_value", "start_execution", "get_object"} <= (
        called
    )
    clients = {each: session.create_client(each) for each in SERVICES}
    assert not [each for each in called if not any(hasattr(client, each) for client in clients.values())]
    # and those that Powertools' idempotency calls
    assert all(hasattr(clients["dynamodb"], each) for each in ("get_item", "put_item", "update_item", "delete_item"))
    assert clients["s3"].get_paginator("list_object_versions")


def test_included_operations_have_the_same_shapes(session: Any) -> None:
    whole: Any = botocore.session.get_session()
    for name in SERVICES:
        short, full = session.get_service_model(name), whole.get_service_model(name)
        assert short.operation_names
        for operation in map(str, short.operation_names):
            one, other = short.operation_model(operation), full.operation_model(operation)
            assert one.http == other.http
            assert _shape(one.input_shape) == _shape(other.input_shape)
            assert _shape(one.output_shape) == _shape(other.output_shape)
            assert {each.name for each in one.error_shapes} == {each.name for each in other.error_shapes}
        assert short.metadata == full.metadata


def _shape(shape: Any, seen: tuple[str, ...] = ()) -> Any:
    """Returns a shape with its members, without documentation."""
    if shape is None or shape.name in seen:
        return shape and shape.name
    inner = (*seen, shape.name)
    parts = {name: _shape(each, inner) for name, each in getattr(shape, "members", {}).items()}
    parts |= {name: _shape(getattr(shape, name), inner) for name in ("key", "value", "member") if hasattr(shape, name)}
    return shape.name, shape.type_name, shape.serialization, shape.required_members if parts else (), parts


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_endpoints_are_the_same(session: Any, region: str) -> None:
    whole: Any = botocore.session.get_session()
    for name in SERVICES:
        one, other = (each.create_client(name, region_name=region) for each in (session, whole))
        assert one.meta.endpoint_url == other.meta.endpoint_url
    key = {"Bucket": "bucket", "Key": "k"}
    one, other = (each.create_client("s3", region_name=region) for each in (session, whole))
    address = one.generate_presigned_url("get_object", key).partition("?")[0]
    assert address == other.generate_presigned_url("get_object", key).partition("?")[0]


def test_the_inventory_works_with_them(session: Any) -> None:
    with mock_aws():
        make_table("Table", "Table")
        store = DynamoStore(session.create_client("dynamodb"), "Table")
        assert store.load("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV") == (None, [])


def test_every_request_is_identical(models: Path) -> None:
    with isolated_aws_environment():
        assert differences(models) == []


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("sqs/*/service-2.json", '"QueueUrl":', '"QueueURL":'),
        ("dynamodb/*/service-2.json", "DynamoDB_20120810", "DynamoDB_20111205"),
        ("dynamodb/*/endpoint-rule-set-1.json", '"stringArray"', '"text"'),
        ("events/*/endpoint-rule-set-1.json", "https://events.", "https://event."),
    ],
)
def test_a_different_request_is_detected(models: Path, tmp_path: Path, file: str, right: str, wrong: str) -> None:
    copied = Path(shutil.copytree(models, tmp_path / "models"))
    (changed,) = copied.glob(file)
    changed.write_text(changed.read_text().replace(right, wrong))
    assert changed.read_text() != next(models.glob(file)).read_text()
    with isolated_aws_environment():
        assert differences(copied, [file.partition("/")[0]])


@pytest.mark.parametrize(
    ("version", "reads"),
    [
        ("1.34.145", False), ("1.35.60", False), ("1.35.99", False), ("1.36.0", True), ("1.43.106", True),
        ("2.0.0", True), ("1.36", False), ("unknown", False),
    ],
)  # fmt: skip
def test_an_older_botocore_reads_its_own_models(
    models: Path, monkeypatch: pytest.MonkeyPatch, version: str, reads: bool
) -> None:
    assert reads_cut_models(version) is reads
    monkeypatch.setattr(botocore, "__version__", version)
    assert isinstance(make_session(models).get_component("data_loader"), ShortLoader) is reads


def test_the_check_runs_the_oldest_botocore_that_reads_them() -> None:
    (oldest,) = re.findall(r"^botocore==(\S+)", (ROOT / "requirements/oldest_botocore.txt").read_text(), re.MULTILINE)
    assert oldest == ".".join(map(str, OLDEST_BOTOCORE))


def test_a_missing_model_is_loaded_from_botocore(models: Path) -> None:
    assert ShortLoader(models).load_service_model("dynamodb", "waiters-2") == Loader().load_service_model(
        "dynamodb", "waiters-2"
    )


def test_the_roots_are_amazon_s_five(models: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(models / "amazon_roots.pem")
    names = sorted(dict(part[0] for part in each["subject"])["commonName"] for each in context.get_ca_certs())  # type: ignore[misc]
    assert names == [
        *(f"Amazon Root CA {number}" for number in range(1, 5)),
        "Starfield Services Root Certificate Authority - G2",
    ]


def test_the_layer_reduces_the_botocore_that_the_tests_use() -> None:
    wanted = re.findall(r"^[\w-]+==\S+", (LAYER / "models.txt").read_text(), re.MULTILINE)
    assert wanted == [f"botocore=={botocore.__version__}"]
