"""Makes a video of people who were onboarded, saves it, and prints its path.

    python generate.py --base-url https://…/v1 --api-key lk_… --prompt "[Image1] waves" --save clip.mp4 asset://…

It prints the estimate, asks for the video, waits for it, and downloads it. The same --order never makes a second video.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from likeness_client import Client, ConflictError, Generation, LikenessError

MODEL = "bytedance/seedance2-0-r2v"


def log(text: str) -> None:
    """Prints one line immediately."""
    print(text, flush=True)


def log_progress(received: int, total: int) -> None:
    """Prints the progress of the download."""
    print(f"\r{received * 100 // total:3d} %", end="", file=sys.stderr)


def content(prompt: str, pictures: Sequence[str], seconds: int, resolution: str) -> dict[str, Any]:
    """Returns the model's input. ``[Image1]`` in the prompt is the first picture."""
    return {"prompt": prompt, "reference_images": list(pictures), "duration": seconds, "resolution": resolution}


def generate(client: Client, options: argparse.Namespace) -> Generation:
    """Makes the video, saves it, and returns its generation."""
    wanted = content(options.prompt, options.pictures, options.seconds, options.resolution)
    estimate = client.estimate(model=options.model, input=wanted, purpose=options.purpose)
    log(f"estimate: {estimate.estimated_credits:g} credits")
    made = client.generate(
        model=options.model,
        input=wanted,
        purpose=options.purpose,
        reference=options.order,
        idempotency_key=options.order,
    )
    log(f"generation {made.id}")
    done = client.wait_until_generated(made.id, options.timeout, on_change=lambda now: log(now.status))
    if done.media:
        client.download(done, options.save, log_progress)
    return done


def main() -> int:
    """Runs the command, and returns the exit code."""
    parser = argparse.ArgumentParser(description="Makes a video of people who were onboarded.")
    parser.add_argument("--base-url", required=True, help="the stack's output ApiUrl")
    parser.add_argument("--api-key", default=os.environ.get("LIKENESS_API_KEY"), help="or LIKENESS_API_KEY")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--prompt", required=True, help="[Image1] is the first picture")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--resolution", default="480p")
    parser.add_argument("--purpose", help="a purpose that the people agreed to; by default your key's")
    parser.add_argument("--order", help="your own id of the video; the same one never makes a second video")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds to wait for the video")
    parser.add_argument("--save", type=Path, default=Path("clip.mp4"))
    parser.add_argument("pictures", nargs="+", help="asset:// ids, or Likeness's ids of assets (ast_…)")
    options = parser.parse_args()
    if not options.api_key:
        parser.error("--api-key or LIKENESS_API_KEY is required")
    try:
        with Client(options.base_url, options.api_key) as client:
            done = generate(client, options)
    except ConflictError as error:
        log(f"not allowed: {error.code} {error.asset_id or ''}".rstrip())
        return 1
    except LikenessError as error:
        log(f"failed: {error}")
        return 1
    if done.media_problem:
        log(f"not saved: {done.media_problem.code}")
        return 1
    log(f"{options.save}: {done.credits or 0:g} credits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
