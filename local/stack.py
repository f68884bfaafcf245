"""The whole stack on one machine: emulator, simulator, gateway and the really deployed template."""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local import emulator
from local.processes import (
    ROOT,
    StackError,
    environment,
    free_port,
    require_free,
    spawn,
    started_at,
    stop,
    wait_until_listening,
)
from ops.client_keys import ClientKeys

STACK_NAME = "likeness"
_BUILD_SECONDS = 600
_SOURCES = ("template.yaml", "layers", "functions", "statemachine")


@dataclass(frozen=True)
class Stack:
    """A running stack: what the state file holds. ``pids`` maps names to [pid, start time]."""

    api_url: str
    api_key: str
    emulator_endpoint: str
    stack_name: str
    outputs: dict[str, str]
    simulator_url: str | None
    crun_api_key: str
    log_dir: str
    pids: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """What ``python -m local up`` was asked for."""

    state_file: Path = Path(".local/stack.json")
    port: int = 8080
    emulator_port: int = 4566
    crun_base_url: str | None = None
    crun_api_key: str | None = None
    parameters: Sequence[str] = ()


@contextmanager
def running_stack(options: Options, say: Callable[[str], None] = print) -> Iterator[Stack]:
    """Starts everything, yields the stack, and ends everything again, however the block is left.

    Raises StackError, with one line for the user, when it cannot be started.
    """
    _require_unused(options.state_file)
    require_free(options.port, "--port")
    require_free(options.emulator_port, "--emulator-port")
    state_dir = options.state_file.resolve().parent
    logs = state_dir / "logs" / options.state_file.stem
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    (state_dir / "home").mkdir(exist_ok=True)
    endpoint = f"http://127.0.0.1:{options.emulator_port}"
    env = environment(state_dir, endpoint)
    with ExitStack() as cleanup:
        pids: dict[str, tuple[int, str]] = {}

        def keep(name: str, child: subprocess.Popen[bytes]) -> None:
            cleanup.callback(stop, child)
            pids[name] = (child.pid, started_at(child.pid))

        say("starting the emulator")
        log = logs / "emulator.log"
        scratch = Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="likeness-", ignore_cleanup_errors=True))
        )
        child = emulator.start(options.emulator_port, log, scratch, env)
        keep("emulator", child)  # before the wait: a start that fails or is interrupted ends it too
        emulator.wait_until_ready(child, endpoint, log)
        crun_key = options.crun_api_key or secrets.token_urlsafe(24)
        crun_url, simulator_port = options.crun_base_url, free_port()
        if crun_url is None:
            say("starting the crun simulator")
            crun_url = f"http://127.0.0.1:{simulator_port}"
            command = [sys.executable, "-m", "local.simulator", "--port", str(simulator_port)]
            command += ["--public-base-url", f"http://127.0.0.1:{options.port}/crun"]
            keep(
                "simulator", spawn(command, log=logs / "simulator.log", env=env | {"CRUN_SIMULATOR_API_KEY": crun_key})
            )
        say("building and deploying the template")
        with (state_dir / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another stack of this folder may be building the same
            built = _build(state_dir, logs, env)
        parameters = {
            "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
            "PublicBaseUrl": f"http://127.0.0.1:{options.port}/v1",
            "CrunBaseUrl": crun_url,
            "CrunApiKey": crun_key,
        } | dict(each.split("=", 1) for each in options.parameters)
        _deploy(built, parameters, logs, env, endpoint)
        outputs = emulator.outputs(endpoint, STACK_NAME)
        emulator.put_gateway_responses(endpoint, outputs["RestApiId"], built)
        say("starting the gateway")
        api = f"{endpoint}/restapis/{outputs['RestApiId']}/v1/_user_request_"
        command = [sys.executable, "-m", "local.gateway", "--port", str(options.port), "--target", f"/v1={api}"]
        if options.crun_base_url is None:
            command += ["--target", f"/crun={crun_url}"]
        gateway = spawn(command, log=logs / "gateway.log", env=env)
        keep("gateway", gateway)
        wait_until_listening(gateway, options.port, "the gateway", logs / "gateway.log", 20)
        keys = ClientKeys(emulator.client("dynamodb", endpoint), outputs["TableName"])
        key = keys.add("demo", [f"http://127.0.0.1:{options.port}"])
        simulator = None if options.crun_base_url else crun_url
        stack = Stack(
            f"http://127.0.0.1:{options.port}/v1",
            key,
            endpoint,
            STACK_NAME,
            outputs,
            simulator,
            crun_key,
            str(logs),
            pids,
        )
        _write_state(options.state_file, stack)
        cleanup.callback(options.state_file.unlink, missing_ok=True)
        yield stack


def _require_unused(state_file: Path) -> None:
    """Raises StackError when the stack of ``state_file`` runs: `down` could not find it any more."""
    with suppress(OSError, ValueError, KeyError, TypeError):  # a broken file holds no running stack
        pids = json.loads(state_file.read_text())["pids"].values()
        if any(mark and started_at(pid) == mark for pid, mark in pids):
            raise StackError(f"the stack of {state_file} is running; choose another --state-file, or end it first")


def _write_state(file: Path, stack: Stack) -> None:
    file.touch(mode=0o600)
    file.chmod(0o600)  # it holds keys
    file.write_text(json.dumps(asdict(stack), indent=2) + "\n")


def _digest() -> str:
    """A fingerprint of everything that goes into the build."""
    digest = hashlib.sha256(sys.version.encode())
    for name in _SOURCES:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _build(state_dir: Path, logs: Path, env: dict[str, str]) -> Path:
    """`sam build` with the layer for this interpreter; unchanged sources are built once."""
    folder = state_dir / "build" / _digest()
    if not (folder / "template.yaml").exists():
        shutil.rmtree(state_dir / "build", ignore_errors=True)
        machine = "aarch64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
        target = {
            "LAYER_PYTHON_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}",
            "LAYER_PLATFORM": f"manylinux2014_{machine}",
            "PYTHON": sys.executable,
        }
        command = [_sam(), "build", "--template-file", str(ROOT / "template.yaml"), "--build-dir", str(folder)]
        _run([*command, "--parallel"], logs / "build.log", env | target, "the build")
    return folder / "template.yaml"


def _deploy(built: Path, parameters: dict[str, str], logs: Path, env: dict[str, str], endpoint: str) -> None:
    bucket = "likeness-deployment"
    emulator.client("s3", endpoint).create_bucket(Bucket=bucket)
    overrides = [f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items() if value]
    with tempfile.TemporaryDirectory() as folder:
        # The user's samconfig.toml is for AWS.
        config = Path(folder) / "empty.toml"
        config.write_text("version = 0.1\n")
        command = [_sam(), "deploy", "--template-file", str(built), "--stack-name", STACK_NAME, "--s3-bucket", bucket]
        command += ["--no-resolve-s3", "--no-confirm-changeset", "--no-progressbar", "--capabilities", "CAPABILITY_IAM"]
        command += ["--config-file", str(config), "--parameter-overrides", *overrides]
        _run(command, logs / "deploy.log", env, "the deployment")


def _sam() -> str:
    return str(Path(sys.executable).parent / "sam")


def _run(command: list[str], log: Path, env: dict[str, str], what: str) -> None:
    child = spawn(command, log=log, env=env)
    try:
        if child.wait(_BUILD_SECONDS) == 0:
            return
    except subprocess.TimeoutExpired:
        raise StackError(f"{what} took more than {_BUILD_SECONDS} s; see {log}") from None
    finally:
        stop(child)
    raise StackError(f"{what} failed; see {log}")
