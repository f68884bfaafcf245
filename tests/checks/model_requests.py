"""Compares the requests that botocore makes with the reduced service models and with its own models.

``python -m tests.checks.model_requests <models>`` prints the differences for the botocore on its path, and fails when
there are any. ``make check`` runs it with the oldest botocore that reads the reduced models, and with the locked one.
"""

from __future__ import annotations

import datetime
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import botocore
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from likeness.adapters.aws import ShortLoader, reads_cut_models

SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "sqs", "stepfunctions")
REGIONS = ("us-east-1", "cn-north-1", "us-gov-west-1")
#: Headers that differ from one request to the next.
_VOLATILE = ("x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request")
#: Members with values that must match each other, and EventBridge's endpoint id, which needs another package.
_LEFT_OUT = re.compile(r"Checksum|SSECustomer|ContentMD5|ContentLength|EndpointId|MD5OfMessage")
_SAMPLES: dict[str, Any] = {
    "blob": b"sample",
    "boolean": True,
    "double": 1.5,
    "float": 1.5,
    "integer": 1,
    "long": 1,
    "string": "sample",
    "timestamp": datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC),
}


def differences(models: Path, services: Sequence[str] = SERVICES) -> list[str]:
    """Returns the differences between the requests with ``models`` and with this botocore's own models."""
    cut: Any = botocore.session.get_session()
    cut.register_component("data_loader", ShortLoader(models))
    own: Any = botocore.session.get_session()
    found = []
    for service in services:
        operations = cut.get_service_model(service).operation_names
        for region in REGIONS:
            for operation in operations:
                shape = own.get_service_model(service).operation_model(operation).input_shape
                parameters = sample(shape) if shape else {}
                by_cut, by_own = (_tried(_request, each, service, region, operation, parameters) for each in (cut, own))
                if by_cut != by_own or by_cut.get("error"):
                    found.append(f"{service} {operation} in {region}:\n  cut {by_cut}\n  own {by_own}")
    return found


def sample(shape: Any, above: tuple[str, ...] = ()) -> Any:
    """Returns a value of ``shape`` with every member, without recursion, or with one member of a union."""
    inner = (*above, shape.name)
    if shape.type_name == "structure":
        names = [name for name, each in shape.members.items() if not _LEFT_OUT.search(name) and each.name not in inner]
        union = getattr(shape, "is_tagged_union", False) or shape.name == "AttributeValue"
        return {name: sample(shape.members[name], inner) for name in (names[:1] if union else names)}
    if shape.type_name == "list":
        return [sample(shape.member, inner)]
    if shape.type_name == "map":
        return {_text(shape.key): sample(shape.value, inner)}
    return _text(shape) if shape.type_name == "string" else _SAMPLES[shape.type_name]


def _text(shape: Any) -> str:
    return str(shape.enum[0]) if getattr(shape, "enum", None) else "sample".ljust(shape.metadata.get("min", 0), "-")


@cache
def _client(session: Any, service: str, region: str) -> Any:
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return session.create_client(
        service, region_name=region, aws_access_key_id="testing", aws_secret_access_key="testing", config=config
    )  # fmt: skip


def _tried(request: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    try:
        return request(*arguments)
    except Exception as exc:
        return {"error": f"{type(exc).__name__}: {exc}"}


def _request(session: Any, service: str, region: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Returns the request of one call, which is not sent, and the parsed form of an empty response."""
    client = _client(session, service, region)
    sent: dict[str, Any] = {}

    def answer(request: Any, **_: Any) -> AWSResponse:
        headers = {name.lower(): _plain(value) for name, value in request.headers.items()}
        signed = headers.pop("authorization").partition(", Signature=")[0]
        kept = {name: value for name, value in headers.items() if name not in _VOLATILE}
        body = request.body.read() if hasattr(request.body, "read") else request.body
        sent.update(method=request.method, url=request.url, headers=kept, signed=signed, body=_plain(body))
        content = b"{}" if "json" in client.meta.service_model.protocol else b""
        return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(content))

    client.meta.events.register_first(f"before-send.*.{operation}", answer)
    method = next(name for name, each in client.meta.method_to_api_mapping.items() if each == operation)
    read = getattr(client, method)(**parameters)
    sent["answer"] = {name: str(type(each)) for name, each in read.items() if name != "ResponseMetadata"}
    return sent


class _Raw(io.BytesIO):
    """A response body with the interface of urllib3."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _plain(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else str(value)


def main(models: Path) -> int:
    """Prints the differences. Returns 1 when there are any, or when this botocore is too old for ``models``."""
    version = botocore.__version__
    if not reads_cut_models(version):
        print(f"botocore {version} is too old for the cut descriptions")
        return 1
    found = differences(models)
    print("\n".join(found) or f"botocore {version}: every request is the same by the cut descriptions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
