"""``make demo``: onboards one person with real files and makes a video, over HTTP and S3 like a customer."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.live import Live
from rich.table import Table
from standardwebhooks import WebhookVerificationError

from local import emulator
from local.media import DemoMedia, make_media
from local.processes import free_port
from local.receiver import Received, Receiver
from local.stack import CLIENT_ID, Options, Stack, running_stack
from ops.webhooks import Webhooks

_HTTP_SECONDS = 30
_TIMEOUT_SECONDS = 120
#: The simulator needs seconds, while the template's pauses suit crun, which may need minutes.
_PARAMETERS = ("PollFirstDelaySeconds=1", "PollMaxDelaySeconds=2")
_SETTLED = ("active", "failed")
#: The clip is kept after the demo, so that it can be watched.
_CLIP = Path(".local/demo/clip.mp4")
_VERIFIED = "likeness.session.verified"
_STYLES = {"active": "green", "failed": "red", "processing": "yellow", "submitting": "yellow"}
_NEXT = """
The demo's stack stops now. Next steps:
  make up              starts a stack with the console, the person's page and the API's documentation
  README.md            shows the same steps with curl and Python, and how to deploy to AWS
  make help            lists all commands"""


class DemoFailed(RuntimeError):
    """When a step of the demo does not have its expected result."""


@dataclass
class Customer:
    """A developer's program: it calls the API with its client key, and stores the time of each upload."""

    stack: Stack
    http: requests.Session = field(default_factory=requests.Session)
    handed_over: dict[str, float] = field(default_factory=dict)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> dict[str, Any]:
        """Makes one API call, with ``key`` as its Idempotency-Key. Raises DemoFailed when it is refused."""
        answer = self.send(method, path, body, key)
        if not answer.ok:
            raise DemoFailed(f"{method} {path.split('/')[1]} returned {answer.status_code}")
        found: dict[str, Any] = answer.json()
        return found

    def refusal(self, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> tuple[int, str]:
        """Makes one API call that is refused. Returns its HTTP status and code."""
        answer = self.send(method, path, body, key)
        return answer.status_code, str(answer.json().get("code"))

    def send(self, method: str, path: str, body: dict[str, Any] | None, key: str) -> requests.Response:
        """Makes one API call and returns the response."""
        headers = {"x-api-key": self.stack.api_key} | ({"Idempotency-Key": key} if key else {})
        return self.http.request(method, self.stack.api_url + path, json=body, headers=headers, timeout=_HTTP_SECONDS)

    def upload(self, form: dict[str, Any], file: Path) -> None:
        """Uploads a file with a presigned form."""
        with file.open("rb") as content:
            answer = self.http.post(form["url"], data=form["fields"], files={"file": content}, timeout=_HTTP_SECONDS)
        if not answer.ok:
            raise DemoFailed(f"the upload of {file.name} returned {answer.status_code}")
        self.handed_over[file.name] = time.monotonic()

    def register(self, session_id: str, file: Path, asset_type: str, content_type: str) -> None:
        """Registers a file under its name and uploads it."""
        body = registration(file, asset_type, content_type)
        self.upload(self.call("POST", f"/sessions/{session_id}/assets", body)["upload"], file)

    def drop(self, session_id: str, file: Path) -> None:
        """Uploads a file to the bucket's inbox, like a pipeline with IAM access."""
        s3 = emulator.client("s3", self.stack.emulator_endpoint)
        s3.upload_file(str(file), self.stack.outputs["UploadBucketName"], f"inbox/{session_id}/{file.name}")
        self.handed_over[file.name] = time.monotonic()


def registration(file: Path, asset_type: str, content_type: str) -> dict[str, Any]:
    """Returns the body that registers ``file``."""
    size = file.stat().st_size
    return {"name": file.name, "asset_type": asset_type, "content_type": content_type, "size_bytes": size}


class Progress:
    """Shows progress as a live table in a terminal, and as plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self._seen: dict[str, str] = {}
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Updates the table in the block."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=4) as self._live:
            yield

    def update(self, session: dict[str, Any], customer: Customer) -> None:
        """Shows what has changed since the last update."""
        for asset in session["assets"]:
            name, status = asset["name"], asset["status"]
            if self._seen.get(name) == status:
                continue
            self._seen[name] = status
            since = time.monotonic() - customer.handed_over.get(name, time.monotonic())
            if status in _SETTLED:
                self.seconds[name] = since
            if self._live is None:
                self.console.print(f"  {name}: {status}" + (f" after {since:.1f} s" if status in _SETTLED else ""))
        if self._live:
            self._live.update(self.table(session))

    def table(self, session: dict[str, Any]) -> Table:
        """Returns a table with one line for each asset."""
        table = Table(title=f"{session['id']} · {session['status']}", title_justify="left")
        for column in ("file", "status", "seconds", "asset id, or error"):
            table.add_column(column, overflow="fold")
        for asset in session["assets"]:
            status, error = asset["status"], asset["error"]
            why = f"{error['code']}: {error['message']}" if error else asset["uri"] or ""
            seconds = self.seconds.get(asset["name"])
            style = _STYLES.get(status, "")
            table.add_row(
                asset["name"], f"[{style}]{status}[/]" if style else status, f"{seconds:.1f}" if seconds else "", why
            )
        return table


def main(port: int = 0) -> int:
    """Runs the demo on a new stack. Returns 0 only if every step had its expected result."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            state_file=Path(".local/demo.json"),
            port=port or free_port(),
            emulator_port=free_port(),
            parameters=_PARAMETERS,
        )
        with running_stack(options, lambda line: console.print(f"· {line}")) as stack:
            try:
                with Receiver() as receiver:
                    _run(stack, make_media(Path(folder)), receiver, console)
            except (DemoFailed, requests.RequestException, KeyError) as problem:
                # The text of a request's error contains URLs, which are secrets here.
                text = problem if isinstance(problem, DemoFailed) else type(problem).__name__
                console.print(f"[red]the demo failed:[/] {text} (logs: {stack.log_dir})")
                return 1
    return 0


