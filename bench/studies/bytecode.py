"""The deployed files: whether Python uses their bytecode, whether two builds are identical, and their size."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from bench.studies.artefact import Artefact
from bench.studies.canned import canned
from bench.studies.cold_start import Bench
from bench.studies.recording import Recording, record
from bench.table import Row
from local.processes import ROOT, environment
from local.stack import build_for_host
from tests.functions import event_of_request
from tests.template_file import TEMPLATE

_MEGABYTE = 1_000_000
_DEFLATE_LEVEL = 6
#: The flags word of a .pyc that Python loads without a check of its source (PEP 552): hash-based, unchecked.
_UNCHECKED_HASH = 0b01
#: Runs the real handler once, and then writes down the files that the process has loaded.
_LOADED_FILES_SOURCE = """import json, sys
from function import handler as invoke
def handler(event, context):
    answer = invoke(event, context)
    files = [getattr(each, "__file__", None) for each in list(sys.modules.values())]
    with open("loaded.json", "w") as file:
        json.dump([each for each in files if each], file)
    return answer
"""
#: A client requests the QR code of a link.
_QR_CODE = event_of_request(
    "POST", "/qr-codes", "/qr-codes", body="https://likeness.test/invite", authorizer={"client_id": "bench"}
)


def rows() -> list[Row]:
    """Returns the figures of one build, and its comparison with another build in a folder of a different name."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (_build(Path(folder) / name) for name in ("one", "quite_another"))
        found = [
            *_bytecode(first.layers),
            Row("bytecode", "same files in two builds", same_share(first.layers, second.layers), "", None, 1.0, True),
            *_weights(first.layers),
            *_unused(first),
        ]
    return [*found, _runtime_at_hand()]


def _build(state: Path) -> Artefact:
    (state / "home").mkdir(parents=True)
    (state / "logs").mkdir()
    return Artefact(build_for_host(state, state / "logs", environment(state, "")).parent)


def _files(folder: Path, suffix: str = "") -> list[Path]:
    return sorted(each for each in folder.rglob(f"*{suffix}") if each.is_file())


def _bytecode(layers: Sequence[Path]) -> list[Row]:
    sources = [file for layer in layers for file in _files(layer, ".py")]
    kept = [cached for file in sources if (cached := Path(cache_from_source(str(file)))).exists()]
    unchecked = [file for file in kept if flags(file) == _UNCHECKED_HASH]
    covered, unchecked_share = len(kept) / len(sources), len(unchecked) / max(len(kept), 1)
    return [
        Row("bytecode", "sources with bytecode", covered, "", None, 1.0, True),
        Row("bytecode", "bytecode loaded without a check of the source", unchecked_share, "", None, 1.0, True),
    ]


def flags(file: Path) -> int:
    """Returns the flags word of a .pyc: bytes 4 to 7, little-endian."""
    return int.from_bytes(file.read_bytes()[4:8], "little")


def same_share(first: Sequence[Path], second: Sequence[Path]) -> float:
    """Returns the share of all files under pairs of folders that exist in both with the same bytes."""
    same = total = 0
    for one, other in zip(first, second, strict=True):
        mine, theirs = ({file.relative_to(each): file for file in _files(each)} for each in (one, other))
        total += len(mine.keys() | theirs.keys())
        same += sum(mine[name].read_bytes() == theirs[name].read_bytes() for name in mine.keys() & theirs.keys())
    return same / total


def zipped_size(folder: Path) -> int:
    """Returns the size of ``folder`` as a zip archive, in bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_DEFLATE_LEVEL) as archive:
        for file in _files(folder):
            archive.write(file, file.relative_to(folder))
    return target.tell()


def _weights(layers: Sequence[Path]) -> list[Row]:
    dependencies, likeness = layers
    sources = [file for file in _files(ROOT / "functions", ".py") if "__pycache__" not in file.parts]
    return [
        Row("bytecode", "layer of dependencies, zipped", zipped_size(dependencies) / _MEGABYTE, "MB", None, 8),
        Row("bytecode", "layer of dependencies, unzipped", _weight(_files(dependencies)), "MB"),
        Row("bytecode", "layer of the product, zipped", zipped_size(likeness) / _MEGABYTE, "MB"),
        Row("bytecode", "its code, without bytecode and pages", 1000 * _weight(_files(likeness, ".py")), "kB"),
        Row("bytecode", "all functions' own code", 1000 * _weight(sources), "kB"),
    ]


def _weight(files: Iterable[Path]) -> float:
    return sum(file.stat().st_size for file in files) / _MEGABYTE


def _unused(artefact: Artefact) -> list[Row]:
    packages = artefact.layers[0] / "python"
    there = {each.name for each in packages.iterdir() if _can_be_imported(each)}
    loaded = {_top(Path(file), packages) for file in _loaded_files(artefact)}
    idle = sorted(there - loaded)
    names = ", ".join(map(_plain, idle))
    return [
        Row("bytecode", "packages in the layer", len(there), ""),
        Row("bytecode", ": ".join(filter(None, ["packages that no function loads", names])), len(idle), "", None, 0),
    ]


def _can_be_imported(path: Path) -> bool:
    return path.suffix in (".py", ".so") or (path.is_dir() and any(path.rglob("*.py")))


def _top(file: Path, packages: Path) -> str | None:
    return file.relative_to(packages).parts[0] if file.is_relative_to(packages) else None


def _plain(name: str) -> str:
    return re.sub(r"\.(cpython|abi3).*|\.py$", "", name)


def _loaded_files(artefact: Artefact) -> set[str]:
    """Returns the files that any function has loaded after its invocation, which also makes its lazy imports.

    serve_pages also draws a QR code, the only request that needs the package for it.
    """
    recordings, settings = record()
    found: set[str] = set()
    with tempfile.TemporaryDirectory() as folder, canned() as server:
        bench = Bench(server, Path(folder), artefact, settings)
        for recording in [*all_recordings(recordings), Recording("serve_pages", _QR_CODE, (), [])]:
            task = wrapped(bench, recording.function, _LOADED_FILES_SOURCE)
            bench.start(task, artefact.layers, recording.event, recording.exchanges)
            found.update(json.loads((task / "loaded.json").read_text()))
    return found


def all_recordings(recordings: dict[str, Recording]) -> list[Recording]:
    """Returns the recorded invocations, and one for each function that makes no calls."""
    quiet = {each.parent.name for each in (ROOT / "functions").glob("*/app.py")} - recordings.keys()
    return [*recordings.values(), *(Recording(name, _event(name), (), []) for name in sorted(quiet))]


def _event(function: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{function}.json").read_text())
    return event


def wrapped(bench: Bench, function: str, source: str) -> Path:
    """Returns a task folder where ``source`` is the handler's module and the function's own is named ``function``."""
    task = bench.task(f"wrapped_{function}", source)
    shutil.copy(bench.artefact.function(function) / "app.py", task / "function.py")
    return task


def _runtime_at_hand() -> Row:
    """Returns whether this machine can compile for the template's runtime."""
    name = TEMPLATE["Parameters"]["PythonRuntime"]["Default"]
    command = shutil.which(name)
    # The command may exist and still fail: pyenv installs such stubs.
    there = command and subprocess.run([command, "-c", ""], capture_output=True, check=False).returncode == 0
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    note = f"Measured with the layers for {here}." + (
        "" if there else f" Without {name} on the PATH, `sam build` for AWS deploys no bytecode and prints a warning."
    )
    return Row("bytecode", f"{name} is installed", int(bool(there)), "", note=note)
