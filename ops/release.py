"""Writes a release, which deploys a stack with only a POSIX shell and the AWS CLI.

``make release`` builds the template and runs ``python -m ops.release``, which writes ``dist/likeness-<version>/``: the
template, the archives of the functions and layers, the scripts (``deploy.sh`` and others), a software bill of
materials and the checksums of all of them. The same sources, built by the same Python, produce the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import io
import os
import re
import shutil
import time
import tomllib
import uuid
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

ROOT = Path(__file__).resolve().parent.parent
#: The prefix of the archives in the bucket; ops/release_deploy.sh copies them there.
PREFIX = "likeness"
BUCKET_PARAMETER = "ArtifactBucket"
_SCRIPTS = {
    "ops/release_deploy.sh": "deploy.sh",
    "ops/release_add_client.sh": "add-client.sh",
    "ops/release_set_operator.py": "set-operator.py",
    "layers/likeness/build_operator.py": "build_operator.py",
}
_CODE = ("CodeUri", "ContentUri", "DefinitionUri")
#: The oldest date of a zip archive, so that archives do not depend on the time of the build.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_PIN = re.compile(r"^([\w.-]+)==(\S+)((?:[^\n]*\\\n\s+--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)
_LIKENESS = ROOT / "layers/likeness"
_LOCKS = (ROOT / "layers/dependencies/requirements.txt", _LIKENESS / "models.txt", _LIKENESS / "swagger_ui.txt")
#: The license of a package that states it by a classifier alone: segno's LICENSE has three clauses.
_CLASSIFIERS = {"License :: OSI Approved :: BSD License": "BSD-3-Clause"}
#: The packages of which an archive contains only a part.
_PARTS = {
    "botocore": "Only the descriptions of the services that the functions call.",
    "drf-spectacular-sidecar": "Only Swagger UI: its script, its style and its license.",
}
#: The licenses of packages that only a layer's build installs: of the part that it takes.
_BUILD_ONLY = {"drf-spectacular-sidecar": "Apache-2.0"}

_yaml = YAML()
_yaml.width = 4096


class ReleaseError(Exception):
    """When a build cannot be released; the message says what to do."""


def write_release(built: Path, to: Path, made_at: datetime) -> Path:
    """Writes the release of a built template into a new folder below ``to``, and returns the folder.

    ``built`` is the template.yaml that `sam build` wrote, ``made_at`` the date in the bill of materials. An older
    release of the same version is replaced. Raises ReleaseError when the layers contain no bytecode.
    """
    version = _version()
    folder = to / f"likeness-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "archives").mkdir(parents=True)
    template = _yaml.load(built)
    for name, resource in template["Resources"].items():
        layer = resource["Type"] == "AWS::Serverless::LayerVersion"
        if layer and not any((built.parent / resource["Properties"]["ContentUri"]).rglob("*.pyc")):
            raise ReleaseError(f"{name} contains no bytecode: build with the layers' Python on the PATH (python3.13)")
    _package(template, built.parent, folder / "archives")
    template["Description"] = f"{template['Description']} Release {version}."
    with (folder / "template.yaml").open("w") as file:
        _yaml.dump(template, file)
    for source, name in _SCRIPTS.items():
        shutil.copyfile(ROOT / source, folder / name)
        (folder / name).chmod(0o755)
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    (folder / "sbom.cdx.json").write_text(_bill_of_materials(version, made_at))
    (folder / "SHA256SUMS").write_text(_checksums(folder))
    return folder


def _version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def _package(template: Any, base: Path, archives: Path) -> None:
    """Changes ``template`` in place: its code is in the bucket of a new parameter, and its includes are inlined."""
    template["Parameters"][BUCKET_PARAMETER] = {
        "Type": "String",
        "AllowedPattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        "Description": f"The bucket with the release's archives, below {PREFIX}/, in the stack's region.",
    }
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        for place in _CODE:
            if place in properties:
                file = _archive(name, base / properties[place], archives)
                properties[place] = {"Bucket": {"Ref": BUCKET_PARAMETER}, "Key": f"{PREFIX}/{file.name}"}
        metadata = resource.get("Metadata", {})
        for key in ("SamResourceId", "BuildMethod"):  # metadata of `sam build`
            metadata.pop(key, None)
        if not metadata:
            resource.pop("Metadata", None)
    _include(template["Resources"], base)


def _archive(name: str, source: Path, archives: Path) -> Path:
    """Writes a resource's code to ``archives``, with the digest of its content in the file's name."""
    content = source.read_bytes() if source.is_file() else _zipped(source)
    suffix = ".zip" if source.is_dir() else "".join(source.suffixes)
    file = archives / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    file.write_bytes(content)
    return file


def _zipped(folder: Path) -> bytes:
    """Returns a reproducible zip archive of ``folder``: the same files produce the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.rglob("*"), key=lambda each: each.relative_to(folder).as_posix()):
            # A layer's bytecode belongs to it; a function's bytecode comes from a test run.
            if not file.is_file() or ("__pycache__" in file.parts and not (folder / "python").is_dir()):
                continue
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _DATE)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16  # Lambda imports these files and executes none of them
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return content.getvalue()


