"""``python -m ops.black_box``: tests a stack from outside, with a client key that is revoked after the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from likeness.domain.caller import key_digest
from ops.client_keys import ClientKeys
from ops.stack import api_url, reach, with_stack

CLIENT_ID = "black-box"
_ROOT = Path(__file__).resolve().parent.parent


@click.command()
@with_stack
def main(stack_name: str, state_file: Path | None) -> None:
    """Test a deployed stack as a caller sees it; the exit code is pytest's."""
    stack = reach(stack_name, state_file)
    keys = ClientKeys(stack.client("dynamodb"), stack.outputs["TableName"])
    url = api_url(stack_name, state_file)
    key = keys.add(CLIENT_ID)
    try:
        # The key goes into the environment, which other users of the machine cannot read.
        where = {"LIKENESS_API_URL": url, "LIKENESS_API_KEY": key}
        command = [sys.executable, "-m", "pytest", "tests/black_box", "-q", "-p", "no:cacheprovider"]
        run = subprocess.run(command, cwd=_ROOT, env=os.environ | where, check=False)  # noqa: S603  our own command
    finally:
        keys.revoke(key_digest(key)[:12])
    sys.exit(run.returncode)


if __name__ == "__main__":
    main()
