"""The programs in docs/examples, run by Node.js against the deployed stack."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner

from local import emulator
from local.media import DemoMedia
from ops.cli import main
from ops.client_keys import ClientKeys
from tests.integration.conftest import Api, Canaries, Listener, agree, come_back, face_check, registration, send_file
from tests.template_file import ROOT

EXAMPLES = ROOT / "docs/examples"
SECONDS = 150


def node() -> str:
    """Returns Node's path. Fails without it, because a skip would hide that nothing was tested."""
    found = shutil.which("node")
    if found is None:
        pytest.fail("node is missing: the examples need Node.js 20 or newer", pytrace=False)
    return found


class Program:
    """A running example, and the lines that it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self, pattern: str) -> str:
        """Returns the group of the first line that matches. Fails with the program's errors when it ends before."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(pattern, line):
                return found[1]
        _, errors = self._process.communicate()
        raise AssertionError(f"the program ended: {errors}")


@contextmanager
def example(api: Api, name: str, *arguments: str, **variables: str) -> Iterator[Program]:
    """Runs an example until the block ends, and for at most SECONDS."""
    env = os.environ | {"LIKENESS_API": api.stack.api_url, "LIKENESS_KEY": str(api.credential)} | variables
    command = [node(), str(EXAMPLES / name), *arguments]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()
        try:
            yield Program(process)
        finally:
            limit.cancel()
            process.kill()


def invited(api: Api, link: str) -> tuple[Api, str]:
    """Returns the person of an invite link who has agreed and passed the face check, and the session's id."""
    token = urlsplit(link).fragment
    session_id = api.with_credential(str(api.credential))("GET", "/sessions").json()["sessions"][0]["id"]
    person = api.with_credential(token)
    agree(person, session_id)
    attempt = person("POST", f"/sessions/{session_id}/attempts").json()["attempt"]
    assert come_back(face_check(attempt["h5_link"])).status_code == 303
    return person, session_id


@pytest.fixture
def client(api: Api, keys: ClientKeys, canaries: Canaries) -> Api:
    """A client of these tests alone, so that its newest session is the example's."""
    key = keys.add("node", ["http://127.0.0.1:8090"])
    canaries.secrets.add(key)
    return api.with_credential(key)


def test_a_person_is_onboarded_with_a_file_and_erased(client: Api, media: DemoMedia) -> None:
    with example(client, "onboard.mjs", str(media.portrait_jpeg)) as program:
        _, session_id = invited(client, program.read("the person: (.+)"))
        assert program.read(r"alice-front.jpg: (.+)").startswith("asset://")
    with example(client, "erase.mjs", session_id) as program:
        assert program.read(f"{session_id}: .*erased at (.+)")
    assert client.get(session_id)["erasure"]


def test_a_person_is_asked_for_files(client: Api, media: DemoMedia) -> None:
    with example(client, "requests.mjs") as program:
        person, session_id = invited(client, program.read("the person: (.+)"))
        body = registration(media.portrait_png, "Image", "image/png", "front") | {"request": "front"}
        asset = person("POST", f"/sessions/{session_id}/assets", json=body).json()
        assert send_file(asset["upload"], media.portrait_png.read_bytes()).ok
        assert program.read("front: (.+)").startswith("asset://")
        assert program.read("voice: (.+)") == "open"


def test_a_video_is_made_once_and_saved(client: Api, media: DemoMedia, tmp_path: Path) -> None:
    with example(client, "onboard.mjs", str(media.portrait_jpeg)) as program:
        _, session_id = invited(client, program.read("the person: (.+)"))
        uri = program.read(r"alice-front.jpg: (.+)")
    film = tmp_path / "clip.mp4"
    with example(client, "generate.mjs", "order-of-node", uri, str(film)) as program:
        made = program.read(r"(gen_\w+): queued")
        assert program.read(r"clip.mp4: (\d+) credits") == "16"
    (use,) = client("GET", f"/sessions/{session_id}/uses").json()["uses"]
    assert (use["generation_id"], use["media_sha256"]) == (made, [hashlib.sha256(film.read_bytes()).hexdigest()])
    with example(client, "generate.mjs", "order-of-node", uri, str(film)) as program:
        assert program.read(r"(gen_\w+): succeeded") == made


def test_a_program_for_crun_s_routes(client: Api, media: DemoMedia) -> None:
    s3 = emulator.client("s3", client.stack.emulator_endpoint)
    s3.create_bucket(Bucket="files-for-node")
    s3.put_object(Bucket="files-for-node", Key="front.jpg", Body=media.portrait_jpeg.read_bytes())
    where = {"Bucket": "files-for-node", "Key": "front.jpg"}
    url = s3.generate_presigned_url("get_object", where, ExpiresIn=300)
    with example(client, "crun_routes.mjs", "http://127.0.0.1:8090/done", url) as program:
        come_back(face_check(program.read("two minutes: (.+)")))
        assert program.read("(asset://.+)")


def test_webhooks_are_verified(client: Api, listener: Listener, canaries: Canaries, state_file: Path) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with example(client, "webhook.mjs", "0", LIKENESS_WEBHOOK_SECRET=secret) as program:
        port = program.read(r"listening on port (\d+)")
        forged = requests.post(
            f"http://127.0.0.1:{port}",
            json={},
            timeout=10,
            headers={"webhook-id": "evt_1", "webhook-signature": "v1,a"},
        )
        assert forged.status_code == 400
    # The receiver's port is part of the endpoint's URL, and the endpoint's secret is the receiver's.
    url = f"http://127.0.0.1:{port}/hooks"
    added = ["webhook", "add", "--client-id", "node", "--url", url, "--state-file", str(state_file)]
    result = CliRunner().invoke(main, added)
    assert result.exit_code == 0, result.output
    endpoint, secret = result.output.split()
    canaries.secrets.add(secret)
    with example(client, "webhook.mjs", port, LIKENESS_WEBHOOK_SECRET=secret) as program:
        program.read("(listening)")
        session = client.session(start="on_open")
        assert program.read("likeness.session.created (.+)") == session["id"]
        listener.wait(session["id"], Counter({"session.created": 1}))
    removed = ["webhook", "remove", "--endpoint", endpoint, "--state-file", str(state_file)]
    assert CliRunner().invoke(main, removed).exit_code == 0
