"""Child processes that end with their parent, listen on loopback and cannot use the user's AWS account."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 10
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "SSL_CERT_FILE")


class StackError(RuntimeError):
    """When the stack cannot be started; the message is one line for the user."""


def environment(state_dir: Path, emulator_endpoint: str) -> dict[str, str]:
    """Returns a clean environment: dummy credentials, no profile, no proxy, and tools' files in ``state_dir``."""
    kept = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("UV_")}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    settings = {
        "HOME": str(state_dir / "home"),
        "AWS_ENDPOINT_URL": emulator_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(state_dir / "sam"),
    }
    return kept | _uv() | settings


def _uv() -> dict[str, str]:
    """Returns uv's variables for the user's settings and cache, where `make setup` has stored the layer's packages."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv" / "uv.toml"
    found = {"UV_CACHE_DIR": str(cache)} | ({"UV_CONFIG_FILE": str(settings)} if settings.exists() else {})
    return {name: os.environ.get(name, value) for name, value in found.items()}


def spawn(command: list[str], *, log: Path, env: dict[str, str], cwd: Path = ROOT) -> subprocess.Popen[bytes]:
    """Starts a child in its own process group; all its output goes to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=(lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)) if libc else None,
        )


def stop(child: subprocess.Popen[bytes]) -> None:
    """Ends a child and its process group, by SIGTERM and then SIGKILL."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sign)
        except (ProcessLookupError, PermissionError):
            break
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)  # grandchildren that outlived their parent


def started_at(pid: int) -> str:
    """Returns the start time of a process, because its pid may be reused; empty when it has ended.

    A zombie (state Z), which ps still shows, counts as ended.
    """
    command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]  # BSD's ps accepts one name for each -o
    state, _, mark = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
    return "" if state.startswith("Z") else mark.strip()


def is_free(port: int) -> bool:
    """Returns whether nothing listens on ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Returns a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(child: subprocess.Popen[bytes], port: int, what: str, log: Path, seconds: float) -> None:
    """Waits until ``port`` accepts connections. Raises StackError when the child ends first, or on a timeout."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise StackError(f"{what} ended while starting; see {log}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise StackError(f"{what} did not start within {seconds:.0f} s; see {log}")
