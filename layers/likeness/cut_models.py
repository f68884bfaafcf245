"""Reduces botocore's service models to the operations that Likeness uses, because parsing them slows down cold starts.

Run by the layer's Makefile: ``python cut_models.py <botocore/data> <target>``. botocore finds all other models in its
own folder. The models are botocore's (Apache License 2.0), shortened.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: The operations of each service. botocore needs S3's CreateBucket for presigned forms, and HeadBucket for redirects.
OPERATIONS: dict[str, tuple[str, ...]] = {
    "dynamodb": (
        "BatchGetItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "events": ("PutEvents",),
    "s3": ("CreateBucket", "DeleteObject", "GetObject", "HeadBucket", "ListObjectVersions", "PutObject"),
    "secretsmanager": ("GetSecretValue",),
    "sqs": ("ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage", "SendMessage"),
    "stepfunctions": ("DescribeExecution", "GetExecutionHistory", "StartExecution", "StopExecution"),
}
#: The names of services in endpoints.json that differ.
_ENDPOINTS = {"stepfunctions": "states"}
_PROSE = ("documentation", "examples")
#: The root certificates of Amazon Trust Services, by their names in botocore's bundle.
_ROOTS = (
    *(f"Amazon Root CA {number}" for number in range(1, 5)),
    "Starfield Services Root Certificate Authority - G2",
)
_COMMON = ("_retry.json", "partitions.json", "sdk-default-configuration.json")


def cut(source: Path, target: Path) -> None:
    """Writes the needed parts of botocore's data folder ``source`` and of its root certificates to ``target``."""
    for name in _COMMON:
        _write(target / name, _read(source / name))
    _write(target / "endpoints.json", _endpoints(_read(source / "endpoints.json")))
    for service, operations in OPERATIONS.items():
        version = max(each.parent for each in (source / service).glob("*/service-2.json*"))
        made = target / service / version.name
        _write(made / "service-2.json", _service(_read(version / "service-2.json"), operations))
        _write(made / "endpoint-rule-set-1.json", _without_prose(_read(version / "endpoint-rule-set-1.json")))
        for extras in version.glob("service-2.*-extras.json"):
            _write(made / extras.name, _read(extras))
        _write(made / "paginators-1.json", _paginators(version / "paginators-1.json", operations))
    roots = _roots((source.parent / "cacert.pem").read_text("utf-8"))
    (target / "amazon_roots.pem").write_text(roots, "utf-8")


def _roots(bundle: str) -> str:
    """The certificates of Amazon Trust Services in a bundle that has a label before each certificate."""
    found = []
    for label in _ROOTS:
        _, there, rest = bundle.partition(f'# Label: "{label}"\n')
        if not there:
            raise SystemExit(f"botocore's bundle has no {label}")
        certificate = rest[rest.index("-----BEGIN") :].partition("-----END CERTIFICATE-----")
        found.append(f"# {label}\n{certificate[0]}{certificate[1]}\n")
    return "".join(found)


def _read(file: Path) -> Any:
    if file.exists():
        return json.loads(file.read_text("utf-8"))
    return json.loads(gzip.decompress(file.with_name(f"{file.name}.gz").read_bytes()))


def _write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False), "utf-8")


def _endpoints(whole: dict[str, Any]) -> dict[str, Any]:
    wanted = {_ENDPOINTS.get(each, each) for each in OPERATIONS}
    for partition in whole["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in wanted}
    return whole


def _paginators(file: Path, operations: tuple[str, ...]) -> Any:
    whole = _read(file)
    return whole | {"pagination": {name: each for name, each in whole["pagination"].items() if name in operations}}


def _service(whole: dict[str, Any], operations: tuple[str, ...]) -> Any:
    kept = {name: whole["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    waiting = list(_referred(kept))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = whole["shapes"][name]
            waiting += _referred(shapes[name])
    cut_down = _without_prose(whole | {"operations": kept, "shapes": dict(sorted(shapes.items()))})
    # botocore reads the documentation of these itself.
    return cut_down | {name: whole[name] for name in ("clientContextParams",) if name in whole}


def _referred(part: Any) -> Iterator[str]:
    """The shapes that a part of a model refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        for each in part.values():
            yield from _referred(each)
    elif isinstance(part, list):
        for each in part:
            yield from _referred(each)


def _without_prose(part: Any) -> Any:
    if isinstance(part, dict):
        # A member may also be named "documentation": prose is text, a member is a mapping.
        return {
            name: _without_prose(each)
            for name, each in part.items()
            if not (name in _PROSE and isinstance(each, (str, list)))
        }
    return [_without_prose(each) for each in part] if isinstance(part, list) else part


if __name__ == "__main__":
    cut(Path(sys.argv[1]), Path(sys.argv[2]))