def _run(stack: Stack, media: DemoMedia, receiver: Receiver, console: Console) -> None:
    customer, progress = Customer(stack), Progress(console)
    secret = _register_webhook(stack, f"{receiver.url}/likeness")
    began = time.monotonic()
    portrait = registration(media.portrait_jpeg, "Image", "image/jpeg")
    session = customer.call("POST", "/sessions", {"language": "en", "reference": "demo", "assets": [portrait]})
    console.print(
        f"\n[bold]1[/] POST /sessions → {session['id']}, with a link for the person and a form for the portrait"
    )
    customer.upload(session["assets"][0]["upload"], media.portrait_jpeg)
    console.print("[bold]2[/] the portrait is uploaded before the face check, and waits for it")
    _pass_face_check(session["attempt"]["h5_link"])
    console.print("[bold]3[/] the person passes the face check; the browser returns to our callback")
    with progress.shown():
        session = _follow(customer, session["id"], progress, lambda found: found["status"] == "verified")
        verified = time.monotonic() - began
        customer.register(session["id"], media.clip_mp4, "Video", "video/mp4")
        customer.register(session["id"], media.portrait_png, "Image", "image/png")
        customer.register(session["id"], media.other_person_jpeg, "Image", "image/jpeg")
        customer.drop(session["id"], media.voice_wav)
        session = _follow(
            customer,
            session["id"],
            progress,
            lambda found: len(found["assets"]) == 5 and all(each["status"] in _SETTLED for each in found["assets"]),
        )
    if not console.is_terminal:
        console.print(progress.table(session))
    _judge(session, media)
    console.print("[bold]4[/] our own server has received these signed webhooks:")
    for name, payload in _webhooks_of(session, receiver, secret):
        console.print(f"  {payload['type']}: {name} ({payload['data']['id']})")
    settled = time.monotonic() - began
    _erase_other_person(customer, session, media)
    console.print("[bold]5[/] the other person's picture is erased, because that person has not consented")
    clip, generation = _make_clip(customer, session)
    console.print(f"[bold]6[/] POST /generations → {generation['id']}: a clip of the person, saved as {clip}")
    use = _recorded_use(customer, session, generation)
    console.print(
        f"[bold]7[/] the ledger of uses: {use['time']}, {len(use['asset_ids'])} files, {use['model']}, {use['outcome']}"
    )
    _withdraw(customer, session)
    console.print("[bold]8[/] the person gets a receipt, and withdraws the consent with its personal link")
    refused = customer.refusal("POST", "/generations", _clip_of(session), key="demo-2")
    if refused != (requests.codes.conflict, "consent_withdrawn"):
        raise DemoFailed("a generation was allowed after the withdrawal")
    console.print("[bold]9[/] the next generation is refused: 409 consent_withdrawn")
    _erase(customer, session, generation)
    console.print("[bold]10[/] DELETE /sessions: everything is erased; ids, times and the proof of the uses stay")
    console.print(f"verified after {verified:.1f} s, everything settled after {settled:.1f} s")
    console.print(
        "[green]4 assets were ready for generation, and one clip was made, until the person withdrew; the other"
        " person's picture was refused and erased.[/]"
    )
    console.print(_NEXT)


