"""The Python client's example on the deployed stack; the same client acts for the person."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from likeness_client import Client, NewAsset, NotFoundError, Poll, Session, SessionEndedError
from local.media import DemoMedia
from tests.integration.conftest import Api, Canaries, come_back, face_check
from tests.template_file import ROOT

REFERENCE = "order-of-the-python-client"
TIMEOUT_SECONDS = 60


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    poll = Poll(first_seconds=0.3, longest_seconds=1)
    with Client(api.stack.api_url, str(api.credential), poll=poll) as made:
        yield made


def pass_the_check(api: Api, canaries: Canaries, session_id: str, invite_url: str) -> None:
    """Acts as the person on the invite page: agrees, requests a link, and passes."""
    token = urlsplit(invite_url).fragment
    canaries.secrets |= {token, invite_url}
    with Client(api.stack.api_url, token) as person:
        text = person.consent_text("en")
        assert person.record_consent(session_id, text).sha256 == text.sha256
        attempt = person.create_attempt(session_id).attempt
    assert attempt
    assert attempt.h5_link
    canaries.secrets.add(attempt.h5_link)
    assert come_back(face_check(attempt.h5_link)).status_code == 303


def test_the_example_onboards_a_person_and_the_client_covers_the_other_calls(
    api: Api, client: Client, media: DemoMedia, canaries: Canaries
) -> None:
    canaries.personal.add(REFERENCE)
    example = ["clients/python/examples/onboard.py", "--base-url", api.stack.api_url, "--reference", REFERENCE]
    with subprocess.Popen(
        [sys.executable, *example, "--timeout", str(TIMEOUT_SECONDS), media.portrait_jpeg, media.voice_wav],
        env=os.environ | {"PYTHONPATH": "clients/python", "LIKENESS_API_KEY": str(api.credential)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert running.stderr
        session_id = running.stdout.readline().split()[-1]
        invite_url = running.stdout.readline().split()[-1]
        pass_the_check(api, canaries, session_id, invite_url)
        output, progress = running.stdout.read().splitlines(), running.stderr.read()
        assert running.wait(TIMEOUT_SECONDS) == 0, output
    assert progress.count("100 %") == 2
    assert [f"uploaded {media.portrait_jpeg.name}", f"uploaded {media.voice_wav.name}"] == output[:2]
    ids = [line.partition(": ")[2] for line in output[-2:]]
    assert all(each.startswith("asset://asset-") for each in ids)

    _other_calls(client, session_id, media, ids)
    _erasure(client, session_id)


def _other_calls(client: Client, session_id: str, media: DemoMedia, ids: list[str]) -> None:
    changes: list[Session] = []
    session = client.wait_until_verified(session_id, TIMEOUT_SECONDS, changes.append)
    assert client.wait_until_settled(session_id, TIMEOUT_SECONDS, changes.append).assets == session.assets
    assert len(changes) == 2
    assert sorted(each.uri or "" for each in session.assets) == sorted(ids)
    first = session.assets[0]
    assert client.get_asset(session_id, first.id) == first
    again = client.register_asset(session_id, NewAsset.of_file(media.portrait_jpeg))
    assert again.uri in ids, "the same bytes are the same asset"
    assert [each.id for each in client.list_sessions(reference=REFERENCE, page_size=1)] == [session_id]
    assert sum(each.sessions for each in client.stats()) >= 1


def _erasure(client: Client, session_id: str) -> None:
    """Erases a session whose executions have ended, and which therefore need no stop."""
    erased = client.erase_session(session_id)
    assert erased.erasure
    tombstone = client.get_session(session_id)
    assert (tombstone.status, tombstone.erasure, tombstone.reference) == ("redacted", erased.erasure, None)
    assert {(each.status, each.uri, each.name) for each in tombstone.assets} == {("redacted", None, "")}
    assert list(client.list_sessions(reference=REFERENCE)) == []
    with pytest.raises(SessionEndedError):
        client.wait_until_verified(session_id, TIMEOUT_SECONDS)
    with pytest.raises(NotFoundError):
        client.get_asset(session_id, "ast_none")
