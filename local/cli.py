"""The commands of ``python -m local``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from local.processes import StackError, started_at
from local.stack import Options, running_stack


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The stack on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and stay")
    up.add_argument("--crun-base-url", help="a crun to use instead of the simulator")
    up.add_argument("--crun-api-key")
    up.add_argument("--port", type=int, default=8080)
    up.add_argument("--emulator-port", type=int, default=4566)
    up.add_argument("--parameter", action="append", default=[], metavar="Key=Value", help="a template parameter")
    down = commands.add_parser("down", help="end what `up` started")
    for command in (up, down):
        command.add_argument("--state-file", type=Path, default=Path(".local/stack.json"))
    demo = commands.add_parser("demo", help="one person through the whole flow")
    demo.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)  # the terminal was closed
    try:
        if options.command == "down":
            return _down(options.state_file)
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
            raise StackError(f"--parameter {each}: Key=Value is expected")
    wanted = Options(
        state_file=options.state_file,
        port=options.port,
        emulator_port=options.emulator_port,
        crun_base_url=options.crun_base_url,
        crun_api_key=options.crun_api_key,
        parameters=options.parameter,
    )
    with running_stack(wanted, lambda line: print(line, flush=True)) as stack:
        # `down` reads the pid that is to be told to stop: ours, which ends the rest.
        state = json.loads(options.state_file.read_text())
        state["pids"]["up"] = [os.getpid(), started_at(os.getpid())]
        options.state_file.write_text(json.dumps(state, indent=2) + "\n")
        print(f"ready: {stack.api_url} (keys and outputs in {options.state_file}); Ctrl-C ends it", flush=True)
        try:
            while all(started_at(pid) == mark for pid, mark in stack.pids.values()):
                time.sleep(1)
        except KeyboardInterrupt:
            print("\nstopping", flush=True)
            return 0
        raise StackError(f"a part of the stack has ended; see {stack.log_dir}")


def _down(state_file: Path) -> int:
    if not state_file.exists():
        raise StackError(f"{state_file} does not exist: nothing to end")
    pids = json.loads(state_file.read_text())["pids"]
    alive = {name: pid for name, (pid, mark) in pids.items() if mark and started_at(pid) == mark}
    for pid in [alive["up"]] if "up" in alive else list(alive.values()):
        os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        if not any(started_at(pid) == pids[name][1] for name, pid in alive.items()):
            state_file.unlink(missing_ok=True)
            return 0
        time.sleep(0.1)
    raise StackError("some processes did not end")
