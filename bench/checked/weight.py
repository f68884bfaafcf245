"""The modules that a function imports when it starts, and the size of the layers in bytes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Set
from dataclasses import dataclass
from importlib.metadata import PackagePath, distribution
from pathlib import Path

from build_openapi import built
from likeness.runtime.pages import files
from local.processes import ROOT
from tests.functions import REGION, environment

_LAYER = ROOT / "layers" / "likeness"
_REQUIREMENTS = ROOT / "layers" / "dependencies" / "requirements.txt"
#: The packages in Lambda's runtime.
_RUNTIME = ("boto3", "botocore", "s3transfer", "python-dateutil", "six", "jmespath", "urllib3")
_SECONDS = 60.0
#: Executes a file as Lambda does, and prints the modules that this has loaded.
_SHOW_MODULES_SOURCE = (
    "import sys; bare = set(sys.modules)\n"
    "import runpy; runpy.run_path(sys.argv[1], run_name='app')\n"
    "import json; print(json.dumps(sorted(set(sys.modules) - bare - {'runpy', 'json'})))"
)


class StartFailed(RuntimeError):
    """When a function does not start."""


@dataclass(frozen=True)
class Weight:
    """The number of modules that a function imports beyond a bare interpreter, and their packages outside of Python."""

    modules: int
    packages: tuple[str, ...]


class _Secrets:
    """Returns ARNs only: no secret is read while a function starts."""

    def create_secret(self, **of: str) -> dict[str, str]:
        return {"ARN": f"arn:aws:secretsmanager:{REGION}:1:secret:{of['Name']}"}


def functions() -> list[str]:
    """Returns the functions' names."""
    return sorted(each.parent.name for each in (ROOT / "functions").glob("*/app.py"))


def imports() -> dict[str, Weight]:
    """Starts each function in a new interpreter with the packages that it has on Lambda. Raises StartFailed."""
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(folder)
        for name in {*_RUNTIME, *_locked()}:
            for entry in {file.parts[0] for file in _files(name)} - {"..", "__pycache__"}:
                link = packages / entry
                if not link.exists():
                    link.symlink_to(Path(str(distribution(name).locate_file(entry))))
        variables = _variables() | {"PYTHONPATH": os.pathsep.join((str(_LAYER), folder)), "HOME": folder}
        known = {each.name.partition(".")[0] for each in packages.iterdir()} | {"likeness"}
        return {each: _started(each, variables, known) for each in functions()}


def _variables() -> dict[str, str]:
    queue = "https://sqs.test/queue"
    made = environment(
        table="Table",
        idempotency_table="IdempotencyTable",
        queue_url=queue,
        dead_letter_url=queue,
        change_dead_letter_url=queue,
        webhook_queue_url=queue,
        webhook_dead_letter_url=queue,
        event_bus="bus",
        bucket="uploads",
        machine_arn="arn:aws:states:us-east-1:1:stateMachine:none",
        crun="https://crun.test",
        secrets=_Secrets(),
    )
    return made | {
        "UPLOAD_ADDRESSES": "https://s3.test/uploads",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _started(function: str, variables: Mapping[str, str], known: Set[str]) -> Weight:
    app = ROOT / "functions" / function / "app.py"
    command = [sys._base_executable, "-S", "-c", _SHOW_MODULES_SOURCE, str(app)]  # type: ignore[attr-defined]
    ran = subprocess.run(command, env=dict(variables), capture_output=True, text=True, timeout=_SECONDS)
    if ran.returncode:
        raise StartFailed(f"{function}: {ran.stderr[-2000:]}")
    modules: list[str] = json.loads(ran.stdout.splitlines()[-1])
    tops = {each.partition(".")[0] for each in modules}
    return Weight(len(modules), tuple(sorted(tops & known)))


def layers() -> dict[str, int]:
    """Returns the bytes of the layers' sources: the package, and the locked packages as installed here."""
    shipped = [*(_LAYER / "likeness").rglob("*"), *files().values()]
    own = sum(each.stat().st_size for each in shipped if each.is_file() and _is_shipped(each))
    contract = len(built().encode())  # built with the layer
    return {"likeness": own + contract, "dependencies": sum(_bytes_of(each) for each in _locked())}


def _locked() -> list[str]:
    return re.findall(r"^([\w.-]+)==", _REQUIREMENTS.read_text(), re.MULTILINE)


def _files(name: str) -> list[PackagePath]:
    return distribution(name).files or []


def _bytes_of(name: str) -> int:
    found = (Path(str(each.locate())) for each in _files(name))
    return sum(each.stat().st_size for each in found if each.is_file() and _is_shipped(each))


def _is_shipped(file: Path) -> bool:
    # The layer's build removes `bin`.
    return file.suffix != ".pyc" and file.parent.name != "bin"
