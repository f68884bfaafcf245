"""How each response of crun is classified, in all five calls over HTTP, by the table in docs/architecture.md."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from likeness.adapters.http.crun_client import CrunClient
from likeness.errors import ACCOUNT_REFUSALS, UpstreamAmbiguous, UpstreamDeferred, UpstreamError, UpstreamRefused
from tests.template_file import ROOT

OK = {"BytedToken": "token-1", "H5Link": "https://h5.test/?lng=zh", "GroupId": "group-1", "AssetId": "asset-1",
      "Status": "Active", "balance": 7}  # fmt: skip
STATUSES = (
    200, 201, 300, 302, 307, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 451, 455, 499, 500, 501, 502, 503,
    504, 505, 520,
)  # fmt: skip
CODES = (200, 400, 401, 402, 403, 404, 408, 418, 422, 429, 455, 500, 501, 502, 505, 599)
NO_ENVELOPE = {
    "no body": b"",
    "HTML": b"<!doctype html><title>No</title>",
    "JSON without code": b'{"message": "Forbidden", "detail": "no"}',
    "JSON that is not an object": b'[{"code": 404}]',
    "an invalid code": b'{"code": "not found", "message": "no", "data": null}',
}
CALLS: dict[str, Callable[[CrunClient], object]] = {
    "session": lambda crun: crun.create_validation("https://a.test/callback"),
    "result": lambda crun: crun.group_of("token-1"),
    "upload": lambda crun: crun.upload_asset(
        name="front", asset_type="Image", asset_url="https://a.test/file", group_id="group-1"
    ),
    "info": lambda crun: crun.asset_reports(["asset-1"])["asset-1"],
    "balance": lambda crun: crun.balance(),
}
KINDS = {UpstreamRefused: "refused", UpstreamAmbiguous: "ambiguous"}


@dataclass
class Script:
    """The server's next response, to any request."""

    url: str = ""
    status: int = 200
    body: bytes = field(default=b"")


@contextmanager
def server() -> Iterator[Script]:
    script = Script()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(script.status)
            self.send_header("Content-Length", str(len(script.body)))
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(script.body)

        do_POST = do_GET  # noqa: N815 - http.server requires this name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        script.url = f"http://127.0.0.1:{running.server_port}"
        yield script
        running.shutdown()
        thread.join(timeout=5)


def read_table() -> dict[str, tuple[str, str]]:
    """Returns the table: the class of each code in an envelope, and of each HTTP status without one."""
    text = (ROOT / "docs/architecture.md").read_text().partition("## Errors of crun")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {code: (inside, outside) for code, inside, outside, *_ in rows[2:]}


TABLE = read_table()


def row(code: int) -> tuple[str, str]:
    return TABLE.get(str(code)) or TABLE["5xx" if code >= 500 else "other"]


def expected(status: int, code: int | None) -> str:
    if code is None:
        return "ambiguous" if status < 400 else row(status)[1]
    if code != 200:
        return row(code)[0]
    if status < 300:
        return "ok"
    return "ambiguous" if status < 400 else row(status)[0]


def seen(call: Callable[[CrunClient], object], crun: CrunClient) -> str:
    try:
        found = call(crun)
    except UpstreamError as problem:
        found = problem
    if not isinstance(found, UpstreamError):
        return "ok"
    if isinstance(found, UpstreamDeferred):
        return "deferred"
    account = isinstance(found, UpstreamRefused) and found.upstream_code in ACCOUNT_REFUSALS
    return KINDS[type(found)] + (", account" if account else "")


def test_the_table_is_complete() -> None:
    assert set(TABLE) >= {"401", "403", "404", "408", "422", "429", "455", "5xx", "other"}
    accepted_without_an_envelope = {code for code, (_, outside) in TABLE.items() if outside != "ambiguous"}
    assert accepted_without_an_envelope == {"401", "403", "429", "455"}


@pytest.mark.parametrize("name", CALLS)
def test_only_cruns_envelope_is_a_verdict(name: str) -> None:
    bodies: list[tuple[str, int | None, bytes]] = [(what, None, body) for what, body in NO_ENVELOPE.items()]
    for code in CODES:
        for form in (code, str(code)):
            body = json.dumps({"code": form, "message": "m", "data": OK if code == 200 else None})
            bodies.append((f"code {form!r}", code, body.encode()))
    wrong = []
    with server() as script:
        crun = CrunClient(script.url, lambda _: "key", lambda wanted: wanted)
        for status in STATUSES:
            for what, inside, script.body in bodies:
                script.status = status
                found, wanted = seen(CALLS[name], crun), expected(status, inside)
                if found != wanted:
                    wrong.append(f"{status} with {what}: {found}, not {wanted}")
    assert wrong == []
