"""`ops webhook listen` without a stack: what it accepts, keeps, forwards and sends again, over real loopback HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from standardwebhooks import Webhook

from local.receiver import Receiver, Reply
from ops.cli import main
from ops.client_keys import ClientKeys
from ops.webhook_listen import MOST_KEPT, Kept, Listener, Received, endpoints, forward
from ops.webhooks import Webhooks
from tests.aws import inventory

TABLE = "inventory"


def webhook(number: int, secret: str) -> Received:
    """Returns a signed webhook, with the headers that `send_webhooks` sends."""
    data = {"type": "likeness.asset.active", "data": {"id": f"evt_{number}", "text": "é"}}
    empty = Received({"webhook-id": f"evt_{number}", "content-type": "application/json"}, json.dumps(data))
    return empty.signed_again(secret)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "stack-webhooks.json")


def test_the_file_is_for_its_owner_alone_and_keeps_the_secret_and_the_newest_events(kept: Kept) -> None:
    for number in range(MOST_KEPT + 3):
        kept.add(webhook(number, kept.secret))
    kept.add(webhook(5, kept.secret))
    assert kept.file.stat().st_mode & 0o777 == 0o600
    assert list(kept.file.parent.iterdir()) == [kept.file]
    again = Kept(kept.file)
    assert (again.secret, len(again.events)) == (kept.secret, MOST_KEPT)
    assert [each.id for each in again.chosen("last 2")] == [f"evt_{MOST_KEPT + 2}", "evt_5"]
    assert again.chosen("last") == again.chosen("evt_5") == again.chosen("last:1")


@pytest.mark.parametrize("which", ["evt_unknown", "last 0", "last x", "first", "", "last -1"])
def test_an_unknown_event_or_number_is_refused(kept: Kept, which: str) -> None:
    kept.add(webhook(1, kept.secret))
    with pytest.raises(ValueError, match="evt_"):
        kept.chosen(which)


def _post(url: str, headers: dict[str, str], body: bytes) -> int:
    return requests.post(url, body, headers=headers, timeout=10).status_code


def test_only_what_is_signed_with_the_secret_is_accepted_and_forwarded_unchanged(kept: Kept) -> None:
    event = webhook(1, kept.secret)
    forged = webhook(2, "whsec_" + "A" * 43 + "=")
    with Listener(kept.secret) as listener, Receiver() as server:
        assert _post(listener.url, dict(forged.headers), forged.body.encode()) == 400
        assert _post(listener.url, dict(event.headers), event.body.encode() + b" ") == 400
        assert _post(listener.url, {}, b"{") == 400
        assert _post(listener.url, dict(event.headers), event.body.encode()) == 204
        (found,) = islice(listener.events(), 1)
        assert forward(found, f"{server.url}/hooks?a=1") == "204"
    (seen,) = server.received
    assert (seen.path, seen.body.decode()) == ("/hooks?a=1", event.body)
    assert {name: seen.headers[name] for name in event.headers} == dict(event.headers)
    assert seen.verified(kept.secret)["data"]["id"] == "evt_1"


def test_a_forward_that_fails_is_reported_and_follows_no_redirect(kept: Kept) -> None:
    event = webhook(1, kept.secret)
    with Receiver() as other, Receiver(lambda _: Reply(302, {"Location": other.url})) as server:
        assert forward(event, server.url) == "302"
        assert other.received == []
    assert forward(event, server.url) == "not reached (ConnectionRefusedError)"


def test_a_kept_event_is_sent_again_with_a_fresh_signature_and_no_secret_is_printed(tmp_path: Path) -> None:
    state = tmp_path / "stack.json"  # replaying needs no stack
    kept = Kept(tmp_path / "stack-webhooks.json")
    old = webhook(1, kept.secret)
    signature = Webhook(kept.secret).sign("evt_1", datetime(2026, 1, 1, tzinfo=UTC), old.body)
    old = Received({**old.headers, "webhook-timestamp": "1767225600", "webhook-signature": signature}, old.body)
    kept.add(old)

    def listen(*options: str) -> Any:
        return CliRunner().invoke(main, ["webhook", "listen", "--state-file", str(state), *options])

    with Receiver() as server:
        done = listen("--replay", "evt_1", "--forward", server.url)
    assert re.fullmatch(r"\d\d:\d\d:\d\dZ  likeness\.asset\.active +evt_1  204\n", done.output)
    (seen,) = server.received
    assert seen.verified(kept.secret)["data"]["id"] == "evt_1"
    assert seen.body.decode() == old.body
    assert listen("--secret").output == f"{kept.secret}\n"
    assert listen("--replay", "evt_1").exit_code == 2
    assert listen("--replay", "evt_2", "--forward", server.url).exit_code == 1
    assert listen("--forward", "ftp://127.0.0.1/").exit_code == 2
    assert "is the local stack up?" in listen().output


@pytest.fixture
def webhooks() -> Iterator[Webhooks]:
    with inventory(TABLE) as client:
        for each in ("acme", "other"):
            ClientKeys(client, TABLE).add(each)
        yield Webhooks(client, TABLE, private=True)


def test_the_endpoints_are_removed_at_the_end_also_those_of_a_run_that_was_killed(
    webhooks: Webhooks, kept: Kept
) -> None:
    own = webhooks.add("acme", "https://hooks.acme.example/")
    with endpoints(webhooks, kept, ["acme", "other"], "http://127.0.0.1:1/", []):
        made = [each for each in webhooks.known() if each != own]
        assert [(each.client_id, each.secret) for each in made] == [("acme", kept.secret), ("other", kept.secret)]
        killed = Kept(kept.file)  # the file as a run that is killed here leaves it
    assert list(webhooks.known()) == [own]
    left = webhooks.add("other", "http://127.0.0.1:1/")
    killed.endpoints = [left.id]
    with endpoints(webhooks, killed, ["acme"], "http://127.0.0.1:2/", []):
        assert list(webhooks.known("other")) == []
    assert list(webhooks.known()) == [own]
    with (
        pytest.raises(ValueError, match="no client"),
        endpoints(webhooks, kept, ["acme", "x"], "http://127.0.0.1:1", []),
    ):
        pass
    assert list(webhooks.known()) == [own]