def _erase_other_person(customer: Customer, session: dict[str, Any], media: DemoMedia) -> None:
    """Erases the refused picture. Raises DemoFailed when anything of it is left."""
    (other_person,) = [each for each in session["assets"] if each["name"] == media.other_person_jpeg.name]
    erased = customer.call("DELETE", f"/sessions/{session['id']}/assets/{other_person['id']}")
    if (erased["status"], erased["name"]) != ("redacted", ""):
        raise DemoFailed("the other person's picture was not erased")
    s3 = emulator.client("s3", customer.stack.emulator_endpoint)
    folder = f"uploads/{session['id']}/{other_person['id']}/"
    versions = s3.list_object_versions(Bucket=customer.stack.outputs["UploadBucketName"], Prefix=folder)
    if versions.get("Versions") or versions.get("DeleteMarkers"):
        raise DemoFailed("the other person's picture is still in the bucket")


def _clip_of(session: dict[str, Any]) -> dict[str, Any]:
    """Returns the body of a generation that shows the person, with crun's own input."""
    portraits = [each["uri"] for each in session["assets"] if each["asset_type"] == "Image" and each["uri"]]
    return {
        "model": "bytedance/seedance2-0-r2v",
        "input": {
            "prompt": "[Image1] looks around and smiles",
            "reference_images": portraits,
            "resolution": "480p",
            "duration": 4,
        },
    }


