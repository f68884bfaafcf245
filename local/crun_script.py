"""A program for crun.ai, written from crun's documentation alone: it needs a base URL, a key and crun's routes.

Like most first programs, it retries nothing, stores nothing and checks little. Likeness serves the same routes, so the
program runs there unchanged (docs/drop-in.md). Try it with ``make up``, with the simulated crun or with Likeness:

    python -m local.crun_script --base-url http://127.0.0.1:8080/crun --api-key CRUN_KEY
    python -m local.crun_script --base-url http://127.0.0.1:8080/v1 --api-key KEY

CRUN_KEY is ``crun_api_key`` of the stack's file. With ``--video FILE`` it also makes a video of the person.
"""

from __future__ import annotations

import argparse
import http.server
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from local.media import make_media

_PASSED = "10000"
_HTTP_SECONDS = 40
_TIMEOUT_SECONDS = 90
_VIDEO_SECONDS = 900
_MODEL = "bytedance/seedance2-0-r2v"


class Refused(Exception):
    """When the response is not a success: ``code`` is crun's, or the HTTP status when there is no envelope."""

    def __init__(self, call: str, code: int, message: str) -> None:
        super().__init__(f"{call}: {code} {message}")
        self.code = code


@dataclass
class CrunApi:
    """crun's routes. ``answers`` stores each response: call, HTTP status, body."""

    base_url: str
    api_key: str
    answers: list[tuple[str, int, Any]] = field(default_factory=list)

    def session(self, callback_url: str) -> dict[str, Any]:
        """Step 1: returns a link for the person, and a token."""
        return self._call("POST", "visual-validate-session", json={"callback_url": callback_url})

    def group_id(self, byted_token: str) -> str:
        """Step 2: returns the person's group."""
        return str(self._call("GET", "visual-validate-result", params={"byted_token": byted_token})["GroupId"])

    def upload(self, name: str, asset_type: str, asset_url: str, group_id: str) -> str:
        """Step 3: adds a file to the group, and returns its AssetId."""
        body = {"name": name, "asset_type": asset_type, "asset_url": asset_url, "group_id": group_id}
        return str(self._call("POST", "asset-upload", json=body)["AssetId"])

    def info(self, asset_id: str) -> dict[str, Any]:
        """Returns the state of a file."""
        return self._call("GET", "asset-info", params={"asset_id": asset_id})

    def create_task(self, model: str, wanted: dict[str, Any], callback_url: str | None = None) -> str:
        """Starts a generation, and returns its task_id. It costs credits: never call it twice for one video."""
        body = {"model": model, "input": wanted} | ({"callback_url": callback_url} if callback_url else {})
        return str(self._call("POST", "CreateTask", json=body)["task_id"])

    def task_info(self, task_id: str) -> dict[str, Any]:
        """Returns the state of a generation."""
        return self._call("GET", "TaskInfo", params={"task_id": task_id})

    def _call(self, method: str, call: str, **options: Any) -> dict[str, Any]:
        answer = requests.request(
            method,
            f"{self.base_url}/api/v1/client/job/{call}",
            headers={"x-api-key": self.api_key},
            timeout=_HTTP_SECONDS,
            **options,
        )
        try:
            body = answer.json()
            body["code"]
        except (ValueError, LookupError, TypeError):  # not from crun, for example a proxy's page
            body = {"code": answer.status_code, "message": "no envelope"}
        self.answers.append((call, answer.status_code, body))
        if body.get("code") != 200:
            # The message of a 422 is always the same; the list has the errors.
            detail = "; ".join(map(str, body.get("errors") or [])) or str(body.get("message"))
            raise Refused(call, body.get("code") or answer.status_code, detail)
        data: dict[str, Any] = body["data"]
        return data


class Callbacks:
    """Receives the callbacks of browsers. ``came`` has the query of each request, in order."""

    def __init__(self, port: int = 0) -> None:
        self.came: list[dict[str, str]] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, self.came))
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"

    def __enter__(self) -> Callbacks:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, token: str, seconds: float) -> dict[str, str] | None:
        """Returns the callback's query for a token, or None when there is none within ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for each in self.came:
                if each.get("bytedToken") == token:
                    return each
            time.sleep(0.05)
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, came: list[dict[str, str]], *args: Any) -> None:
        self._came = came
        super().__init__(*args)

    def do_GET(self) -> None:
        self._came.append(dict(parse_qsl(urlsplit(self.path).query)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing, because the path contains a token."""


@dataclass(frozen=True)
class File:
    """A file to upload. ``url`` is called immediately before the upload, like the creation of a presigned URL."""

    name: str
    asset_type: str
    url: Callable[[], str]


