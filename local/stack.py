"""The whole stack on one machine: emulator, simulator, gateway, and the deployed template."""

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
    is_free,
    spawn,
    started_at,
    stop,
    wait_until_listening,
)
from ops.client_keys import ClientKeys
from ops.layers import record
from ops.stack import physical_id

STACK_NAME = "likeness"
#: The client of the key in the state file.
CLIENT_ID = "demo"
_BUILD_SECONDS = 600
_ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
#: Who asks the person, on the pages of a local stack.
_OPERATOR = "local/operator"
_SOURCES = ("template.yaml", "layers", "functions", "statemachine", "dashboard", _OPERATOR)


@dataclass(frozen=True)
class Stack:
    """A running stack, as stored in the state file. ``pids`` maps names to [pid, start time]."""

    api_url: str
    api_key: str
    emulator_endpoint: str
    stack_name: str
    outputs: dict[str, str]
    simulator_url: str | None
    crun_api_key: str
    log_dir: str
    pids: dict[str, tuple[int, str]] = field(default_factory=dict)

    def resource(self, logical_id: str) -> str:
        """Returns the physical id of a resource: a queue's URL, a function's name."""
        return physical_id(emulator.client("cloudformation", self.emulator_endpoint), self.stack_name, logical_id)


@dataclass(frozen=True)
class Options:
    """The options of ``python -m local up``."""

    state_file: Path = Path(".local/stack.json")
    port: int = 8080
    emulator_port: int = 4566
    crun_base_url: str | None = None
    crun_api_key: str | None = None
    parameters: Sequence[str] = ()


