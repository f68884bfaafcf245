"""A running simulator, a client for it, and a file server on loopback for the assets that it downloads."""

import functools
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local.simulator import Simulator, SimulatorSettings
from tests.untrusted_hosts import NAME, PUBLIC

API_KEY = "test-key"
CALLBACK = "https://example.com/v1/callback/ses_1/1/signature"
QUICK = SimulatorSettings(fetch_delay_seconds=0, settle_min_seconds=0, settle_max_seconds=0)
JOB = "/api/v1/client/job"


@dataclass
class Crun:
    """Calls a simulator over HTTP, with a bounded wait."""

    simulator: Simulator
    session: requests.Session = field(default_factory=requests.Session)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends one request, by default with the valid key."""
        options.setdefault("headers", {"x-api-key": API_KEY})
        return self.session.request(method, self.simulator.url + path, timeout=10, allow_redirects=False, **options)

    def create(self, callback: str = CALLBACK) -> dict[str, str]:
        """Creates a session and returns its data."""
        answer = self.request("POST", f"{JOB}/visual-validate-session", json={"callback_url": callback})
        assert answer.status_code == 200, answer.text
        data: dict[str, str] = answer.json()["data"]
        return data

    def check(self, link: str, **form: str) -> requests.Response:
        """Performs the check on an H5 link with one POST."""
        return self.session.post(link, data=form, timeout=10, allow_redirects=False)

    def look_up(self, token: str) -> requests.Response:
        """Looks up a token's result."""
        return self.request("GET", f"{JOB}/visual-validate-result", params={"byted_token": token})

    def group(self, person: str = "alice") -> str:
        """Passes a check for a person and returns the group."""
        data = self.create()
        assert self.check(data["H5Link"], outcome="pass", person=person).status_code == 303
        group: str = self.look_up(data["BytedToken"]).json()["data"]["GroupId"]
        return group

    def upload(self, url: str, group: str, kind: str = "Image", name: str = "front") -> requests.Response:
        """Uploads an asset."""
        body = {"name": name, "asset_type": kind, "asset_url": url, "group_id": group}
        return self.request("POST", f"{JOB}/asset-upload", json=body)

    def info(self, asset_id: str) -> dict[str, Any]:
        """Returns an asset's data."""
        answer = self.request("GET", f"{JOB}/asset-info", params={"asset_id": asset_id})
        data: dict[str, Any] = answer.json()["data"]
        return data

    def settled(self, url: str, group: str, kind: str = "Image", name: str = "front") -> dict[str, Any]:
        """Uploads an asset and returns its data when it is no longer Processing."""
        asset_id = self.upload(url, group, kind, name).json()["data"]["AssetId"]
        deadline = time.monotonic() + 10
        while (data := self.info(asset_id))["Status"] == "Processing":
            assert time.monotonic() < deadline, "the asset did not settle"
            time.sleep(0.01)
        return data


@pytest.fixture
def crun() -> Iterator[Crun]:
    """A simulator without delays."""
    with Simulator(api_key=API_KEY, settings=QUICK) as simulator, requests.Session() as session:
        yield Crun(simulator, session)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str, bytes], str]]:
    """Serves files on loopback: ``serve(name, content)`` returns the URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()

        def add(name: str, content: bytes) -> str:
            (tmp_path / name).write_bytes(content)
            return f"http://127.0.0.1:{server.server_address[1]}/{name}"

        yield add
        server.shutdown()
        thread.join(timeout=5)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that sets the addresses of NAME; a connection to PUBLIC ends on this machine."""
    real = socket.getaddrinfo

    def resolve(*addresses: str, port: int = 9) -> None:
        def look_up(host: Any, service: Any, *rest: Any, **options: Any) -> Any:
            if host == PUBLIC:
                return real("127.0.0.1", port, *rest, **options)
            if host != NAME:
                return real(host, service, *rest, **options)
            found = []
            for each in addresses:
                family = socket.AF_INET6 if ":" in each else socket.AF_INET
                place = (each, service, 0, 0) if ":" in each else (each, service)
                found.append((family, socket.SOCK_STREAM, 6, "", place))
            return found

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return resolve


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Refuses every connection and lists the addresses that were tried."""
    tried: list[Any] = []

    class Watched(socket.socket):
        def connect(self, address: Any) -> None:
            tried.append(address)
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Watched)
    return tried


def query_of(url: str) -> dict[str, str]:
    """Returns a URL's query parameters, each with its last value."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
