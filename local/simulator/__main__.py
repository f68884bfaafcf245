"""`python -m local.simulator`: serve the crun simulator until SIGTERM or SIGINT."""

import argparse
import json
import os
import signal
import sys
import threading

from pydantic import ValidationError

from local.simulator.server import Simulator
from local.simulator.settings import SimulatorSettings


def main() -> int:
    """Serve until SIGTERM or SIGINT. Returns 1 when the port is in use."""
    parser = argparse.ArgumentParser(prog="python -m local.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 uses a free port and prints it")
    parser.add_argument(
        "--api-key",
        default=os.environ.get("CRUN_SIMULATOR_API_KEY"),
        help="the x-api-key to accept; default: $CRUN_SIMULATOR_API_KEY",
    )
    parser.add_argument("--public-base-url", help="the start of H5 links and media links, behind a gateway")
    parser.add_argument("--verbose", action="store_true", help="print method, route and status of each request")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of SimulatorSettings, its value in JSON or as plain text; repeatable",
    )
    options = parser.parse_args()
    if not options.api_key:
        parser.error("--api-key is required")
    try:
        settings = SimulatorSettings.model_validate(dict(_setting(each) for each in options.setting))
    except ValidationError as exc:
        parser.error("; ".join(f"--setting {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors()))
    simulator = Simulator(
        options.host,
        options.port,
        api_key=options.api_key,
        public_base_url=options.public_base_url,
        settings=settings,
        verbose=options.verbose,
    )
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    try:
        simulator.start()
    except OSError as exc:
        print(f"crun simulator: cannot listen on {options.host}:{options.port}: {exc.strerror}", file=sys.stderr)
        return 1
    print(f"crun simulator: listening on {simulator.url}", flush=True)
    done.wait()
    simulator.stop()
    return 0


def _setting(text: str) -> tuple[str, object]:
    """Split `name=value`. A value that is not JSON is plain text, so that words need no quotes."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


if __name__ == "__main__":
    sys.exit(main())