@contextmanager
def running_stack(options: Options, report: Callable[[str], None] = print) -> Iterator[Stack]:
    """Starts everything, yields the stack, and stops everything when the block ends in any way.

    Raises StackError, with one line for the user, when the stack cannot start.
    """
    _require_free(options)
    state_dir = options.state_file.resolve().parent
    logs = state_dir / "logs" / options.state_file.stem
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    (state_dir / "home").mkdir(exist_ok=True)
    endpoint = f"http://127.0.0.1:{options.emulator_port}"
    origin = f"http://127.0.0.1:{options.port}"
    crun_key = options.crun_api_key or secrets.token_urlsafe(24)
    with ExitStack() as cleanup:
        parts = _Parts(logs, environment(state_dir, endpoint), cleanup)
        report("starting the emulator")
        scratch = tempfile.TemporaryDirectory(prefix="likeness-", ignore_cleanup_errors=True)
        folder = Path(cleanup.enter_context(scratch))
        _start_emulator(parts, options.emulator_port, endpoint, folder)
        simulator = None
        if options.crun_base_url is None:
            report("starting the crun simulator")
            simulator = _start_simulator(parts, crun_key, f"{origin}/crun")
        report("building and deploying the template")
        with (state_dir / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another stack of this folder may be building the same sources
            built = build_for_host(state_dir, logs, parts.env)
        parameters = {
            "PublicBaseUrl": f"{origin}/v1",
            "CrunBaseUrl": str(options.crun_base_url or simulator),
            "CrunApiKey": crun_key,
            "WebhookPrivateAddresses": "allowed",
            "AssetUrlLoopback": "allowed",
            "Generation": "on",
        } | dict(each.split("=", 1) for each in options.parameters)
        template = emulator.deployable(built, folder, _PYTHON, parameters)
        cleanup.callback(template.unlink, missing_ok=True)
        record(template, f"python{_PYTHON}", _ARCHITECTURE)
        _deploy(template, parameters, logs, parts.env, endpoint)
        outputs = emulator.outputs(endpoint, STACK_NAME)
        emulator.put_any_methods(endpoint, outputs["RestApiId"], STACK_NAME, built)
        emulator.put_gateway_responses(endpoint, outputs["RestApiId"], built)
        report("starting the gateway")
        api = f"{endpoint}/restapis/{outputs['RestApiId']}/v1/_user_request_"
        _start_gateway(parts, options.port, {"/v1": api} | ({"/crun": simulator} if simulator else {}))
        key = ClientKeys(emulator.client("dynamodb", endpoint), outputs["TableName"]).add(CLIENT_ID, [origin])
        stack = Stack(
            api_url=f"{origin}/v1",
            api_key=key,
            emulator_endpoint=endpoint,
            stack_name=STACK_NAME,
            outputs=outputs,
            simulator_url=simulator,
            crun_api_key=crun_key,
            log_dir=str(logs),
            pids=parts.pids,
        )
        _write_state(options.state_file, stack)
        cleanup.callback(options.state_file.unlink, missing_ok=True)
        yield stack


@dataclass
class _Parts:
    """The processes of one stack, with their logs, their environment and their cleanup."""

    logs: Path
    env: dict[str, str]
    cleanup: ExitStack
    pids: dict[str, tuple[int, str]] = field(default_factory=dict)

    def keep(self, name: str, child: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Registers ``child`` to end with the stack, also when the start fails or is interrupted."""
        self.cleanup.callback(stop, child)
        self.pids[name] = (child.pid, started_at(child.pid))
        return child


def _start_emulator(parts: _Parts, port: int, endpoint: str, scratch: Path) -> None:
    log = parts.logs / "emulator.log"
    child = parts.keep("emulator", emulator.start(port, log, scratch, parts.env))
    emulator.wait_until_ready(child, endpoint, log)


def _start_simulator(parts: _Parts, crun_key: str, public_base_url: str) -> str:
    """Returns the simulator's URL. Its key is in the environment, which other users of the machine cannot read."""
    port = free_port()
    command = [sys.executable, "-m", "local.simulator", "--port", str(port), "--public-base-url", public_base_url]
    command.append("--verbose")  # the log has the method, the route and the status of each request
    env = parts.env | {"CRUN_SIMULATOR_API_KEY": crun_key}
    parts.keep("simulator", spawn(command, log=parts.logs / "simulator.log", env=env))
    return f"http://127.0.0.1:{port}"


def _start_gateway(parts: _Parts, port: int, targets: dict[str, str]) -> None:
    command = [sys.executable, "-m", "local.gateway", "--port", str(port)]
    for prefix, url in targets.items():
        command += ["--target", f"{prefix}={url}"]
    log = parts.logs / "gateway.log"
    child = parts.keep("gateway", spawn(command, log=log, env=parts.env))
    wait_until_listening(child, port, "the gateway", log, 20)


def _require_free(options: Options) -> None:
    """Raises StackError with everything that is already in use, and the options to change that."""
    problems = []
    if _runs(options.state_file):  # its state file would be overwritten, so that `down` could not find it
        problems.append(
            f"the stack of {options.state_file} is running; stop it (make down), or choose another --state-file "
            "(make: STATE_FILE=.local/second.json)"
        )
    for port, option, variable in (
        (options.port, "--port", "PORT"),
        (options.emulator_port, "--emulator-port", "EMULATOR_PORT"),
    ):
        if not is_free(port):
            problems.append(f"port {port} is in use; choose another {option} (make: {variable}={port + 1})")
    if problems:
        raise StackError("\n          ".join(problems))


def _runs(state_file: Path) -> bool:
    """Returns whether a process of the stack of ``state_file`` is alive."""
    with suppress(OSError, ValueError, KeyError, TypeError):  # a broken file has no running stack
        pids = json.loads(state_file.read_text())["pids"].values()
        return any(mark and started_at(pid) == mark for pid, mark in pids)
    return False


def _write_state(file: Path, stack: Stack) -> None:
    file.touch(mode=0o600)
    file.chmod(0o600)  # it contains keys
    file.write_text(json.dumps(asdict(stack), indent=2) + "\n")


def _digest() -> str:
    """Returns a digest of everything that goes into the build."""
    digest = hashlib.sha256(sys.version.encode())
    for name in _SOURCES:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def build_for_host(state_dir: Path, logs: Path, env: dict[str, str]) -> Path:
    """Runs `sam build` with the layer for this interpreter; unchanged sources are built once."""
    folder = state_dir / "build" / _digest()
    if not (folder / "template.yaml").exists():
        shutil.rmtree(state_dir / "build", ignore_errors=True)
        target = {
            "LAYER_PYTHON_VERSION": _PYTHON,
            "LAYER_PLATFORM": "",  # the platform of this machine
            "PYTHON": sys.executable,
            "UV": _tool("uv"),
            "OPERATOR": str(ROOT / _OPERATOR),
        }
        command = [_tool("sam"), "build", "--template-file", str(ROOT / "template.yaml"), "--build-dir", str(folder)]
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
        command = [
            _tool("sam"),
            "deploy",
            "--template-file",
            str(built),
            "--stack-name",
            STACK_NAME,
            "--s3-bucket",
            bucket,
        ]
        command += ["--no-resolve-s3", "--no-confirm-changeset", "--no-progressbar", "--capabilities", "CAPABILITY_IAM"]
        command += ["--config-file", str(config), "--parameter-overrides", *overrides]
        _run(command, logs / "deploy.log", env, "the deployment")


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


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