def _include(node: Any, base: Path) -> None:
    """Inlines the files of AWS::Include below ``node``, so that a deployment needs no transform other than SAM."""
    for key, value in list(node.items()) if isinstance(node, dict) else list(enumerate(node)):
        if isinstance(value, dict) and value.get("Fn::Transform", {}).get("Name") == "AWS::Include":
            snippet = _yaml.load(base / value["Fn::Transform"]["Parameters"]["Location"])
            node[key] = {name: LiteralScalarString(text) for name, text in snippet.items()}
        elif isinstance(value, dict | list):
            _include(value, base)


def _bill_of_materials(version: str, made_at: datetime) -> str:
    """Returns the packages in the archives, as CycloneDX 1.6 in JSON; the serial number depends on the content."""
    own = Component(
        name="likeness",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="likeness",
        licenses=[LicenseFactory().make_from_string("MIT")],
    )
    components = sorted(_from_pypi(), key=lambda each: str(each.bom_ref))
    bom = Bom(components=components)
    bom.metadata.component = own
    bom.metadata.timestamp = made_at
    bom.register_dependency(own, components)
    names = " ".join(str(each.bom_ref) for each in components)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"likeness {version} {names}")
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def _from_pypi() -> Iterator[Component]:
    """Yields the layers' pinned packages, with the hashes of their files."""
    for lock in _LOCKS:
        for name, version, hashes in _PIN.findall(lock.read_text()):
            url = PackageURL("pypi", None, _normal(name), version)
            yield Component(
                name=_normal(name),
                version=version,
                type=ComponentType.LIBRARY,
                bom_ref=str(url),
                purl=url,
                description=_PARTS.get(name),
                licenses=[LicenseFactory().make_from_string(_license(name))],
                external_references=[
                    ExternalReference(
                        type=ExternalReferenceType.DISTRIBUTION,
                        url=XsUri(str(url)),
                        hashes=[
                            HashTypeFactory().from_hashlib_alg("sha256", each)
                            for each in re.findall(r"sha256:(\w+)", hashes)
                        ],
                    )
                ],
            )


def _license(package: str) -> str:
    """Returns the license that a package states. The release group has the same versions as the functions."""
    if package in _BUILD_ONLY:
        return _BUILD_ONLY[package]
    stated = importlib.metadata.metadata(package)
    classifiers = [_CLASSIFIERS.get(each) for each in stated.get_all("Classifier") or []]
    found = [
        *(stated.get_all("License-Expression") or []),
        *(stated.get_all("License") or []),
        *filter(None, classifiers),
    ]
    return str(found[0])


def _normal(name: str) -> str:
    """Returns a package's normalised name, as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _checksums(folder: Path) -> str:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return "".join(
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.relative_to(folder).as_posix()}\n" for each in files
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.release", description="Write a release of a built template.")
    parser.add_argument("--built", type=Path, default=Path(".aws-sam/build/template.yaml"))
    parser.add_argument("--to", type=Path, default=Path("dist"))
    # https://reproducible-builds.org/specs/source-date-epoch/
    parser.add_argument("--made-at", type=int, default=os.environ.get("SOURCE_DATE_EPOCH") or int(time.time()))
    options = parser.parse_args()
    try:
        print(write_release(options.built, options.to, datetime.fromtimestamp(options.made_at, UTC)))
    except ReleaseError as exc:
        raise SystemExit(f"likeness: {exc}") from exc


if __name__ == "__main__":
    main()
