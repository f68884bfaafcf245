"""The commands of ``python -m local``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from local.processes import StackError, started_at
from local.stack import CLIENT_ID, Options, Stack, running_stack


def main(arguments: list[str] | None = None) -> int:
    """Runs one command, and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The stack on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the stack, and keep it running until Ctrl-C")
    up.add_argument("--crun-base-url", help="the base URL of a crun to use instead of the simulator")
    up.add_argument("--crun-api-key")
    up.add_argument("--port", type=int, default=8080)
    up.add_argument("--emulator-port", type=int, default=4566)
    up.add_argument("--parameter", action="append", default=[], metavar="Key=Value", help="a template parameter")
    down = commands.add_parser("down", help="stop the stack of `up`")
    for command in (up, down):
        command.add_argument("--state-file", type=Path, default=Path(".local/stack.json"))
    media = commands.add_parser("media", help="write the demo's files: a person's pictures, clip and voice")
    media.add_argument("folder", type=Path)
    demo = commands.add_parser("demo", help="onboard one person, from the session to the assets")
    demo.add_argument("--port", type=int, default=0, help="0 uses a free port")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)  # the terminal was closed
    try:
        if options.command == "down":
            return _down(options.state_file)
        if options.command == "media":
            return _media(options.folder)
        if options.command == "demo":
            from local.demo import main as run_demo

            return run_demo(options.port)
        return _up(options)
    except StackError as problem:
        print(f"likeness: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlikeness: stopped", file=sys.stderr)
        return 130


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _up(options: argparse.Namespace) -> int:
    for each in options.parameter:
        if "=" not in each:
            raise StackError(f"--parameter {each}: must have the form Key=Value")
    wanted = Options(
        state_file=options.state_file,
        port=options.port,
        emulator_port=options.emulator_port,
        crun_base_url=options.crun_base_url,
        crun_api_key=options.crun_api_key,
        parameters=options.parameter,
    )
    with running_stack(wanted, lambda line: print(line, flush=True)) as stack:
        # `down` signals this process, which stops the others.
        state = json.loads(options.state_file.read_text())
        state["pids"]["up"] = [os.getpid(), started_at(os.getpid())]
        options.state_file.write_text(json.dumps(state, indent=2) + "\n")
        print(banner(stack, options.state_file), flush=True)
        with suppress(KeyboardInterrupt):
            _stay(stack)
        print("\nstopping", flush=True)
    print(f"stopped: the sessions, files and keys of this stack are deleted; its logs are in {shown(stack.log_dir)}")
    return 0


def banner(stack: Stack, state_file: Path) -> str:
    """Returns the text about how to use the running stack."""
    crun = (
        f"{stack.api_url.removesuffix('/v1')}/crun/_sim  (simulates crun)"
        if stack.simulator_url
        else "none: uses crun itself"
    )
    return f"""
ready: {stack.api_url}

  API         {stack.api_url}
  docs        {stack.api_url}/docs
  console     {stack.api_url}/console  (needs the client key)
  simulator   {crun}
  client key  {stack.api_key}  (of the client {CLIENT_ID})
  operate     .venv/bin/python -m ops --help, with --state-file {state_file}
  logs        {shown(stack.log_dir)}

Ctrl-C stops the stack and deletes its sessions, files and keys. Requests to the API:
"""


def shown(folder: str) -> str:
    """Returns a folder relative to the current one, where that is possible."""
    with suppress(ValueError):
        return str(Path(folder).relative_to(Path.cwd()))
    return folder


def _stay(stack: Stack) -> None:
    """Prints the API's requests as they arrive. Raises StackError when a part of the stack ends."""
    with (Path(stack.log_dir) / "gateway.log").open(encoding="utf-8") as requests:
        while True:
            for name, (pid, mark) in stack.pids.items():
                if started_at(pid) != mark:
                    raise StackError(
                        f"the {name} has ended (see {shown(stack.log_dir)}/{name}.log), so the stack was stopped: "
                        "its sessions, files and keys are deleted"
                    )
            for _ in range(5):
                time.sleep(0.2)
                print(requests.read(), end="", flush=True)


def _media(folder: Path) -> int:
    from local.media import make_media

    print("\n".join(str(each) for each in asdict(make_media(folder)).values()))
    return 0


def _down(state_file: Path) -> int:
    if not state_file.exists():
        raise StackError(f"{state_file} does not exist: no stack to stop")
    pids = json.loads(state_file.read_text())["pids"]
    alive = {name: pid for name, (pid, mark) in pids.items() if mark and started_at(pid) == mark}
    for pid in [alive["up"]] if "up" in alive else list(alive.values()):
        os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        if not any(started_at(pid) == pids[name][1] for name, pid in alive.items()):
            state_file.unlink(missing_ok=True)
            print(f"the stack of {state_file} was stopped")
            return 0
        time.sleep(0.1)
    raise StackError("some processes are still running")