@dataclass
class Onboarded:
    """The result of the program: the group, and the last state of each file."""

    group_id: str
    assets: list[dict[str, Any]]

    @property
    def uris(self) -> list[str]:
        """The URIs for a generation request."""
        return [f"asset://{each['AssetId']}" for each in self.assets if each["Status"] == "Active"]


def onboard(
    api: CrunApi,
    callbacks: Callbacks,
    send_to_person: Callable[[str], None],
    files: Sequence[File],
    *,
    lookups: int = 1,
    ask_after: float = _TIMEOUT_SECONDS,
    timeout: float = _TIMEOUT_SECONDS,
) -> Onboarded:
    """Runs the six steps of crun's documentation. Raises Refused, and TimeoutError when the person does not return.

    ``lookups`` is how often the result is read, for example by the callback page and by a worker. Without a callback,
    the program looks up the result every ``ask_after`` seconds, for ``timeout`` seconds in total.
    """
    made = api.session(callbacks.url)
    send_to_person(made["H5Link"])
    group_id = _group_of(api, callbacks, made["BytedToken"], ask_after, timeout)
    for _ in range(lookups - 1):
        group_id = api.group_id(made["BytedToken"])
    asset_ids = [api.upload(each.name, each.asset_type, each.url(), group_id) for each in files]
    return Onboarded(group_id, [_settled(api, each) for each in asset_ids])


def _group_of(api: CrunApi, callbacks: Callbacks, byted_token: str, ask_after: float, timeout: float) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        came = callbacks.of(byted_token, ask_after)
        if came and came.get("resultCode") != _PASSED:
            raise Refused("callback", int(came.get("resultCode") or 0), "the check was not passed")
        try:
            return api.group_id(byted_token)
        except Refused:
            if came:
                raise  # the person has passed, but there is no result
    raise TimeoutError("the person did not return")


def _settled(api: CrunApi, asset_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while (found := api.info(asset_id))["Status"] == "Processing":
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found['Name']} is still Processing")
        time.sleep(0.5)
    return found


def generate(
    api: CrunApi, model: str, wanted: dict[str, Any], *, pause: float = 5, timeout: float = _VIDEO_SECONDS
) -> dict[str, Any]:
    """Makes a video, and returns the last answer of TaskInfo. Raises Refused when it failed, and TimeoutError."""
    task_id = api.create_task(model, wanted)
    deadline = time.monotonic() + timeout
    while (found := api.task_info(task_id))["status"] in ("pending", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the task {task_id} is still {found['status']}")
        time.sleep(pause)
    if found["status"] != "success":
        raise Refused("TaskInfo", found["result"]["code"], found["result"]["message"])
    return found


def save(media_url: str, path: Path) -> None:
    """Saves a video before its link expires."""
    answer = requests.get(media_url, timeout=_HTTP_SECONDS)
    answer.raise_for_status()
    path.write_bytes(answer.content)


def pass_check(h5_link: str, person: str = "alice", outcome: str = "pass") -> None:
    """Does what the person's browser does at the simulator: passes the check and follows the redirects."""
    requests.post(h5_link, data={"outcome": outcome, "person": person}, timeout=_HTTP_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    """Onboards a drawn person with a picture, a clip and a voice, prints the ``asset://`` ids, and makes a video."""
    parser = argparse.ArgumentParser(prog="python -m local.crun_script")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--api-key", required=True)
    parser.add_argument(
        "--callback-port",
        type=int,
        default=8090,
        help="the port of the callback, whose origin the client key must allow",
    )
    parser.add_argument("--video", type=Path, help="make a video of the person, and save it here")
    options = parser.parse_args(arguments)
    with ExitStack() as block:
        folder = Path(block.enter_context(tempfile.TemporaryDirectory()))
        media = make_media(folder)
        served = block.enter_context(serving(folder))
        files = [
            File(path.name, kind, partial(str, f"{served}/{path.name}"))
            for path, kind in ((media.portrait_jpeg, "Image"), (media.clip_mp4, "Video"), (media.voice_wav, "Audio"))
        ]
        callbacks = block.enter_context(Callbacks(options.callback_port))
        try:
            api = CrunApi(options.base_url, options.api_key)
            done = onboard(api, callbacks, pass_check, files)
            if options.video:
                images = [f"asset://{each['AssetId']}" for each in done.assets if each["AssetType"] == "Image"]
                wanted = {"prompt": "[Image1] looks into the camera.", "reference_images": images, "duration": 4}
                made = generate(api, _MODEL, wanted)
                save(made["result"]["media_urls"][0], options.video)
                print(f"video {options.video}")
        except (Refused, TimeoutError, requests.RequestException) as problem:
            print(f"crun_script: {problem}", file=sys.stderr)
            return 1
    print(f"group {done.group_id}")
    print("\n".join(done.uris))
    return 0 if len(done.uris) == len(files) else 1


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves the files of ``folder`` in the block, and yields the base URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
