"""Onboards one person with their files, and prints the asset:// ids.

    python onboard.py --base-url https://…/v1 --api-key lk_… portrait.jpg clip.mp4

It prints the link for the person, uploads the files, and waits for both. The exit code is 0 if every file became
active.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from likeness_client import Client, LikenessError, NewAsset, Session


def log(text: str) -> None:
    """Prints one line immediately."""
    print(text, flush=True)


def log_session(session: Session) -> None:
    """Prints the session's current state."""
    why = f" ({session.last_error.code}: {session.last_error.message})" if session.last_error else ""
    files = ", ".join(f"{each.name} {each.status}" for each in session.assets)
    log(f"{session.status}{why}; {files}")


def onboard(client: Client, files: Sequence[Path], reference: str | None, timeout: float) -> Session:
    """Onboards one person, and returns the session when every file is settled."""
    new = [NewAsset.of_file(file) for file in files]
    session = client.create_session(language="en", reference=reference, start="on_open", assets=new)
    log(f"session {session.id}")
    log(f"send this to the person: {session.invite_url}")
    for asset, file in zip(session.assets, files, strict=True):
        client.upload(asset, file, lambda sent, total: print(f"\r{sent * 100 // total:3d} %", end="", file=sys.stderr))
        log(f"uploaded {asset.name}")
    client.wait_until_verified(session.id, timeout, on_change=log_session)
    return client.wait_until_settled(session.id, timeout, on_change=log_session)


def main() -> int:
    """Runs the command, and returns the exit code."""
    parser = argparse.ArgumentParser(description="Onboards one person with their files.")
    parser.add_argument("--base-url", required=True, help="the stack's output ApiUrl")
    parser.add_argument("--api-key", default=os.environ.get("LIKENESS_API_KEY"), help="or LIKENESS_API_KEY")
    parser.add_argument("--reference", help="your own id of the person or the order")
    parser.add_argument("--timeout", type=float, default=900, help="seconds to wait for the person, then for the files")
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    if not options.api_key:
        parser.error("--api-key or LIKENESS_API_KEY is required")
    try:
        with Client(options.base_url, options.api_key) as client:
            session = onboard(client, options.files, options.reference, options.timeout)
    except LikenessError as error:
        log(f"failed: {error}")
        return 1
    for asset in session.assets:
        log(f"{asset.name}: {asset.uri or (asset.error and asset.error.code)}")
    return 0 if all(asset.status == "active" for asset in session.assets) else 1


if __name__ == "__main__":
    sys.exit(main())