def _make_clip(customer: Customer, session: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Makes a video and downloads it. Raises DemoFailed unless the file is the one that was recorded."""
    generation = customer.call("POST", "/generations", _clip_of(session), key="demo-1")
    generation = _wait(
        lambda: customer.call("GET", f"/generations/{generation['id']}"),
        lambda found: found["ended_at"] is not None,
        lambda found: f"the generation is {found['status']}",
    )
    if generation["status"] != "succeeded" or not (generation["result"] or {}).get("media"):
        raise DemoFailed(
            f"the generation is {generation['status']}: {generation['error'] or generation['media_problem']}"
        )
    media = generation["result"]["media"][0]
    answer = requests.get(media["url"], timeout=_HTTP_SECONDS)
    if not answer.ok or hashlib.sha256(answer.content).hexdigest() != media["sha256"]:
        raise DemoFailed("the clip is not the file that was recorded")
    _CLIP.parent.mkdir(parents=True, exist_ok=True)
    _CLIP.write_bytes(answer.content)
    return _CLIP, generation


def _recorded_use(customer: Customer, session: dict[str, Any], generation: dict[str, Any]) -> dict[str, Any]:
    """Returns the clip's entry in the ledger of the person's uses. Raises DemoFailed when there is none."""
    uses: list[dict[str, Any]] = customer.call("GET", f"/sessions/{session['id']}/uses")["uses"]
    if [each["generation_id"] for each in uses] != [generation["id"]]:
        raise DemoFailed("the ledger does not show the clip")
    return uses[0]


def _withdraw(customer: Customer, session: dict[str, Any]) -> None:
    """Withdraws the consent with the link of the person's receipt. Raises DemoFailed when that is not possible."""
    path = f"/sessions/{session['id']}"
    invite = customer.call("POST", f"{path}/invite")["invite_url"]
    person = {"x-api-key": invite.partition("#")[2]}
    issued = requests.post(f"{customer.stack.api_url}{path}/receipt", headers=person, timeout=_HTTP_SECONDS)
    if issued.status_code != requests.codes.created:
        raise DemoFailed("the person got no receipt")
    receipt = {"x-api-key": issued.json()["receipt_url"].partition("#")[2]}
    url = f"{customer.stack.api_url}{path}/consent/withdraw"
    answer = requests.post(url, headers=receipt, timeout=_HTTP_SECONDS)
    if answer.status_code != requests.codes.ok or answer.json()["consent_status"] != "withdrawn":
        raise DemoFailed("the consent was not withdrawn")


def _erase(customer: Customer, session: dict[str, Any], generation: dict[str, Any]) -> None:
    """Erases the person. Raises DemoFailed when a file of theirs or a clip of them is left."""
    customer.call("DELETE", f"/sessions/{session['id']}")
    s3 = emulator.client("s3", customer.stack.emulator_endpoint)
    for folder in (f"uploads/{session['id']}/", f"inbox/{session['id']}/", f"generations/{generation['id']}/"):
        left = s3.list_object_versions(Bucket=customer.stack.outputs["UploadBucketName"], Prefix=folder)
        if left.get("Versions") or left.get("DeleteMarkers"):
            raise DemoFailed(f"{folder.partition('/')[0]} still has files of the person")


def _register_webhook(stack: Stack, url: str) -> str:
    """Adds a webhook like `python -m ops webhook add`, and returns its secret."""
    dynamodb = emulator.client("dynamodb", stack.emulator_endpoint)
    webhooks = Webhooks(dynamodb, stack.outputs["TableName"], private=True)
    return webhooks.add(CLIENT_ID, url, [_VERIFIED, "likeness.asset.active", "likeness.asset.failed"]).secret


def _webhooks_of(session: dict[str, Any], receiver: Receiver, secret: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the session's id and each asset's name, with its webhook. Raises DemoFailed when one is missing."""
    expected = [(session["id"], session["id"], _VERIFIED)]
    expected += [(each["id"], each["name"], f"likeness.asset.{each['status']}") for each in session["assets"]]

    def payloads(received: list[Received]) -> dict[str, dict[str, Any]]:
        verified = [each.verified(secret) for each in received]
        return {each["data"].get("asset_id") or each["data"]["session_id"]: each for each in verified}

    try:
        receiver.wait(lambda received: len(payloads(received)) == len(expected), _TIMEOUT_SECONDS)
        came = payloads(receiver.received)
    except WebhookVerificationError:
        raise DemoFailed("a webhook's signature is wrong") from None
    for key, name, event_type in expected:
        payload = came.get(key)
        if payload is None or payload["type"] != event_type:
            raise DemoFailed(f"no webhook {event_type} for {name}")
        yield name, payload


def _pass_face_check(h5_link: str) -> None:
    """Does what the person does on the phone: passes the check and follows the redirect to our callback."""
    back = requests.post(
        h5_link, data={"outcome": "pass", "person": "alice"}, timeout=_HTTP_SECONDS, allow_redirects=False
    )
    if back.status_code != requests.codes.see_other:
        raise DemoFailed(f"the H5 page returned {back.status_code}")
    answer = requests.get(back.headers["Location"], timeout=_HTTP_SECONDS, allow_redirects=False)
    if answer.status_code != requests.codes.see_other:
        raise DemoFailed(f"our callback returned {answer.status_code}")


def _follow(customer: Customer, session_id: str, progress: Progress, done: Any) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        session = customer.call("GET", f"/sessions/{session_id}")
        progress.update(session, customer)
        return session

    def state(session: dict[str, Any]) -> str:
        files = ", ".join(f"{each['name']} {each['status']}" for each in session["assets"])
        return f"session {session['status']}, {files}"

    return _wait(look, done, state)


def _wait(
    look: Callable[[], dict[str, Any]],
    done: Callable[[dict[str, Any]], bool],
    state: Callable[[dict[str, Any]], str],
) -> dict[str, Any]:
    """Returns what ``look`` returns as soon as it is done. Raises DemoFailed, with its state, after a time."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if done(found):
            return found
        time.sleep(0.5)
    raise DemoFailed(f"not settled after {_TIMEOUT_SECONDS} s: {state(found)}")


def _judge(session: dict[str, Any], media: DemoMedia) -> None:
    for asset in session["assets"]:
        other_person = asset["name"] == media.other_person_jpeg.name
        if other_person and (asset["error"] or {}).get("code") != "face_mismatch":
            raise DemoFailed("the other person's picture was not refused for its face")
        if not other_person and not str(asset["uri"]).startswith("asset://"):
            raise DemoFailed(f"{asset['name']} did not become active: {asset['error']}")
